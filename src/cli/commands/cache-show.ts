import { failure, type GoJson } from '../../base/index.ts';
import {
  type Entry,
  type EntryFilter,
  type EntryKind,
  findEntries,
  formatAge,
  parseFilter,
  SORTS,
} from '../../gc/index.ts';
import { takeInventory } from '../../upkeep/index.ts';
import { fail, type Io, printJson, table } from '../io.ts';
import { formatBytes, formatSeconds, neutralise } from '../progress/text.ts';
import { withUpkeep } from '../upkeep-world.ts';
import { cost, cut, listOf, shortId } from './cache-gc.ts';

type Options = Readonly<Record<string, unknown>>;

/** `varve cache ls`. */
export function cacheLs(io: Io, options: Options): Promise<number> {
  return withUpkeep(io, { values: options }, async (deps) => {
    const chosen = choose(options);
    if (!chosen.ok) return fail(io, chosen.error);
    const now = deps.clock.now();
    const entries = [...(await takeInventory(deps))]
      .filter((entry) => chosen.filters.every((filter) => filter(entry, now)))
      .sort((a, b) => chosen.order(a, b) || (a.id < b.id ? -1 : 1));
    if (options['json'] === true) for (const entry of entries) printJson(io, entryJson(entry));
    else if (options['quiet'] === true) io.out(entries.map((entry) => `${entry.id}\n`).join(''));
    else io.out(entriesText(entries, now));
    return 0;
  });
}

/** Entries as a table. */
export function entriesText(entries: readonly Entry[], now: number): string {
  const list = table([
    ['ENTRY', 'KIND', 'SIZE', 'SHARED', 'USED', 'USES', 'COST', 'HELD', 'WHAT'],
    ...entries.map((entry) => [
      shortId(entry.id),
      entry.kind,
      formatBytes(entry.bytes),
      entry.shared === 0 ? '' : formatBytes(entry.shared),
      ago(entry.usedAt, now),
      String(entry.uses),
      cost(entry),
      [...new Set(entry.holds.map((hold) => hold.by))].join(','),
      cut(neutralise(entry.label)),
    ]),
  ]);
  return `${list}\n${totalText(entries)}\n`;
}

/** `3 entries, 10.00MB`. */
function totalText(entries: readonly Entry[]): string {
  const bytes = entries.reduce((sum, entry) => sum + entry.bytes, 0);
  return `${entries.length} ${entries.length === 1 ? 'entry' : 'entries'}, ${formatBytes(bytes)}`;
}

type Choice =
  | {
      readonly ok: true;
      readonly filters: readonly EntryFilter[];
      readonly order: (a: Entry, b: Entry) => number;
    }
  | { readonly ok: false; readonly error: ReturnType<typeof failure> };

function choose(options: Options): Choice {
  const filters: EntryFilter[] = [];
  for (const text of listOf(options['filter'])) {
    const filter = parseFilter(text);
    if (!filter.ok) return { ok: false, error: failure('CL002', 2, `--filter ${filter.error}`) };
    filters.push(filter.value);
  }
  const sort = typeof options['sort'] === 'string' ? options['sort'] : 'size';
  const order = SORTS[sort];
  if (order === undefined) {
    const known = Object.keys(SORTS).join(', ');
    return { ok: false, error: failure('CL002', 2, `--sort ${sort}: unknown; known: ${known}`) };
  }
  return { ok: true, filters, order };
}

/** `varve cache why`: why an entry is here, what keeps it, and what would be lost. */
export function cacheWhy(io: Io, id: string, options: Options): Promise<number> {
  return withUpkeep(io, { values: options }, async (deps) => {
    const entries = await takeInventory(deps);
    const found = one(entries, id);
    if (!found.ok) return fail(io, found.error);
    const { entry } = found;
    if (options['json'] === true) {
      printJson(io, entryJson(entry));
      return 0;
    }
    const above = entries.filter((e) => e.parents.includes(entry.id) && e.kind !== 'record');
    io.out(table(whyRows(entry, above, deps.clock.now())));
    return 0;
  });
}

function whyRows(entry: Entry, above: readonly Entry[], now: number): string[][] {
  const { cost: first, lastCost } = entry;
  const many = (name: string, lines: readonly string[], none: string): string[][] =>
    lines.length === 0 ? [[name, none]] : lines.map((line, i) => [i === 0 ? name : '', line]);
  const twins = entry.twins.map((twin) => `${shortId(twin)} (${twin.split(':')[0] ?? ''})`);
  return [
    ['entry', entry.id],
    ['kind', entry.kind],
    ['what', neutralise(entry.label)],
    [
      'size',
      `${formatBytes(entry.bytes)}${entry.shared > 0 ? `, and ${formatBytes(entry.shared)} shared with others` : ''}`,
    ],
    ['made', `${when(entry.createdAt)}${makerText(entry)}`],
    ['used', `${when(entry.usedAt)} (${ago(entry.usedAt, now)})${usesText(entry)}`],
    ...many('used by', entry.usedBy, 'nobody'),
    ...many(
      'above it',
      above.map((e) => `${shortId(e.id)} ${cut(neutralise(e.label))}`),
      'nothing',
    ),
    ...many(
      'kept by',
      [
        ...entry.holds.map((hold) => hold.text),
        ...(above.length > 0 ? ['what stands on it, as long as that is kept'] : []),
      ],
      'nothing: a policy may remove it',
    ),
    ...(twins.length === 0 ? [] : many('also as', twins, '')),
    [
      'if lost',
      `${costText(first)}${twins.length === 0 ? '' : ' while it is also there in another form'}`,
    ],
    ...(twins.length === 0 ? [] : [['if all forms are lost', costText(lastCost)]]),
    ...many('on disk', entry.paths, entry.bytes === 0 ? 'in the database' : 'all over the store'),
  ];
}

/** Who made it, behind the time; nothing of what no build makes. */
function makerText({ kind, madeBy: { from, step, build } }: Entry): string {
  if (from !== undefined) return `, fetched from ${neutralise(from)}`;
  if (step !== undefined) return `, build ${build ?? '?'}, step ${neutralise(step)}`;
  if (build !== undefined) return `, build ${build}`;
  return MADE_BY_STEPS.has(kind) ? ', not known: its build is not in the history' : '';
}

const MADE_BY_STEPS: ReadonlySet<EntryKind> = new Set(['layer', 'rootfs', 'source', 'record']);

/** How often it saved work, of what can. */
function usesText({ kind, uses }: Entry): string {
  if (!MADE_BY_STEPS.has(kind) && kind !== 'blob') return '';
  if (uses === 0) return ', saved no work yet';
  return `, saved work ${uses === 1 ? 'once' : `${uses} times`}`;
}

function costText({ ms, bytes }: Entry['cost']): string {
  if (ms === 0 && bytes === 0) return 'nothing';
  const fetched = bytes === 0 ? '' : `, ${formatBytes(bytes)} to fetch`;
  return `${formatSeconds(ms)} to make again${fetched}`;
}

/** The one entry that a text means, or a failure that lists several. */
export function one(
  entries: readonly Entry[],
  text: string,
):
  | { readonly ok: true; readonly entry: Entry }
  | { readonly ok: false; readonly error: ReturnType<typeof failure> } {
  const found = findEntries(entries, text);
  const [entry] = found;
  if (entry !== undefined && found.length === 1) return { ok: true, entry };
  if (entry === undefined)
    return {
      ok: false,
      error: failure('ST042', 2, `no entry "${text}" in the store`, { help: 'see varve cache ls' }),
    };
  return {
    ok: false,
    error: failure('ST042', 2, `"${text}" means ${found.length} entries`, {
      details: found.slice(0, 10).map((e) => `${e.id}  ${e.kind}  ${cut(e.label)}`),
      help: 'write more of the id, or the whole of it',
    }),
  };
}

/** An entry as `--json` prints it. */
export function entryJson(entry: Entry): GoJson & { readonly [key: string]: GoJson | undefined } {
  const { ms, bytes } = entry.cost;
  return {
    id: entry.id,
    kind: entry.kind,
    label: entry.label,
    bytes: entry.bytes,
    shared: entry.shared,
    createdAt: new Date(entry.createdAt).toISOString(),
    usedAt: new Date(entry.usedAt).toISOString(),
    uses: entry.uses,
    madeBy: { ...entry.madeBy },
    usedBy: [...entry.usedBy],
    holds: entry.holds.map((hold) => ({ ...hold })),
    parents: [...entry.parents],
    twins: [...entry.twins],
    cost: { ms: Math.round(ms), bytes },
    lastCost: { ms: Math.round(entry.lastCost.ms), bytes: entry.lastCost.bytes },
    paths: [...entry.paths],
  };
}

const when = (at: number): string => new Date(at).toISOString().slice(0, 19).replace('T', ' ');

const ago = (at: number, now: number): string => `${formatAge(Math.max(0, now - at))} ago`;
