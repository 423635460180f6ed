import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { DiskRepo, needsDiskTools } from '../rig/disk-repo.ts';
import { executed, HASH, type Wishes, writeDiskTemplate } from '../rig/disk-template.ts';
import { Rig, type Run } from '../rig/rig.ts';

const skip = { skip: needsDiskTools };
let tiny: DiskRepo | undefined;
let rig: Rig;

before(async () => {
  rig = new Rig();
  if (needsDiskTools === false) tiny = await DiskRepo.start();
});
after(async () => {
  await tiny?.[Symbol.asyncDispose]();
  await rig[Symbol.asyncDispose]();
});

const writeTemplate = (world: Rig, wishes: Wishes = {}): void => {
  assert.ok(tiny);
  writeDiskTemplate(world, tiny, wishes);
};

const compose = async (world: Rig, ...args: readonly string[]): Promise<Run> =>
  await world.varve(['compose', 'os.yml', '--progress=plain', ...args]);
const digest = (path: string): string =>
  createHash('sha256').update(readFileSync(path)).digest('hex');

const DISK = ['-o', 'type=raw,dest=disk.img'];

/** Bytes that a store has on the disk. */
const bytesOf = (store: string): number =>
  Number.parseInt(execFileSync('du', ['-s', '-B1', store], { encoding: 'utf8' }), 10);

/** A runtime that notes what it starts. */
function countRuns(world: Rig): { readonly runtime: string; readonly count: () => number } {
  const [runtime, log] = [join(world.root, 'runtime'), join(world.root, 'runs')];
  writeFileSync(log, '');
  writeFileSync(runtime, `#!/bin/sh\necho "$*" >> ${log}\nexec runc "$@"\n`, { mode: 0o755 });
  return {
    runtime,
    count: () =>
      readFileSync(log, 'utf8')
        .split('\n')
        .filter((line) => / run /.test(line)).length,
  };
}

test('two empty stores make the same disk, whose parts other tools read', skip, async () => {
  writeTemplate(rig);
  const first = await compose(rig, ...DISK);
  assert.equal(first.status, 0, first.stderr);
  const disk = join(rig.work, 'disk.img');
  await using other = new Rig();
  writeTemplate(other);
  const second = await compose(other, ...DISK);
  assert.equal(second.status, 0, second.stderr);
  assert.equal(digest(join(other.work, 'disk.img')), digest(disk));
  assert.ok(statSync(disk).blocks * 512 < statSync(disk).size, 'the disk has holes');
  const table = execFileSync('sfdisk', ['--json', disk], { encoding: 'utf8' });
  assert.deepEqual(
    [...table.matchAll(/"(?:start|type)": ?"?([^",\n]+)/g)].map(([, v]) => v),
    [
      '2048',
      'C12A7328-F81F-11D2-BA4B-00A0C93EC93B',
      '34816',
      '4F68BCE3-E8CD-4DB1-96E7-FBCAF984B709',
    ],
  );
  const root = join(rig.work, 'root.img');
  execFileSync('dd', [`if=${disk}`, `of=${root}`, 'bs=1M', 'skip=17', 'status=none']);
  const cat = (path: string): string =>
    execFileSync('debugfs', ['-R', `cat ${path}`, root], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    });
  execFileSync('e2fsck', ['-fn', root], { stdio: 'ignore' });
  assert.deepEqual(
    {
      motd: cat('/etc/motd'),
      made: cat('/etc/made'),
      host: cat('/etc/hostname'),
      shadow: cat('/etc/shadow')
        .split('\n')
        .map((line) => line.split(':').slice(0, 2).join(' '))
        .filter((line) => line !== ''),
      fstab: cat('/etc/fstab')
        .split('\n')
        .map((line) => line.replace(/^\S+/, 'PARTUUID')),
    },
    {
      motd: 'hello\n',
      made: 'made\n',
      host: 'tinybox\n',
      shadow: ['root !*', `ops ${HASH}`, 'locked !'],
      fstab: ['PARTUUID /boot/efi vfat umask=0077 0 2', 'PARTUUID / ext4 defaults 0 1', ''],
    },
  );
  const efi = execFileSync('mcopy', ['-n', '-i', `${disk}@@1M`, '::/EFI/BOOT/BOOTX64.EFI', '-'], {
    encoding: 'latin1',
    maxBuffer: 1 << 26,
  });
  for (const part of ['kernel\n', 'initramfs of 6.1-tiny\n', 'ID=tiny\n', 'rw quiet\0'])
    assert.ok(efi.includes(part), part);
});

test('a change is made again from the stage that it belongs to', skip, async () => {
  writeTemplate(rig);
  await compose(rig, ...DISK);
  const before = digest(join(rig.work, 'disk.img'));
  const again = executed(await compose(rig, ...DISK));
  writeTemplate(rig, { cmdline: 'debug' });
  const argument = executed(await compose(rig, ...DISK));
  writeTemplate(rig);
  rig.write('motd', 'changed\n');
  const file = executed(await compose(rig, ...DISK));
  writeTemplate(rig, { password: `${HASH}x` });
  const password = executed(await compose(rig, ...DISK));
  writeTemplate(rig);
  const back = executed(await compose(rig, ...DISK));
  assert.deepEqual(
    { again, argument, file, password, back },
    {
      again: [],
      argument: ['disk', 'esp', 'uki'],
      file: ['configured', 'disk'],
      password: ['configured', 'disk'],
      back: [],
    },
  );
  assert.equal(digest(join(rig.work, 'disk.img')), before);
});

test('disks are converted to the same bytes twice, and compressed', skip, async () => {
  writeTemplate(rig);
  // Those with random numbers in them are made twice; compression has none.
  const outputs = ['qcow2', 'vhd', 'vmdk'].flatMap((kind) => [
    '-o',
    `type=${kind},dest=disk.${kind}`,
  ]);
  const compressed = [
    ...['-o', 'type=raw,dest=disk.gz,compression=gzip', ...DISK],
    ...['-o', 'type=raw,dest=disk.zst,compression=zstd'],
    ...['-o', 'type=raw,dest=disk.xz,compression=xz'],
  ];
  const made = await compose(rig, ...outputs, ...compressed);
  assert.equal(made.status, 0, made.stderr);
  const packed = { gz: 'gzip', zst: 'zstd', xz: 'xz' };
  const names = ['disk.qcow2', 'disk.vhd', 'disk.vmdk'];
  const digests = names.map((name) => digest(join(rig.work, name)));
  const again = await compose(rig, '--no-cache', ...outputs);
  assert.equal(again.status, 0, again.stderr);
  assert.deepEqual(
    names.map((name) => digest(join(rig.work, name))),
    digests,
  );
  const raw = join(rig.work, 'disk.img');
  const compared = [
    ['qcow2', 'qcow2'],
    ['vhd', 'vpc'],
    ['vmdk', 'vmdk'],
  ].map(([suffix, format]) =>
    execFileSync(
      'qemu-img',
      ['compare', '-f', format ?? '', '-F', 'raw', join(rig.work, `disk.${suffix ?? ''}`), raw],
      { encoding: 'utf8' },
    ),
  );
  assert.deepEqual(compared, Array(3).fill('Images are identical.\n'));
  const want = digest(raw);
  for (const [suffix, program] of Object.entries(packed)) {
    const plain = execFileSync(program, ['-dc', join(rig.work, `disk.${suffix}`)], {
      maxBuffer: 1 << 30,
    });
    assert.equal(createHash('sha256').update(plain).digest('hex'), want, suffix);
  }
});

test(
  'a lock makes the same disk offline, and no hash of a password is in the output',
  skip,
  async () => {
    await using world = new Rig();
    writeTemplate(world);
    const first = await compose(world, ...DISK, '--lock', 'os.lock');
    assert.equal(first.status, 0, first.stderr);
    const before = digest(join(world.work, 'disk.img'));
    assert.ok(tiny);
    tiny.repo.requests.length = 0;
    const frozen = await compose(
      world,
      '--no-cache',
      '--frozen',
      '--offline',
      '--lock',
      'os.lock',
      ...DISK,
    );
    assert.equal(frozen.status, 0, frozen.stderr);
    assert.deepEqual([digest(join(world.work, 'disk.img')), tiny.repo.requests], [before, []]);
    assert.ok(!`${first.stderr}${frozen.stderr}`.includes(HASH));
    writeTemplate(world, { packages: 'extra' });
    const unfit = await compose(world, '--frozen', '--lock', 'os.lock', ...DISK);
    assert.deepEqual(
      [unfit.status, unfit.stderr.split('\n')[0]],
      [2, 'error[TP010]: the lock of root does not fit the template: it has no extra'],
    );
  },
);

test(
  'one package more is installed on the nearest earlier root, and the disk is that of a clean build',
  skip,
  async () => {
    await using world = new Rig();
    writeTemplate(world);
    await compose(world, ...DISK);
    const before = bytesOf(world.store);
    const runs = countRuns(world);
    writeTemplate(world, { packages: 'extra' });
    const grown = await world.varve(['compose', 'os.yml', '--progress=plain', ...DISK], {
      env: { VARVE_RUNTIME: runs.runtime },
    });
    const disk = statSync(join(world.work, 'disk.img')).blocks * 512;
    const written = bytesOf(world.store) - before;
    // The disk once, and no file system beside it.
    assert.ok(written < disk + 4 * 1024 * 1024, `${written} bytes for a disk of ${disk}`);
    assert.deepEqual(
      {
        // dpkg, `concerned` and four of `configured`; the disk is written by the program itself.
        containers: runs.count(),
        executed: executed(grown),
        installed: [...grown.stderr.matchAll(/ Setting up (\S+) /g)].map(([, name]) => name),
      },
      {
        containers: 6,
        executed: ['concerned', 'configured', 'disk'],
        installed: ['extra'],
      },
    );
    const image = digest(join(world.work, 'disk.img'));
    const clean = await compose(world, '--clean', ...DISK);
    assert.equal(clean.status, 0, clean.stderr);
    assert.ok(clean.stderr.includes('Setting up tiny-base'));
    assert.equal(digest(join(world.work, 'disk.img')), image);
    const verified = await world.varve(['compose', 'verify', 'os.yml']);
    assert.deepEqual(
      [verified.status, /^\d+ files: the same as from nothing\n$/.test(verified.stdout)],
      [0, true],
      verified.stderr,
    );
  },
);

test('a package that takes part in the initramfs makes it again', skip, async () => {
  await using world = new Rig();
  writeTemplate(world);
  await compose(world, ...DISK);
  writeTemplate(world, { packages: 'hooked' });
  const run = await compose(world, ...DISK);
  assert.deepEqual(executed(run), ['concerned', 'configured', 'disk', 'esp', 'initramfs', 'uki']);
  const efi = execFileSync(
    'mcopy',
    ['-n', '-i', `${join(world.work, 'disk.img')}@@1M`, '::/EFI/BOOT/BOOTX64.EFI', '-'],
    { encoding: 'latin1', maxBuffer: 1 << 26 },
  );
  assert.ok(efi.includes('initramfs of 6.1-tiny\na hook\n'));
});

/** Distributions whose packages have the names of Debian's, as their templates and repositories name them. */
const RELATED = [
  { os: 'ubuntu', dist: 'ubuntu24', suite: 'noble', kernel: 'linux-image-virtual' },
  { os: 'wind-river-elxr', dist: 'elxr12', suite: 'aria', kernel: 'linux-image-amd64' },
] as const;

test('disks of Ubuntu and eLxr are made of repositories laid out as theirs', skip, async () => {
  assert.ok(tiny);
  const made: unknown[] = [];
  for (const { os, dist, suite, kernel } of RELATED) {
    tiny.repo.add({ name: kernel, files: { 'boot/vmlinuz-6.8-related': `${kernel}\n` } });
    tiny.repo.publish(suite, { fields: { Origin: dist } });
    await using world = new Rig();
    writeTemplate(world);
    const text = readFileSync(join(world.work, 'os.yml'), 'utf8');
    world.write(
      'os.yml',
      text
        .replace('os: debian, dist: debian12', `os: ${os}, dist: ${dist}`)
        .replace('codename: bookworm', `codename: ${suite}`),
    );
    const resolved = await world.varve(['compose', 'resolve', 'os.yml']);
    const run = await compose(world, ...DISK);
    assert.equal(run.status, 0, run.stderr);
    const efi = execFileSync(
      'mcopy',
      ['-n', '-i', `${join(world.work, 'disk.img')}@@1M`, '::/EFI/BOOT/BOOTX64.EFI', '-'],
      { encoding: 'latin1', maxBuffer: 1 << 26 },
    );
    made.push([
      resolved.stdout
        .trim()
        .split('\n')
        .at(-1)
        ?.replace(/, .* of/, ' of'),
      efi.includes(`initramfs of 6.8-related\n`) && efi.includes(`${kernel}\n`),
    ]);
  }
  assert.deepEqual(made, [
    ['12 packages of ubuntu noble amd64', true],
    ['12 packages of elxr aria amd64', true],
  ]);
});
