import type { ChildProcess } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { startFaultyProxy } from './registry.ts';
import type { Rig } from './rig.ts';

/** Waits until a program has written a text to its standard error, or has ended. */
export async function said(child: ChildProcess, wanted: RegExp): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<undefined>();
  let text = '';
  child.stderr?.on('data', (more: string) => {
    text += more;
    if (wanted.test(text)) resolve(undefined);
  });
  child.once('close', () => resolve(undefined));
  await promise;
}

/** Names in a directory that may not be there. */
export const names = (dir: string): string[] => (existsSync(dir) ? readdirSync(dir) : []);

/** Filters that crun has compiled: it looks them up for the next step. */
const FILTERS = 'run/runtime/.cache';
/** What `run/` has between commands. */
const LASTING: ReadonlySet<string> = new Set(['owners', 'runtime', 'runtime-trial']);

/** What a command left behind: processes, mounts, leases, half-written files, control groups, state of steps. */
export function leftovers(rig: Rig, groups: ReadonlySet<string>): string[] {
  const db = existsSync(join(rig.store, 'state.db'))
    ? new DatabaseSync(join(rig.store, 'state.db'))
    : undefined;
  const leases =
    db
      ?.prepare('SELECT purpose FROM lease')
      .all()
      .map((row) => `lease ${String(row['purpose'])}`) ?? [];
  db?.close();
  const below = (dir: string): string[] =>
    names(join(rig.store, dir))
      .map((name) => `${dir}/${name}`)
      .filter((path) => path !== FILTERS);
  return [
    ...processesOf(rig),
    ...readFileSync('/proc/self/mountinfo', 'utf8')
      .split('\n')
      .filter((line) => line.includes(rig.root)),
    ...leases,
    ...['snapshots/work', 'tmp', 'run/owners', 'run/runtime', 'content/ingest'].flatMap(below),
    ...names(join(rig.store, 'run')).filter((name) => !LASTING.has(name)),
    ...names(rig.work).filter((name) => /tmp/.test(name)),
    ...[...groupsOf(rig)].filter((group) => !groups.has(group)),
  ];
}

/** Processes that name the world in their command line, or whose root lies in it. */
export function processesOf(rig: Rig): string[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name) && name !== String(process.pid))
    .flatMap((pid) => {
      try {
        const command = readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ');
        const root = readlinkSync(`/proc/${pid}/root`);
        return command.includes(rig.root) ||
          root.includes(rig.root) ||
          command.includes(`sleep ${rig.root.length}7777`)
          ? [`process ${pid} ${command}`]
          : [];
      } catch {
        // It ended while it was looked at.
        return [];
      }
    });
}

/** Control groups that belong to runs of this world: their ids stand in its owners' files. */
function groupsOf(rig: Rig): Set<string> {
  const owners = names(join(rig.store, 'run/owners')).map((name) => `varve-${name}`);
  const roots = [
    '/sys/fs/cgroup',
    ...names('/sys/fs/cgroup').map((name) => join('/sys/fs/cgroup', name)),
  ];
  return new Set(
    owners.flatMap((owner) =>
      roots.map((root) => join(root, owner)).filter((path) => existsSync(path)),
    ),
  );
}

/** A server that answers nothing to requests of a kind, and when the first of them came. */
export async function stalling(
  use: AsyncDisposableStack,
  path: RegExp,
): Promise<{ host: string; reached: Promise<unknown> }> {
  const { promise, resolve } = Promise.withResolvers<undefined>();
  const proxy = use.use(
    await startFaultyProxy(undefined, (request) => {
      if (!path.test(`${request.method} ${request.path}`)) return { kind: 'status', status: 200 };
      resolve(undefined);
      return { kind: 'stall' };
    }),
  );
  return { host: proxy.host, reached: promise };
}

/** Looks again whenever the event loop turns, until the program has ended. */
export async function until(holds: () => boolean, child: ChildProcess): Promise<void> {
  while (!holds() && child.exitCode === null) await new Promise((resolve) => setImmediate(resolve));
}
