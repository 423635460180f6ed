import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { Pool, type RpmRecord, solve } from '../../../src/rpm/index.ts';
import { note } from '../../rig/golden.ts';
import { libsolvChoice, needsTestsolv, record } from '../../rig/testsolv.ts';

const CASES = 400;
/** `VARVE_SEED=N` makes up others. */
const SEED = 20_261_121;
const ARCHITECTURES = ['x86_64', 'i686'];

const name = fc.constantFrom('a', 'b', 'c', 'd', 'e', 'f');
const virtual = fc.constantFrom('v', 'w');
const version = fc.constantFrom('1', '2', '3');
const sign = fc.constantFrom('<', '<=', '=', '>=', '>');

const capability = fc.oneof(
  { weight: 4, arbitrary: name },
  { weight: 2, arbitrary: virtual },
  {
    weight: 3,
    arbitrary: fc.tuple(fc.oneof(name, virtual), sign, version).map((p) => p.join(' ')),
  },
);
const rich = fc.oneof(
  fc.tuple(capability, fc.constantFrom('and', 'or', 'if', 'unless'), capability),
  fc.tuple(capability, fc.constantFrom('with', 'without'), capability),
);
const richText = fc.oneof(
  rich.map(([a, op, b]) => `(${a} ${op} ${b})`),
  fc
    .tuple(capability, fc.constantFrom('if', 'unless'), capability, capability)
    .map(([a, op, b, c]) => `(${a} ${op} ${b} else ${c})`),
  fc.tuple(capability, rich).map(([a, [b, op, c]]) => `(${a} or (${b} ${op} ${c}))`),
);
const dependency = fc.oneof(
  { weight: 5, arbitrary: capability },
  { weight: 1, arbitrary: richText },
);
const some = (of: fc.Arbitrary<string>, maxLength: number): fc.Arbitrary<string[]> =>
  fc.array(of, { maxLength });

const made: fc.Arbitrary<RpmRecord> = fc
  .record({
    name,
    version,
    arch: fc.constantFrom('noarch', 'noarch', 'x86_64', 'i686'),
    provides: some(
      fc.oneof(
        virtual,
        fc.tuple(virtual, version).map(([v, n]) => `${v} = ${n}-1`),
      ),
      1,
    ),
    requires: some(dependency, 2),
    conflicts: fc.oneof(fc.constant([]), fc.constant([]), some(capability, 1)),
    obsoletes: fc.oneof(
      fc.constant([]),
      fc.constant([]),
      some(
        fc.tuple(name, version).map(([n, v]) => `${n} < ${v}`),
        1,
      ),
    ),
    recommends: fc.oneof(fc.constant([]), some(dependency, 1)),
    supplements: fc.oneof(fc.constant([]), fc.constant([]), some(capability, 1)),
  })
  .map(record);

const world = fc.record({
  records: fc.uniqueArray(made, {
    minLength: 3,
    maxLength: 12,
    selector: (r) => `${r.name}-${r.version}.${r.arch}`,
  }),
  wishes: fc.uniqueArray(name, { minLength: 1, maxLength: 3 }),
  recommends: fc.boolean(),
});

test('made-up repositories are resolved as by libsolv', needsTestsolv, () => {
  const seed = Number(process.env['VARVE_SEED'] ?? SEED);
  const differences: string[] = [];
  let solved = 0;
  for (const { records, wishes, recommends } of fc.sample(world, { seed, numRuns: CASES })) {
    const theirs = libsolvChoice(records, wishes, { recommends });
    const ours = choice(records, wishes, recommends);
    if (theirs !== undefined) solved++;
    if (JSON.stringify(theirs) !== JSON.stringify(ours))
      differences.push(
        JSON.stringify({ records: records.map(brief), wishes, recommends, theirs, ours }),
      );
  }
  note(`${CASES} repositories compared with libsolv (seed ${seed}): ${solved} have a solution`);
  assert.deepEqual(differences, []);
});

test('a condition of a recommendation installs nothing whose own requirements are not met', () => {
  const records = [
    record({ name: 'f', requires: ['v'] }),
    record({ name: 'd', provides: ['v'] }),
    record({ name: 'c', conflicts: ['d'], recommends: ['(c if f else c >= 3)'] }),
  ];
  // Debian 12's libsolv installs f too, which nothing gives its v: it has made no rules for what only a condition names.
  assert.deepEqual(choice(records, ['c'], true), ['c-1-1.noarch']);
});

function choice(records: readonly RpmRecord[], wishes: readonly string[], recommends: boolean) {
  const pool = new Pool([{ records, priority: 0 }], { architectures: ARCHITECTURES });
  const asked = wishes.map((text) => ({ text, candidates: pool.named(text).map((p) => p.id) }));
  if (asked.some((w) => w.candidates.length === 0)) return undefined;
  const solution = solve(pool, asked, { recommends });
  return solution.ok ? solution.chosen.map((id) => pool.text(id)).sort() : undefined;
}

/** What is not empty of a package, for messages. */
function brief(r: RpmRecord): object {
  return Object.fromEntries(
    Object.entries(r).filter(([key, v]) =>
      Array.isArray(v) ? v.length > 0 : ['name', 'version', 'arch'].includes(key),
    ),
  );
}
