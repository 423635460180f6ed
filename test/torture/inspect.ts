/** What must be true of a store whatever happened to the processes that worked on it. */
import { createHash } from 'node:crypto';
import { existsSync, globSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';

/** Every file below a directory with the digest of its bytes, by relative path. */
export function digestsIn(dir: string): ReadonlyMap<string, string> {
  if (!existsSync(dir)) return new Map();
  const files = readdirSync(dir, { recursive: true, withFileTypes: true }).filter((e) =>
    e.isFile(),
  );
  return new Map(
    files
      .map((entry) => join(entry.parentPath, entry.name))
      .map((path): readonly [string, string] => [
        path.slice(dir.length + 1),
        createHash('sha256').update(readFileSync(path)).digest('hex'),
      ])
      .sort(([a], [b]) => (a < b ? -1 : 1)),
  );
}

/** Blobs of stores and layouts, and packages. */
const NAMED = /(?:^|\/)(?:blobs\/sha256|pool\/[0-9a-f]{2})\/[0-9a-f]{64}$/;

/** Files under the name of a digest that they do not have; they are damage at any moment, also right after a kill. */
export function falseNames(dir: string): string[] {
  // What a killed command's step still works in is not looked into.
  const places = ['content/blobs/sha256', 'packages/pool', 'blobs/sha256', 'cache', 'shared'];
  return places
    .flatMap((place) =>
      [...digestsIn(join(dir, place))].map(
        ([path, digest]) => [join(place, path), digest] as const,
      ),
    )
    .filter(([path, digest]) => NAMED.test(path) && !path.endsWith(digest))
    .map(([path]) => `${path} has other bytes than its name says`);
}

/** Control groups that the runs of dead commands may have left, to be looked for after the next command. */
export function groupsOf(store: string): readonly string[] {
  const owners = join(store, 'run/owners');
  return existsSync(owners) ? readdirSync(owners).map((id) => `varve-${id}`) : [];
}

/** What a dead command left that the next one had to remove. */
export function leftovers(store: string, groups: readonly string[]): string[] {
  const found: string[] = [];
  const say = (what: string, names: readonly string[]): void => {
    if (names.length > 0) found.push(`${what}: ${names.join(', ')}`);
  };
  const mounts = readFileSync('/proc/self/mountinfo', 'utf8').split('\n');
  say(
    'mounts',
    mounts
      .flatMap((line) => line.split(' ').slice(4, 5))
      .filter((at) => at.startsWith(`${store}/`)),
  );
  for (const folder of ['snapshots/work', 'run/owners', 'trash', 'tmp'])
    say(folder, namesIn(join(store, folder)));
  say(
    'steps',
    namesIn(join(store, 'run')).filter((name) => /^[0-9a-z]{12,}$/.test(name)),
  );
  say(
    'ingest',
    namesIn(join(store, 'content/ingest')).filter((name) => name.endsWith('.work')),
  );
  say('processes', processesOf(store));
  const groupsLeft = groups.filter(
    (group) => globSync(`/sys/fs/cgroup/{${group},*/${group}}`).length > 0,
  );
  say('control groups', groupsLeft);
  return found;
}

/** Files under temporary names anywhere in the store. */
export function temporaryNames(store: string): readonly string[] {
  return readdirSync(store, { recursive: true, encoding: 'utf8' }).filter(
    (path) => /(?:^|\/)\.?tmp-/.test(path) && !path.includes('/fs/'),
  );
}

/** Problems of the database itself, and leases that nobody alive holds. */
export function databaseFaults(store: string): string[] {
  const path = join(store, 'state.db');
  if (!existsSync(path)) return [];
  using db = new Database(path);
  return db.faults();
}

class Database implements Disposable {
  readonly #db: DatabaseSync;

  constructor(path: string) {
    this.#db = new DatabaseSync(path, { timeout: 10_000 });
  }

  faults(): string[] {
    const said = this.#db.prepare('PRAGMA integrity_check').all();
    const text = said.map((row) => String(row['integrity_check'])).join('; ');
    const keys = this.#db.prepare('PRAGMA foreign_key_check').all().length;
    const leases = this.#db.prepare('SELECT purpose FROM lease').all();
    return [
      ...(text === 'ok' ? [] : [`database: ${text}`]),
      ...(keys === 0 ? [] : [`database: ${keys} rows lead nowhere`]),
      ...leases.map((row) => `lease: ${String(row['purpose'])}`),
    ];
  }

  [Symbol.dispose](): void {
    this.#db.close();
  }
}

/** Processes that run in the store or name it. */
function processesOf(store: string): string[] {
  return readdirSync('/proc')
    .filter((pid) => /^\d+$/.test(pid) && Number(pid) !== process.pid)
    .filter((pid) => {
      const links = ['root', 'cwd'].map((link) =>
        tryTo(() => readlinkSync(`/proc/${pid}/${link}`)),
      );
      const line = tryTo(() => readFileSync(`/proc/${pid}/cmdline`, 'utf8'));
      return (
        links.some((to) => to?.startsWith(`${store}/`) === true) || line?.includes(`${store}/`)
      );
    });
}

function namesIn(dir: string): readonly string[] {
  return existsSync(dir) ? readdirSync(dir) : [];
}

/** A process may end while it is looked at. */
function tryTo<T>(work: () => T): T | undefined {
  try {
    return work();
  } catch {
    return undefined;
  }
}
