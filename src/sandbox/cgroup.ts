import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmdirSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { isErrno } from '../base/index.ts';
import type { SandboxGroup, SandboxLimits } from '../ports/index.ts';

/** Where the machine's control groups are mounted. Both kinds at once ("hybrid") counts as v1: there the controllers are. */
export interface CgroupMounts {
  readonly version: 1 | 2;
  /** Mount point of every hierarchy. */
  readonly roots: readonly string[];
  /** Controllers of version 1 hierarchies; those of version 2 are found in its files. */
  readonly controllers: readonly string[];
}

/** Reads the hierarchies from the text of `/proc/self/mountinfo` (proc_pid_mountinfo(5)). */
export function cgroupMounts(mountinfo: string): CgroupMounts {
  const mounts = mountinfo.split('\n').flatMap((line) => {
    const [left = '', right = ''] = line.split(' - ');
    const type = right.split(' ')[0] ?? '';
    const target = left.split(' ')[4];
    return target !== undefined && /^cgroup2?$/.test(type)
      ? [{ target: unescape(target), type, options: right.split(' ')[2] ?? '' }]
      : [];
  });
  return {
    version: mounts.some((m) => m.type === 'cgroup') ? 1 : 2,
    roots: mounts.map((m) => m.target),
    controllers: mounts.flatMap((m) => (m.type === 'cgroup' ? m.options.split(',') : [])),
  };
}

/** What of the limits the machine's control groups cannot hold, in the words of the flags. */
export function unlimitable(mounts: CgroupMounts, limits: SandboxLimits): string[] {
  const available = new Set(mounts.controllers);
  // On a machine with both kinds the runtime uses version 1 only.
  if (mounts.version === 2)
    for (const root of mounts.roots)
      for (const name of (readIfThere(join(root, 'cgroup.controllers')) ?? '').trim().split(' '))
        available.add(name);
  const needs: readonly (readonly [unknown, string, string])[] = [
    [limits.memoryBytes, 'memory', 'memory'],
    [limits.cpus, 'cpu', 'processor time'],
    [limits.cpusetCpus, 'cpuset', 'the choice of processors'],
    [limits.pids, 'pids', 'the number of processes'],
  ];
  return needs.flatMap(([value, controller, what]) =>
    value === undefined || available.has(controller) ? [] : [what],
  );
}

/** Octal escapes of spaces and the like in mount tables. */
function unescape(text: string): string {
  return text.replace(/\\([0-7]{3})/g, (_, octal: string) =>
    String.fromCharCode(Number.parseInt(octal, 8)),
  );
}

/** Whether swap can be limited. */
export function limitsSwap(mounts: CgroupMounts): boolean {
  return mounts.version === 2
    ? true
    : mounts.roots.some((root) => existsSync(join(root, 'memory.memsw.limit_in_bytes')));
}

/** Whether the kernel ended a process of the group because its memory limit was reached (`oom_kill`, cgroup-v2 and v1). */
export function wasOutOfMemory(mounts: CgroupMounts, path: string): boolean {
  return mounts.roots.some((root) =>
    ['memory.events', 'memory.oom_control'].some((file) => {
      const text = readIfThere(join(root, path, file));
      return text !== undefined && Number(/^oom_kill (\d+)$/m.exec(text)?.[1] ?? 0) > 0;
    }),
  );
}

/** Processes still in the group, in any hierarchy. */
export function processesIn(mounts: CgroupMounts, path: string): number[] {
  const all = mounts.roots.flatMap((root) =>
    (readIfThere(join(root, path, 'cgroup.procs')) ?? '').split('\n').filter((l) => l !== ''),
  );
  return [...new Set(all.map(Number))];
}

/** Removes the group and the groups a step made below it, where the runtime left them; busy ones stay. */
export function removeCgroup(mounts: CgroupMounts, path: string): void {
  for (const root of mounts.roots) removeTree(join(root, path));
}

/** Length of the window in which processor time is counted, in microseconds. */
const CPU_PERIOD = 100_000;

/**
 * Makes the control group that holds those of a build's steps, with what all of them together may use. Nothing of it is
 * undone by the runtime, which only makes groups below it. Swap counts as memory.
 */
export function makeParentGroup(
  mounts: CgroupMounts,
  path: string,
  limits: SandboxGroup['limits'],
): void {
  const { memoryBytes: memory, cpus, pids } = limits;
  const quota = cpus === undefined ? undefined : Math.max(1000, Math.round(cpus * CPU_PERIOD));
  // Names of both versions: a hierarchy has the files of its own version and controllers only.
  const values: readonly (readonly [file: string, value: number | string | undefined])[] = [
    ['memory.use_hierarchy', memory === undefined ? undefined : 1],
    ['memory.limit_in_bytes', memory],
    ['memory.memsw.limit_in_bytes', memory],
    ['memory.max', memory],
    ['memory.swap.max', memory === undefined ? undefined : 0],
    ['cpu.cfs_period_us', quota === undefined ? undefined : CPU_PERIOD],
    ['cpu.cfs_quota_us', quota],
    ['cpu.max', quota === undefined ? undefined : `${quota} ${CPU_PERIOD}`],
    ['pids.max', pids],
  ];
  for (const root of mounts.roots) {
    const dir = join(root, path);
    mkdirSync(dirname(dir), { recursive: true });
    if (mounts.version === 2) delegate(root, dirname(dir));
    mkdirSync(dir, { recursive: true });
    for (const [file, value] of values)
      if (value !== undefined && existsSync(join(dir, file)))
        writeFileSync(join(dir, file), String(value));
  }
}

/** Lets groups below `dir` be limited: version 2 hands controllers on from group to group (cgroup-v2, "Enabling and Disabling"). */
function delegate(root: string, dir: string): void {
  if (dir !== root) delegate(root, dirname(dir));
  const available = (readIfThere(join(dir, 'cgroup.controllers')) ?? '').split(/\s+/);
  const wanted = ['memory', 'cpu', 'pids'].filter((name) => available.includes(name));
  if (wanted.length > 0)
    writeFileSync(join(dir, 'cgroup.subtree_control'), wanted.map((name) => `+${name}`).join(' '));
}

/** Removes a build's group unless something is in it. */
export function removeParentGroup(mounts: CgroupMounts, path: string): void {
  for (const root of mounts.roots) {
    try {
      rmdirSync(join(root, path));
    } catch (e) {
      if (!isErrno(e, 'ENOENT', 'EBUSY', 'ENOTEMPTY')) throw e;
    }
  }
}

function removeTree(dir: string): void {
  if (!existsSync(dir)) return;
  try {
    for (const entry of readdirSync(dir, { withFileTypes: true }))
      if (entry.isDirectory()) removeTree(join(dir, entry.name));
    rmdirSync(dir);
  } catch (e) {
    if (!isErrno(e, 'ENOENT', 'EBUSY')) throw e;
  }
}

function readIfThere(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch (e) {
    if (isErrno(e, 'ENOENT', 'ENODEV')) return undefined;
    throw e;
  }
}
