import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { sha256 } from '../../src/base/index.ts';
import { DiskRepo, needsDiskTools } from '../rig/disk-repo.ts';
import { writeDiskTemplate } from '../rig/disk-template.ts';
import { Rig, type Run } from '../rig/rig.ts';

const skip = { skip: needsDiskTools };
const NAMES = ['convert', 'disk', 'kernel'].map((root) => `debian-debian12-x86_64-${root}.tar.zst`);
let tiny: DiskRepo | undefined;
/** The store in which the tools were installed. */
let rig: Rig;

before(async () => {
  rig = new Rig();
  if (needsDiskTools !== false) return;
  tiny = await DiskRepo.start();
  writeDiskTemplate(rig, tiny);
  const run = await compose(rig, 'chroot', 'os.yml', '-o', 'tools/');
  assert.equal(run.status, 0, run.stderr);
});
after(async () => {
  await tiny?.[Symbol.asyncDispose]();
  await rig[Symbol.asyncDispose]();
});

const compose = async (world: Rig, ...args: readonly string[]): Promise<Run> =>
  await world.varve(['compose', ...args, '--progress=plain']);
const at = (name: string): string => join(rig.work, 'tools', name);
const digest = (path: string): string => sha256(readFileSync(path));

/** The roots into which a run installed packages: dpkg says each. */
function installed(run: Run): readonly string[] {
  assert.equal(run.status, 0, run.stderr);
  const at = new Set([...run.stderr.matchAll(/^#(\d+) [\d.]+ Unpacking /gm)].map(([, n]) => n));
  const all = [...run.stderr.matchAll(/^#(\d+) \[context (os-[a-z-]+)\]/gm)];
  return [...new Set(all.filter(([, n]) => at.has(n)).map(([, , name = '']) => name))].sort();
}

/** A new machine, whose store is empty, with copies of the files. */
function machine(files: readonly string[] = NAMES): Rig {
  assert.ok(tiny);
  const world = new Rig();
  writeDiskTemplate(world, tiny);
  mkdirSync(join(world.work, 'tools'));
  for (const name of files) world.write(join('tools', name), readFileSync(at(name)));
  return world;
}

test(
  'the tools are tars in zstd that other programs unpack, the same bytes from two stores',
  skip,
  async () => {
    assert.deepEqual(readdirSync(join(rig.work, 'tools')).sort(), NAMES);
    const listed = (name: string): readonly string[] =>
      execFileSync('tar', ['--zstd', '-tf', at(name)], { encoding: 'utf8' }).split('\n');
    const [convert = '', disk = '', kernel = ''] = NAMES;
    assert.deepEqual(
      [
        listed(disk).includes('usr/sbin/mke2fs'),
        listed(convert).includes('usr/bin/qemu-img'),
        listed(kernel).includes('usr/sbin/update-initramfs'),
      ],
      [true, true, true],
    );
    await using other = machine([]);
    const again = await compose(other, 'chroot', 'os.yml', '-o', 'disk.tar.zst', '--json');
    assert.deepEqual(installed(again), ['os-disk-tools']);
    assert.equal(digest(join(other.work, 'disk.tar.zst')), digest(at(disk)));
    const [printed] = (
      JSON.parse(again.stdout) as {
        readonly chroots: readonly { readonly root: string; readonly digest: string }[];
      }
    ).chroots;
    const blob = join(other.store, 'content/blobs/sha256', String(printed?.digest).slice(7));
    assert.deepEqual([printed?.root, digest(blob)], ['disk', printed?.digest]);
    const damaged = readFileSync(blob);
    damaged[damaged.length >> 1] = (damaged[damaged.length >> 1] ?? 0) ^ 1;
    writeFileSync(blob, damaged);
    const refused = await compose(other, 'chroot', 'os.yml', '-o', 'again.tar.zst');
    const mended = await compose(other, 'chroot', 'os.yml', '-o', 'again.tar.zst');
    assert.deepEqual(
      [refused.status, /^error\[TP014\]: .*$/m.exec(refused.stderr)?.[0], mended.status],
      [3, 'error[TP014]: the snapshot of the disk tools was damaged in the store', 0],
    );
    assert.equal(digest(join(other.work, 'again.tar.zst')), digest(at(disk)));
  },
);

test(
  'a compose that begins with the tools of another machine installs none, and makes the same disk',
  skip,
  async () => {
    const formats = ['raw', 'qcow2'];
    const args = (kind: string): readonly string[] => ['-o', `type=${kind},dest=disk.${kind}`];
    await using other = machine();
    const made: (readonly string[])[] = [];
    for (const kind of formats) {
      const own = await compose(rig, 'os.yml', ...args(kind));
      assert.equal(own.status, 0, own.stderr);
      const run = await compose(other, 'os.yml', ...args(kind), '--chroot', 'tools');
      assert.doesNotMatch(run.stderr, /warning/);
      made.push(installed(run));
    }
    // The root of this template has no other packages than its kernel's.
    assert.deepEqual(made, [[], []]);
    for (const name of ['disk.raw', 'disk.qcow2'])
      assert.equal(digest(join(other.work, name)), digest(join(rig.work, name)), name);
    // What was taken is handed on as it came.
    const onward = await compose(other, 'chroot', 'os.yml', '-o', 'onward/');
    assert.deepEqual(installed(onward), []);
    for (const name of NAMES)
      assert.equal(digest(join(other.work, 'onward', name)), digest(at(name)), name);
  },
);

test(
  'a file with another byte, or of other packages, is refused and its tools are installed',
  skip,
  async () => {
    const [, disk = ''] = NAMES;
    const whole = readFileSync(at(disk));
    const behind = whole.indexOf('"packages":') + 20;
    const warned: string[] = [];
    await using other = machine([]);
    for (const [name, where] of [
      ['beginning', behind],
      ['middle', Math.floor(whole.length / 2)],
      ['end', whole.length - 1],
    ] as const) {
      const bytes = Buffer.from(whole);
      bytes[where] = (bytes[where] ?? 0) ^ 1;
      writeFileSync(join(other.work, 'tools', disk), bytes);
      const run = await compose(
        other,
        'os.yml',
        '--chroot',
        `tools/${disk}`,
        '-o',
        'type=raw,dest=disk.img',
      );
      assert.equal(run.status, 0, run.stderr);
      const [said = ''] = /warning\[TP014\].*/.exec(run.stderr) ?? [];
      warned.push(`${name}: ${/it is damaged/.test(said)}`);
      await other.varve(['cache', 'prune', '--all', '--force']);
    }
    assert.deepEqual(warned, ['beginning: true', 'middle: true', 'end: true']);
    assert.ok(tiny);
    tiny.repo.add({ name: 'erofs-utils', version: '2.0' });
    tiny.repo.publish('bookworm');
    await using later = machine();
    const run = await compose(later, 'os.yml', '--chroot', 'tools', '-o', 'type=raw,dest=disk.img');
    assert.deepEqual(installed(run), ['os-disk-tools']);
    assert.match(run.stderr, /not used: it has erofs-utils 1\.0, and 2\.0 is wanted/);
  },
);
