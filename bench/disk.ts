/** Where a benchmark works: a fresh ext4 on a loop device when root may make one, a temporary directory otherwise. */
import { spawnSync } from 'node:child_process';
import { closeSync, ftruncateSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';

const GiB = 2 ** 30;

/** A place that is removed at the end, with everything mounted in it. */
export interface Disk extends Disposable {
  readonly root: string;
  readonly what: string;
  /** Bytes written to the device so far, after everything was written out; undefined without a device of its own. */
  readonly written: () => number | undefined;
}

/** Makes the place; the file behind the device is sparse. */
export function makeDisk(gibibytes: number): Disk {
  const dir = mkdtempSync(join(tmpdir(), 'varve-bench-'));
  const root = join(dir, 'disk');
  const loop = makeLoop(dir, root, gibibytes);
  const dispose = (): void => {
    const mounts = readFileSync('/proc/self/mounts', 'utf8').split('\n').reverse();
    for (const path of mounts.map((line) => line.split(' ')[1] ?? ''))
      if (path.startsWith(`${dir}/`)) spawnSync('umount', [path]);
    if (loop !== undefined) spawnSync('losetup', ['-d', loop]);
    rmSync(dir, { recursive: true, force: true });
  };
  const written = (): number | undefined => {
    if (loop === undefined) return undefined;
    spawnSync('sync', ['-f', root]);
    // Documentation/block/stat.rst: the seventh number is sectors of 512 bytes.
    const stat = readFileSync(`/sys/block/${basename(loop)}/stat`, 'utf8')
      .trim()
      .split(/\s+/);
    return Number(stat[6]) * 512;
  };
  return {
    root: loop === undefined ? dir : root,
    what: loop === undefined ? `directory ${dir}` : 'fresh ext4 on a loop device',
    written,
    [Symbol.dispose]: dispose,
  };
}

function makeLoop(dir: string, root: string, gibibytes: number): string | undefined {
  if (process.getuid?.() !== 0) return undefined;
  const image = join(dir, 'image');
  const fd = openSync(image, 'w');
  ftruncateSync(fd, gibibytes * GiB);
  closeSync(fd);
  const device = said('losetup', ['--find', '--show', image]);
  if (device === undefined) return undefined;
  const ready =
    said('mkfs.ext4', ['-q', '-E', 'lazy_itable_init=1', device]) !== undefined &&
    said('mkdir', [root]) !== undefined &&
    said('mount', ['-o', 'noinit_itable', device, root]) !== undefined;
  if (ready) return device;
  spawnSync('losetup', ['-d', device]);
  return undefined;
}

function said(command: string, args: readonly string[]): string | undefined {
  const run = spawnSync(command, args, { encoding: 'utf8' });
  return run.status === 0 ? run.stdout.trim() : undefined;
}
