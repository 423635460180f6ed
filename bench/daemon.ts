/** A daemon that does a peer's work: what it and its children have used, which GNU time around the client cannot see. */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';

const TICKS_PER_SECOND = 100;

/** CPU seconds of a process, its living descendants, and the children they have waited for (proc(5), stat). */
export function cpuOfTree(pid: number): number {
  return [...tree(pid)].reduce((sum, each) => sum + cpuOf(each), 0);
}

/** Sets the peaks of a process tree back to what is resident now (proc(5), clear_refs). */
export function resetPeaks(pid: number): void {
  for (const each of tree(pid)) writeFileSync(`/proc/${each}/clear_refs`, '5');
}

/** The peak of the largest process of a tree, in MiB. */
export function peakOfTree(pid: number): number {
  const peaks = [...tree(pid)].map((each) => {
    const status = readOr(`/proc/${each}/status`);
    return Number(/^VmHWM:\s*(\d+) kB/m.exec(status)?.[1] ?? 0) / 1024;
  });
  return Math.max(0, ...peaks);
}

function tree(root: number): Set<number> {
  const parents = new Map<number, number>();
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    parents.set(Number(name), Number(fieldsOf(Number(name))[1]));
  }
  const found = new Set([root]);
  for (let before = 0; before !== found.size; ) {
    before = found.size;
    for (const [pid, parent] of parents) if (found.has(parent)) found.add(pid);
  }
  return found;
}

function cpuOf(pid: number): number {
  const ticks = fieldsOf(pid).slice(11, 15).map(Number);
  return ticks.reduce((sum, each) => sum + each, 0) / TICKS_PER_SECOND;
}

/** The fields behind the command's name, which may hold spaces. */
function fieldsOf(pid: number): string[] {
  const text = readOr(`/proc/${pid}/stat`);
  return text.slice(text.lastIndexOf(')') + 2).split(' ');
}

function readOr(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}
