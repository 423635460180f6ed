import type { Entry } from '../../src/gc/index.ts';

const DAY = 24 * 3600_000;

/** The present of made-up stores. */
export const NOW = 100 * DAY;

/** Bytes of an entry that says nothing else. */
export const MB = 1e6;

const HELD = [{ by: 'lease' as const, text: 'build 1 is at work with it' }];

/** An entry of one megabyte that cost a second and was used today, but for what a test says. */
export function storeEntry(
  id: string,
  own: Partial<Entry> & { readonly seconds?: number } = {},
): Entry {
  const { seconds = 1, ...rest } = own;
  const cost = { ms: seconds * 1000, bytes: 0 };
  return {
    id,
    kind: 'layer',
    label: id,
    bytes: MB,
    shared: 0,
    createdAt: 0,
    usedAt: NOW,
    uses: 0,
    madeBy: {},
    usedBy: [],
    holds: [],
    parents: [],
    twins: [],
    cost,
    lastCost: cost,
    paths: [],
    ...rest,
  };
}

/** Chains of ten layers with blobs beside half of them, one in fifty held; numbers from a linear congruence. */
export function syntheticStore(count: number): Entry[] {
  let seed = 42;
  const random = (below: number): number => {
    seed = (seed * 1103515245 + 12345) % 2 ** 31;
    return seed % below;
  };
  return Array.from({ length: count }, (_, i) => {
    const even = i % 20 < 10;
    return storeEntry(`e${i}`, {
      kind: even ? 'layer' : 'blob',
      bytes: 4096 * (1 + random(5000)),
      seconds: random(300),
      uses: random(20),
      usedAt: NOW - random(90 * DAY),
      parents: even && i % 10 !== 0 ? [`e${i - 1}`] : [],
      twins: even ? [`e${i + 10}`] : [`e${i - 10}`],
      holds: random(50) === 0 ? HELD : [],
    });
  });
}
