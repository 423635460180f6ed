/**
 * Everything that `varve cache` prints of one store, as a whole (test/cases/cache). What differs from machine to machine is compared with
 * the store itself and then written by these rules:
 * - an id is the kind of its entry and a number, in the order of kind, label, time, what it stands on and size; a path begins with STORE;
 * - a size or a time of work that is what `ls --json` says is `=`, and what that says is compared with du and the rules of costs;
 * - steps are said to have taken 90 s; it is a day and a half later; a moment is TIME.
 */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { after, before, describe, test } from 'node:test';
import { formatBytes } from '../../src/base/index.ts';
import { ENTRY_KINDS } from '../../src/gc/index.ts';
import { du, jsonLines, type ListedEntry } from '../rig/cache.ts';
import { DiskRepo, needsDiskTools } from '../rig/disk-repo.ts';
import { varveAt } from '../rig/in-process.ts';
import { FileServer } from '../rig/remote.ts';
import { needsSteps, Rig } from '../rig/rig.ts';

const CASES = join(import.meta.dirname, '../cases/cache');
const LATER = 36 * 3600_000;
const STEP_MS = 90_000;
/** Other forms of layers lie in other files. */
const FORM = { VARVE_SNAPSHOTS: 'directories' };
/** What one use of the packing, unpacking and fetching rules costs, in bytes a second. */
const RATES = { fetch: 20e6, unpack: 150e6, pack: 60e6 };

/** An entry as `ls --json` prints it, whole. */
interface Whole extends ListedEntry {
  readonly shared: number;
  readonly createdAt: string;
  readonly usedAt: string;
}

const DOCKERFILE = (url: string): string => `FROM scratch AS tool
ADD ${url} /tool
FROM base
RUN --mount=type=cache,target=/c echo kept > /c/x; echo made > /made
COPY --from=tool /tool /tool
COPY data /data
`;

describe('what varve cache prints', { skip: needsSteps || needsDiskTools }, () => {
  const rig = new Rig();
  const use = new AsyncDisposableStack();
  let listed: readonly Whole[] = [];
  let names: ReadonlyMap<string, string> = new Map();
  const hosts = new Map<string, string>();

  before(async () => {
    const tiny = use.use(await DiskRepo.start());
    const files = use.use(await FileServer.start());
    files.files.set('/tool.txt', { body: 'tool'.repeat(5000), etag: '"1"' });
    hosts.set(new URL(tiny.repo.uri).host, 'REPOSITORY').set(new URL(files.url('/')).host, 'FILES');
    const mirror = `{uri: "${tiny.repo.uri}", signed-by: "${tiny.repo.keyring()}"}`;
    rig.write(
      'base.yml',
      `suite: bookworm\nvariant: essential\nmirrors: [${mirror}]\npackages: [gzip]\n`,
    );
    rig.write('app/data', 'data'.repeat(30_000));
    rig.write('app/Dockerfile', DOCKERFILE(files.url('/tool.txt')));
    const build = ['build', '--progress=plain', '--build-context', 'base=template:base.yml'];
    const epoch = ['--build-arg', 'SOURCE_DATE_EPOCH=1'];
    // The download first: two steps at once end in any order.
    await run([...build, ...epoch, '--target', 'tool', 'app'], 0);
    for (const _ of ['made', 'cached']) await run([...build, ...epoch, '-t', 'app', 'app'], 0);
    mkdirSync(join(rig.store, 'content/quarantine'), { recursive: true });
    writeFileSync(join(rig.store, `content/quarantine/sha256-${'a'.repeat(64)}`), 'torn');
    {
      using db = new Database(join(rig.store, 'state.db'));
      db.sameCosts();
    }
    await run(['cache', 'pin', 'app', '--reason', 'release 1', '--for', '7d'], 0);
    listed = await list();
    names = namesOf(listed, await run(['history', 'ls', '--json'], 0));
  });
  after(async () => {
    await use[Symbol.asyncDispose]();
    await rig[Symbol.asyncDispose]();
  });

  async function run(args: readonly string[], laterMs = LATER): Promise<string> {
    const ended = await varveAt(rig, { cwd: rig.work, args, env: FORM, laterMs });
    assert.deepEqual(
      [ended.status, args[0] === 'build' ? '' : ended.stderr],
      [0, ''],
      ended.stderr,
    );
    return ended.stdout;
  }

  const list = async (): Promise<readonly Whole[]> =>
    jsonLines(await run(['cache', 'ls', '--json'])) as readonly Whole[];

  /** Text by the rules for ids, paths and moments. */
  function named(text: string): string {
    let made = text;
    for (const [known, name] of names) made = made.replaceAll(known, name);
    for (const [host, name] of hosts) made = made.replaceAll(host, name);
    for (const { createdAt, usedAt } of listed)
      for (const at of [createdAt, usedAt])
        made = made.replaceAll(at, 'TIME').replaceAll(at.slice(0, 19).replace('T', ' '), 'TIME');
    return made.replaceAll(rig.store, 'STORE');
  }

  test('each document of ls is whole, and its sizes are those of du', async () => {
    const documents = listed
      .map((entry) => ({ name: names.get(entry.id) ?? entry.id, text: document(entry) }))
      .sort((a, b) => order(a.name, b.name));
    golden('ls-json.txt', documents.map(({ text }) => text).join(''));
    const df = jsonLines(await run(['cache', 'df', '--json']))[0] as Df;
    const sum = (entries: readonly Whole[], of: 'bytes' | 'shared'): number =>
      entries.reduce((total, entry) => total + entry[of], 0);
    // What SQLite has beside the database while it is open.
    const open = listed.filter(({ id }) => /^store:state\.db-/.test(id));
    assert.equal(df.total.bytes - sum(open, 'bytes'), du(rig.store), 'df is what du counts');
    for (const { kind, ...row } of df.kinds) {
      const mine = listed.filter((entry) => entry.kind === kind);
      const { reclaimable: _, ...counted } = row;
      const wanted = { count: mine.length, bytes: sum(mine, 'bytes'), shared: sum(mine, 'shared') };
      assert.deepEqual({ kind, ...counted }, { kind, ...wanted });
    }
    const again = jsonLines(await run(['cache', 'df', '--json']))[0] as Df;
    assert.deepEqual([again.kinds, again.total], [df.kinds, df.total], 'whoever looks how often');
  });

  /** A document, after its sizes and costs have been compared. */
  function document(entry: Whole): string {
    const { bytes, shared, cost, lastCost, ...facts } = entry;
    const database = /^store:state\.db/.test(entry.id);
    if (entry.paths.length > 0 && !database)
      assert.equal(bytes + shared, duOf(entry.paths), `${entry.id} takes what du counts`);
    const shown = {
      ...facts,
      bytes: entry.paths.length > 0 ? '=' : entry.id === 'store:directories' ? '=' : bytes,
      shared: shared === 0 ? 0 : '=',
      cost: costOf(cost, entry),
      lastCost: costOf(lastCost, entry),
    };
    return `${named(JSON.stringify(shown))}\n`;
  }

  for (const [file, args] of [
    ['df.txt', ['df']],
    ['ls.txt', ['ls', '--sort', 'kind']],
    ['gc.txt', ['gc', '--dry-run', '--max-used-space', '1kB']],
    ['prune.txt', ['prune', '--dry-run']],
    ['prune-all.txt', ['prune', '--all', '--dry-run']],
  ] as const)
    test(`varve cache ${args.join(' ')}`, async () => {
      golden(file, tableOf(await run(['cache', ...args])));
    });

  test('varve cache tree', async () => {
    const tree = named(await run(['cache', 'tree']));
    const sizes = new Map(listed.map((e) => [names.get(e.id) ?? e.id, formatBytes(e.bytes)]));
    const lines = tree.split('\n').map((line) => {
      const [, head = '', name = '', size = '', rest = ''] =
        /^([│├└─ ]*\w+ )(\S+) (\S+) {2}(.*)$/.exec(line) ?? [];
      return size !== '' && sizes.get(name) === size ? `${head}${name} =  ${rest}` : line;
    });
    golden('tree.txt', lines.join('\n'));
  });

  test('varve cache why of an entry of each kind', async () => {
    const texts: string[] = [];
    for (const kind of ENTRY_KINDS) {
      // The database is written by the commands that look at it.
      const wanted = kind === 'store' ? 'store:content/index.json' : undefined;
      const [id, name] =
        [...names].find(([known, each]) =>
          wanted === undefined ? each === `${kind}-1` : known === wanted,
        ) ?? [];
      const entry = listed.find((each) => each.id === id);
      if (entry === undefined) continue;
      const text = await run(['cache', 'why', entry.id]);
      texts.push(`${name}\n${named(withoutSizes(text, entry))}`);
    }
    golden('why.txt', texts.join('\n'));
  });

  test('varve cache pin and unpin', async () => {
    const [pin] = jsonLines(await run(['cache', 'pin', '--json'])) as [Record<string, string>];
    const until = Date.parse(pin['expiresAt'] ?? '') - Date.parse(pin['createdAt'] ?? '');
    assert.deepEqual(
      { ...pin, createdAt: 'TIME', expiresAt: until },
      {
        ...{ resource: 'image:docker.io/library/app:latest', reason: 'release 1' },
        ...{ createdAt: 'TIME', expiresAt: 7 * 24 * 3600_000 },
      },
    );
    const minute = (at = ''): string => at.slice(0, 16).replace('T', ' ');
    assert.equal(
      await run(['cache', 'pin']),
      `PINNED                               SINCE              UNTIL              REASON
image:docker.io/library/app:latest   ${minute(pin['createdAt'])}   ${minute(pin['expiresAt'])}   release 1
`,
    );
    const [layer] = listed.filter((entry) => entry.kind === 'layer');
    assert.ok(layer);
    assert.equal(await run(['cache', 'pin', layer.id]), `${layer.id}\n`);
    assert.equal(await run(['cache', 'unpin', layer.id]), '');
  });

  /** A table by its cells, with sizes and costs compared; what stands around it as it is. */
  function tableOf(text: string): string {
    const all = text.split('\n');
    const [header = '', ...rows] = all.slice(0, all.indexOf(''));
    const starts = [...header.matchAll(/\S+/g)].map(({ index }) => index);
    const heads = header.split(/\s+/);
    const cells = (line: string): string[] =>
      starts.map((start, i) => line.slice(start, starts[i + 1]).trimEnd());
    const lines = rows
      .map((line) => compared(heads, cells(line)))
      .sort((a, b) => order(a.join(), b.join()));
    const behind = all.slice(all.indexOf('')).join('\n');
    return [heads, ...lines].map((line) => line.join(' | ')).join('\n') + summary(behind);
  }

  function compared(heads: readonly string[], cells: readonly string[]): string[] {
    const [first = ''] = cells;
    const entries = listed.filter((e) =>
      heads[0] === 'KIND' ? first === 'total' || e.kind === first : e.id.includes(first),
    );
    const sum = (of: 'bytes' | 'shared'): number => entries.reduce((all, e) => all + e[of], 0);
    const cost = entries[0]?.cost ?? { ms: 0, bytes: 0 };
    const seconds = `${(cost.ms / 1000).toFixed(1)}s`;
    const wanted: Record<string, string> = {
      SIZE: formatBytes(sum('bytes')),
      SHARED: sum('shared') === 0 ? '-' : formatBytes(sum('shared')),
      COST:
        cost.bytes === 0
          ? cost.ms === STEP_MS
            ? '-'
            : seconds
          : `${seconds}, ${formatBytes(cost.bytes)}`,
    };
    return cells.map((cell, i) => {
      // The database grows while it is looked at.
      const grows = heads[i] === 'SIZE' && entries[0]?.id.startsWith('store:state.db') === true;
      if (grows || cell === wanted[heads[i] ?? '']) return '=';
      // What can be removed is what the plan of `prune --all` has.
      if (heads[i] === 'RECLAIMABLE' && cell !== '0B') return '+';
      return named(cell).replace(/saves [\d.]+(?:e[-+]\d+)? s per MB/, 'saves N s per MB');
    });
  }

  /** What stands below a table, without sizes. */
  const summary = (text: string): string =>
    named(text).replaceAll(/\b\d+(?:\.\d+)?(?:B|kB|MB|GB|TB)\b/g, '=');

  function withoutSizes(text: string, { bytes, shared, cost, lastCost }: Whole): string {
    let made = text.replace(formatBytes(bytes), '=');
    if (shared > 0) made = made.replace(formatBytes(shared), '=');
    for (const each of [cost, lastCost]) {
      if (each.ms !== STEP_MS)
        made = made.replace(`${(each.ms / 1000).toFixed(1)}s to make`, '= to make');
      if (each.bytes > 0) made = made.replace(`${formatBytes(each.bytes)} to fetch`, '= to fetch');
    }
    return made;
  }
});

interface Df {
  readonly kinds: readonly {
    readonly kind: string;
    readonly count: number;
    readonly bytes: number;
    readonly shared: number;
    readonly reclaimable: number;
  }[];
  readonly total: { readonly bytes: number };
}

/** A cost by the rule that it follows. */
function costOf(cost: Whole['cost'], { bytes, shared }: Whole): unknown {
  if (cost.ms === 0 && cost.bytes === 0) return 'nothing';
  if (cost.ms === STEP_MS && cost.bytes === 0) return 'the step';
  const after = (rate: number, of: number): boolean => Math.abs(cost.ms - (of / rate) * 1000) <= 1;
  if (cost.bytes > 0) return after(RATES.fetch, cost.bytes) ? 'fetching' : cost;
  if (after(RATES.unpack, bytes) || after(RATES.unpack, bytes + shared)) return 'unpacking';
  // Packing is reckoned by the bytes of the blob, of which the last block is not full.
  return cost.ms <= (bytes / RATES.pack) * 1000 + 1 ? 'packing' : cost;
}

/** Names of all ids that are printed, the longest first. */
function namesOf(listed: readonly Whole[], history: string): ReadonlyMap<string, string> {
  const names: [string, string][] = [];
  const counts = new Map<string, number>();
  const kinds: readonly string[] = ENTRY_KINDS;
  const byId = new Map(listed.map((entry) => [entry.id, entry]));
  /** What tells entries apart that were made at the same moment: what they stand on, and how large that and they are. */
  const standing = ({ parents }: Whole): Whole | undefined => byId.get(parents[0] ?? '');
  const sorted = listed.toSorted(
    (a, b) =>
      kinds.indexOf(a.kind) - kinds.indexOf(b.kind) ||
      order(plain(a.label), plain(b.label)) ||
      // Directories of the store are as old as what was done last in them.
      (a.kind === 'store' ? order(a.id, b.id) : 0) ||
      order(a.createdAt, b.createdAt) ||
      order(standing(a)?.createdAt ?? '', standing(b)?.createdAt ?? '') ||
      a.bytes - b.bytes ||
      (standing(a)?.bytes ?? 0) - (standing(b)?.bytes ?? 0) ||
      order(a.id, b.id),
  );
  for (const { id, kind, label, paths } of sorted) {
    const count = (counts.get(kind) ?? 0) + 1;
    counts.set(kind, count);
    const name = `${kind}-${count}`;
    names.push([id, name]);
    const hex = /[0-9a-f]{20,}/.exec(id)?.[0];
    if (kind === 'record') names.push([id.slice('record:'.length), name]);
    else if (hex !== undefined && kind !== 'quarantine') {
      names.push([hex.slice(0, 12), name]);
      // The id of a log is its build's.
      if (kind !== 'log') names.push([hex, name]);
    }
    for (const path of paths) {
      const file = /\/snapshots\/layers\/([0-9a-f]+)/.exec(path)?.[1];
      if (file !== undefined) names.push([file, name]);
    }
    const digest = /^record ([0-9a-f]{12})$/.exec(label)?.[1];
    if (digest !== undefined) names.push([digest, `digest of ${name}`]);
  }
  for (const [i, build] of (jsonLines(history) as readonly { readonly id: string }[])
    .toReversed()
    .entries())
    names.push([build.id, `build-${i + 1}`]);
  return new Map(names.sort(([a], [b]) => b.length - a.length || order(a, b)));
}

/** A label without what is chosen at random. */
const plain = (label: string): string => label.replace(/\b[0-9a-f]{12}\b/, '');

const order = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);

function duOf(paths: readonly string[]): number {
  const out = spawnSync('du', ['-s', '-c', '--block-size=1', ...paths], { encoding: 'utf8' });
  return Number(out.stdout.trim().split('\n').at(-1)?.split('\t')[0]);
}

function golden(file: string, text: string): void {
  const path = join(CASES, file);
  if (process.env['VARVE_TEST_UPDATE'] === '1') {
    mkdirSync(CASES, { recursive: true });
    writeFileSync(path, text);
    return;
  }
  assert.deepEqual(text.split('\n'), readFileSync(path, 'utf8').split('\n'));
}

class Database implements Disposable {
  readonly #db: DatabaseSync;

  constructor(path: string) {
    this.#db = new DatabaseSync(path);
  }

  /** All steps took as long. */
  sameCosts(): void {
    this.#db.exec(`UPDATE result SET cost_ms = ${STEP_MS}`);
  }

  [Symbol.dispose](): void {
    this.#db.close();
  }
}
