import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import {
  type Grouping,
  type GroupingProblem,
  groupingCost,
  groupUnits,
  shareGroups,
} from '../../../src/advice/index.ts';
import { note } from '../../rig/golden.ts';

const COSTS = { perBuiltLayer: 1, perLayer: 0.01, perByte: 1e-6 };

/** Problems with up to `units` units, most of which change seldom and together. */
const problems = (units: number): fc.Arbitrary<GroupingProblem> =>
  fc
    .record({
      units: fc.array(
        fc.record({
          seconds: fc.integer({ min: 0, max: 100 }),
          bytes: fc.integer({ min: 0, max: 50_000_000 }),
        }),
        { minLength: 1, maxLength: units },
      ),
      commits: fc.array(
        fc.uniqueArray(fc.nat({ max: units - 1 }), { maxLength: Math.min(4, units) }),
        { minLength: 1, maxLength: 24 },
      ),
      perBuiltLayer: fc.constantFrom(0, 1, 20),
      perLayer: fc.constantFrom(0, 0.01, 1),
    })
    .map(({ units: all, commits, ...costs }) => ({
      units: all.map((unit, i) => ({ id: `u${i}`, ...unit })),
      commits: commits.map((changed) => new Set(changed.map((i) => `u${i}`))),
      costs: { ...costs, perByte: 1e-6 },
    }));

/** Every partition of the units into at most `most` groups. */
function* partitions(ids: readonly string[], most: number): Generator<string[][]> {
  const [first, ...rest] = ids;
  if (first === undefined) {
    yield [];
    return;
  }
  for (const groups of partitions(rest, most)) {
    for (const [i] of groups.entries())
      yield groups.map((group, at) => (at === i ? [first, ...group] : group));
    if (groups.length < most) yield [[first], ...groups];
  }
}

const sorted = ({ groups }: Grouping): readonly (readonly string[])[] =>
  groups.map((group) => [...group].sort()).sort((a, b) => ((a[0] ?? '') < (b[0] ?? '') ? -1 : 1));

describe('grouping of what layers are made of', () => {
  test('what changes with every commit is parted from what is large and never changes', () => {
    const units = [
      { id: 'torch', seconds: 60, bytes: 2_000_000_000 },
      { id: 'numpy', seconds: 4, bytes: 20_000_000 },
      { id: 'own-tool', seconds: 1, bytes: 100_000 },
      { id: 'own-plugin', seconds: 1, bytes: 100_000 },
    ];
    const commits = [
      new Set(['own-tool', 'own-plugin']),
      new Set(['own-tool']),
      new Set(['own-tool', 'own-plugin']),
      new Set<string>(),
      new Set(['torch', 'numpy']),
    ];
    const { best, exact } = groupUnits({ units, commits, costs: COSTS }, 3);
    assert.deepEqual(
      { exact, groups: best.map(sorted), cost: best.map(({ cost }) => Number(cost.toFixed(2))) },
      {
        exact: true,
        groups: [
          [['numpy', 'own-plugin', 'own-tool', 'torch']],
          [
            ['numpy', 'torch'],
            ['own-plugin', 'own-tool'],
          ],
          // A third layer costs more than it saves.
          [
            ['numpy', 'torch'],
            ['own-plugin', 'own-tool'],
          ],
        ],
        cost: [1669.77, 418.94, 418.94],
      },
    );
  });

  test('no partition costs less than the one that is found, and none less than the bound', () => {
    let tried = 0;
    fc.assert(
      fc.property(problems(6), fc.integer({ min: 1, max: 6 }), (problem, most) => {
        const { best, bound, exact } = groupUnits(problem, most);
        const ids = problem.units.map(({ id }) => id);
        const costs = [...partitions(ids, most)].map((groups) => groupingCost(problem, groups));
        tried += costs.length;
        const least = Math.min(...costs);
        assert.ok(exact);
        assert.ok(Math.abs((best.at(-1)?.cost ?? Number.NaN) - least) < 1e-6 * (1 + least));
        assert.ok(bound <= least * (1 + 1e-9));
      }),
      { numRuns: 150 },
    );
    note(`${tried} partitions tried`);
  });

  test('where not every grouping is tried, the result is at most a fifth above the best', () => {
    let worst = 1;
    let equal = 0;
    let compared = 0;
    fc.assert(
      fc.property(problems(10), fc.integer({ min: 1, max: 5 }), (problem, most) => {
        const exact = groupUnits(problem, most).best.at(-1)?.cost ?? 0;
        const { best, bound, exact: claims } = groupUnits(problem, most, { exactUpTo: 0 });
        const cost = best.at(-1)?.cost ?? Number.NaN;
        assert.ok(!claims && cost >= exact * (1 - 1e-9) && bound <= cost * (1 + 1e-9));
        compared++;
        const ratio = exact === 0 ? 1 : cost / exact;
        if (ratio < 1 + 1e-9) equal++;
        worst = Math.max(worst, ratio);
      }),
      { numRuns: 500, seed: 9 },
    );
    note(`${equal} of ${compared} are the best, the worst is ${worst.toFixed(4)} of it`);
    assert.ok(worst <= 1.2, String(worst));
  });

  test('a hundred packages are grouped, and the bound says how good that is at least', () => {
    const units = Array.from({ length: 120 }, (_, i) => ({
      id: `p${i}`,
      seconds: i % 7,
      bytes: 0,
    }));
    const commits = Array.from(
      { length: 100 },
      (_, i) => new Set([`p${(i * i) % 90}`, `p${(i * 37) % 90}`, `p${i % 5}`]),
    );
    const { best, bound, exact } = groupUnits({ units, commits, costs: COSTS }, 6);
    const costs = best.map(({ cost }) => cost);
    note(
      `${costs.map((cost) => cost.toFixed(1)).join(', ')} s, the bound is ${bound.toFixed(1)} s`,
    );
    assert.deepEqual(
      [exact, costs.length, costs.every((cost, i) => i === 0 || cost <= (costs[i - 1] ?? 0))],
      [false, 6, true],
    );
    assert.deepEqual(
      best.map(({ groups }) => groups.flat().length),
      Array(6).fill(120),
    );
  });

  test('a budget for several layers goes where it saves most', () => {
    const of = (...costs: readonly number[]) => ({
      best: costs.map((cost) => ({ groups: [], cost })),
      bound: 0,
      exact: true,
    });
    const pools = [of(10, 9, 8), of(20, 5), of(3)];
    assert.deepEqual(shareGroups(pools, 3), [1, 1, 1]);
    assert.deepEqual(shareGroups(pools, 4), [1, 2, 1]);
    assert.deepEqual(shareGroups(pools, 5), [2, 2, 1]);
    assert.deepEqual(shareGroups(pools, 9), [3, 2, 1]);
  });
});
