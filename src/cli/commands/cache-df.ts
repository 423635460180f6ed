import { statfsSync } from 'node:fs';
import type { GoJson } from '../../base/index.ts';
import { ENTRY_KINDS, type Entry, type EntryKind } from '../../gc/index.ts';
import { takeInventory } from '../../upkeep/index.ts';
import { type Io, printJson, table } from '../io.ts';
import { formatBytes } from '../progress/text.ts';
import { withUpkeep } from '../upkeep-world.ts';

type Options = Readonly<Record<string, unknown>>;

/** `varve cache df`: disk space by kind. */
export function cacheDf(io: Io, options: Options): Promise<number> {
  return withUpkeep(io, async (deps, store) => {
    const entries = await takeInventory(deps);
    const sums = sumsOf(entries);
    const disk = diskOf(store.root);
    if (options['json'] === true) {
      printJson(io, {
        root: store.root,
        kinds: sums.map(sumJson),
        total: sumJson(totalOf(sums)),
        disk,
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
    io.out(
      `\n${formatBytes(disk.free)} of ${formatBytes(disk.size)} are free on the disk of ${store.root}\n`,
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

function sumsOf(entries: readonly Entry[]): Sum[] {
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
        reclaimable: of((e) => (e.holds.length === 0 ? e.bytes : 0)),
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

function diskOf(root: string): { readonly size: number; readonly free: number } {
  const { bsize, blocks, bavail } = statfsSync(root);
  return { size: blocks * bsize, free: bavail * bsize };
}
