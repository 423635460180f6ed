import type { GoJson } from '../../base/index.ts';
import {
  bytesOf,
  ENTRY_KINDS,
  type Entry,
  type EntryKind,
  formatSize,
  removable,
} from '../../gc/index.ts';
import { stateOf, takeInventory } from '../../upkeep/index.ts';
import { gcPolicy } from '../gc-policy.ts';
import { fail, type Io, printJson, table } from '../io.ts';
import { formatBytes } from '../progress/text.ts';
import { withUpkeep } from '../upkeep-world.ts';
import { entriesText } from './cache-show.ts';

type Options = Readonly<Record<string, unknown>>;

/** `varve cache df`: disk space by kind. */
export function cacheDf(io: Io, options: Options): Promise<number> {
  return withUpkeep(io, { values: options }, async (deps, store) => {
    const entries = await takeInventory(deps);
    const state = stateOf(deps);
    const { disk } = state;
    const sums = sumsOf(entries);
    const policy = await gcPolicy(io, store.root);
    if (!policy.ok) return fail(io, policy.error);
    const { maxUsedSpace } = policy.value;
    const cap = maxUsedSpace === undefined ? undefined : bytesOf(maxUsedSpace, disk);
    if (options['json'] === true) {
      printJson(io, {
        root: store.root,
        kinds: sums.map(sumJson),
        total: sumJson(totalOf(sums)),
        disk: { ...disk },
        maxUsedSpace: cap,
      });
      return 0;
    }
    const row = (sum: Sum): string[] => [
      sum.kind,
      String(sum.count),
      formatBytes(sum.bytes),
      sum.shared === 0 ? '' : formatBytes(sum.shared),
      formatBytes(sum.reclaimable),
    ];
    io.out(
      table([
        ['KIND', 'ENTRIES', 'SIZE', 'SHARED', 'RECLAIMABLE'],
        ...sums.map(row),
        row(totalOf(sums)),
      ]),
    );
    if (options['verbose'] === true) io.out(`\n${entriesText(entries, state.now)}`);
    const limit = cap === undefined ? 'no cap' : `cap ${formatSize(cap)}`;
    io.out(
      `\n${limit}; ${formatBytes(disk.free)} of ${formatBytes(disk.size)} are free on the disk of ${store.root}\n`,
    );
    return 0;
  });
}

interface Sum {
  readonly kind: EntryKind | 'total';
  readonly count: number;
  readonly bytes: number;
  readonly shared: number;
  readonly reclaimable: number;
}

/** Sums by kind; reclaimable is what a plan to remove everything removes. */
function sumsOf(entries: readonly Entry[]): Sum[] {
  const goes = removable(entries);
  const groups = Map.groupBy(entries, (entry) => entry.kind);
  return ENTRY_KINDS.flatMap((kind) => {
    const group = groups.get(kind);
    if (group === undefined) return [];
    const of = (value: (entry: Entry) => number): number =>
      group.reduce((sum, entry) => sum + value(entry), 0);
    return [
      {
        kind,
        count: group.length,
        bytes: of((e) => e.bytes),
        shared: of((e) => e.shared),
        reclaimable: of((e) => (goes.has(e.id) ? e.bytes : 0)),
      },
    ];
  });
}

function totalOf(sums: readonly Sum[]): Sum {
  const of = (key: 'count' | 'bytes' | 'shared' | 'reclaimable'): number =>
    sums.reduce((sum, each) => sum + each[key], 0);
  return {
    kind: 'total',
    count: of('count'),
    bytes: of('bytes'),
    shared: of('shared'),
    reclaimable: of('reclaimable'),
  };
}

const sumJson = (sum: Sum): GoJson => ({ ...sum });
