import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { executed, HASH, type Wishes } from '../rig/disk-template.ts';
import { note } from '../rig/golden.ts';
import { Rig, type Run } from '../rig/rig.ts';
import { needsRpmDisk, RpmDiskRepo, writeRpmDiskTemplate } from '../rig/rpm-disk-repo.ts';

let tiny: RpmDiskRepo | undefined;
let rig: Rig;

before(async () => {
  rig = new Rig();
  if (needsRpmDisk.skip === undefined)
    tiny = await RpmDiskRepo.start([
      { name: 'extra', files: { 'usr/share/extra': 'more\n' } },
      { name: 'hooked', files: { 'usr/lib/dracut/modules.d/hooked': 'a hook\n' } },
    ]);
});
after(async () => {
  await tiny?.[Symbol.asyncDispose]();
  await rig[Symbol.asyncDispose]();
});

const write = (world: Rig, wishes: Wishes = {}): void => {
  assert.ok(tiny);
  writeRpmDiskTemplate(world, tiny, wishes);
};
const compose = async (world: Rig, ...args: readonly string[]): Promise<Run> =>
  await world.varve(['compose', 'os.yml', '--progress=plain', ...args]);
const digest = (path: string): string =>
  createHash('sha256').update(readFileSync(path)).digest('hex');
const DISK = ['-o', 'type=raw,dest=disk.img'];

test(
  'a disk is made of rpm packages, and rpm finds what it should in it',
  needsRpmDisk,
  async () => {
    write(rig);
    const first = await compose(rig, ...DISK, '--lock', 'os.lock', '-o', 'type=tar,dest=root.tar');
    assert.equal(first.status, 0, first.stderr);
    const disk = join(rig.work, 'disk.img');
    const root = join(rig.work, 'root.img');
    execFileSync('dd', [`if=${disk}`, `of=${root}`, 'bs=1M', 'skip=17', 'status=none']);
    execFileSync('e2fsck', ['-fn', root], { stdio: 'ignore' });
    const cat = (path: string): string =>
      execFileSync('debugfs', ['-R', `cat ${path}`, root], {
        encoding: 'utf8',
        stdio: ['ignore', 'pipe', 'ignore'],
      });
    assert.deepEqual(
      {
        motd: cat('/etc/motd'),
        made: cat('/etc/made'),
        host: cat('/etc/hostname'),
        users: cat('/etc/shadow').match(/^\w+:[^:]*/gm),
      },
      {
        motd: 'hello\n',
        made: 'made\n',
        host: 'tinybox\n',
        users: ['root:!*', `ops:${HASH}`, 'locked:!'],
      },
    );
    const efi = execFileSync('mcopy', ['-n', '-i', `${disk}@@1M`, '::/EFI/BOOT/BOOTX64.EFI', '-'], {
      encoding: 'latin1',
      maxBuffer: 1 << 26,
    });
    for (const part of ['kernel\n', 'tiny rpm system is up', 'ID=tiny\n', 'rw quiet\0'])
      assert.ok(efi.includes(part), part);
    const tree = join(rig.work, 'tree');
    mkdirSync(tree);
    execFileSync('tar', ['-C', tree, '--numeric-owner', '-xpf', join(rig.work, 'root.tar')]);
    const rpm = (...args: readonly string[]): readonly string[] => {
      try {
        const args2 = ['--root', tree, '--dbpath', '/var/lib/rpm', ...args];
        return execFileSync('rpm', args2, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] })
          .trim()
          .split('\n');
      } catch (e) {
        return e instanceof Error && 'stdout' in e
          ? String(e.stdout).trim().split('\n')
          : assert.fail(String(e));
      }
    };
    assert.equal(rpm('-qa').length, 20);
    // What the configuration changed, and nothing else; times of what was changed are those of the root.
    assert.deepEqual(
      rpm('-Va').filter((line) => !/\/etc\/(?:passwd|shadow|group|gshadow)$/.test(line)),
      [],
    );
  },
);

/** Each edit, and exactly the stages that are executed because of it. */
const EDITS: readonly (readonly [string, Wishes, readonly string[]])[] = [
  ['nothing', {}, []],
  ['an argument of the kernel', { cmdline: 'debug' }, ['disk', 'esp', 'uki']],
  ['a command', { command: 'echo other > /etc/made' }, ['configured', 'disk']],
  ['a package', { packages: 'extra' }, ['concerned', 'configured', 'disk']],
  [
    'a package of the initramfs',
    { packages: 'hooked' },
    ['concerned', 'configured', 'disk', 'esp', 'initramfs', 'uki'],
  ],
  ['nothing again', {}, []],
];

test(
  'an edit of a template of rpm packages executes only what depends on it',
  needsRpmDisk,
  async () => {
    const differing: string[] = [];
    for (const [what, wishes, wanted] of EDITS) {
      write(rig, wishes);
      const found = executed(await compose(rig, ...DISK));
      if (found.join() !== wanted.join()) differing.push(`${what}: ${found.join()}`);
    }
    assert.deepEqual(differing, []);
    note(
      `compose of rpm packages: ${EDITS.length} edits, each executes exactly what depends on it`,
    );
  },
);

test('a lock of rpm packages makes the same disk in another store', needsRpmDisk, async () => {
  assert.ok(tiny);
  await using other = new Rig();
  write(other);
  tiny.repo.requests.length = 0;
  other.write('os.lock', readFileSync(join(rig.work, 'os.lock'), 'utf8'));
  const frozen = await compose(other, '--frozen', '--lock', 'os.lock', ...DISK);
  assert.equal(frozen.status, 0, frozen.stderr);
  assert.equal(digest(join(other.work, 'disk.img')), digest(join(rig.work, 'disk.img')));
  // Nothing is chosen again: only packages are asked for.
  assert.deepEqual(
    tiny.repo.requests.filter((path) => path.includes('repodata')),
    [],
  );
  write(other, { packages: '"ext*"' });
  const unfit = await compose(other, '--frozen', '--lock', 'os.lock', ...DISK);
  assert.deepEqual(
    [unfit.status, unfit.stderr.split('\n')[0]],
    [2, 'error[TP010]: the lock of root does not fit the template: it has no ext*'],
  );
});

test('the inventory of a disk is that of the database of rpm', needsRpmDisk, async () => {
  write(rig);
  const made = await compose(
    rig,
    ...['--spdx', 'os.spdx', '--cyclonedx', 'os.cdx', '--dot', 'os.dot', ...DISK],
  );
  assert.equal(made.status, 0, made.stderr);
  const dot = readFileSync(join(rig.work, 'os.dot'), 'utf8');
  const spdx = readFileSync(join(rig.work, 'os.spdx'), 'utf8');
  assert.deepEqual(
    [
      dot.match(/"bash" -> "\w+"/g),
      spdx.match(/pkg:rpm\/azurelinux\/kernel@[^"]*/g),
      readFileSync(join(rig.work, 'os.cdx'), 'utf8').match(/"purl":/g)?.length,
    ],
    [
      ['"bash" -> "busybox"', '"bash" -> "glibc"'],
      ['pkg:rpm/azurelinux/kernel@6.6-1?arch=x86_64'],
      20,
    ],
  );
});
