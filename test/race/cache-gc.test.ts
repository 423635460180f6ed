import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { cache, jsonLines } from '../rig/cache.ts';
import { note } from '../rig/golden.ts';
import { BUSYBOX, needsSteps, Rig } from '../rig/rig.ts';

const BUILDERS = 3;
const ROUNDS = 3;

/** Each builder has steps of its own and shares the first ones; the bytes of what it makes are the same every time. */
const dockerfile = (builder: number): string =>
  `${BUSYBOX}RUN echo shared > /shared; busybox dd if=/dev/zero of=/zero bs=1024 count=500
RUN --mount=type=cache,target=/c echo ${builder} > /own; echo x >> /c/uses
COPY --link file.txt /file.txt
`;

test('builds lose nothing while the store is trimmed to nothing beside them', {
  skip: needsSteps,
}, async () => {
  await using rig = new Rig();
  for (let i = 0; i < BUILDERS; i++)
    rig.context(`app${i}`, { Dockerfile: dockerfile(i), 'file.txt': `file ${i}` });
  const left = { builders: BUILDERS };
  const failures: string[] = [];
  const digests = Array.from({ length: BUILDERS }, () => new Set<string>());
  const builder = async (i: number): Promise<void> => {
    for (let round = 0; round < ROUNDS; round++) {
      const out = `out${i}-${round}.tar`;
      const run = await rig.varve([
        ...['build', '--progress=plain', '--build-arg', 'SOURCE_DATE_EPOCH=1', '-t', `app${i}`],
        ...['-o', 'type=image', '-o', `type=oci,dest=${out},rewrite-timestamp=true`, `app${i}`],
      ]);
      if (run.status !== 0) failures.push(`builder ${i}, round ${round}: ${run.stderr}`);
      else
        digests[i]?.add(
          createHash('sha256')
            .update(readFileSync(join(rig.work, out)))
            .digest('hex'),
        );
      const saved = await rig.varve(['image', 'save', `app${i}`, '-o', `saved${i}.tar`]);
      if (run.status === 0 && saved.status !== 0) failures.push(`saving ${i}: ${saved.stderr}`);
    }
    left.builders--;
  };
  const sums = { trims: 0, removed: 0, spared: 0 };
  const trimmer = async (args: readonly string[]): Promise<void> => {
    while (left.builders > 0) {
      const run = await rig.varve(['cache', ...args, '--json']);
      if (run.status !== 0) {
        failures.push(`${args.join(' ')}: ${run.stderr}`);
        continue;
      }
      const [done] = jsonLines(run.stdout) as [
        { readonly removals: readonly unknown[]; readonly spared: readonly unknown[] },
      ];
      sums.trims++;
      sums.removed += done.removals.length;
      sums.spared += done.spared.length;
    }
  };
  await Promise.all([
    ...Array.from({ length: BUILDERS }, (_, i) => builder(i)),
    trimmer(['gc', '--max-used-space', '1kB']),
    trimmer(['prune', '--all', '--force']),
  ]);
  assert.deepEqual(failures, []);
  assert.deepEqual(
    digests.map((set) => set.size),
    Array.from({ length: BUILDERS }, () => 1),
    'every round of a builder makes the same bytes',
  );
  assert.ok(sums.removed > 0, 'something was removed');
  await cache(rig, ['verify']);
  note(
    `${BUILDERS * ROUNDS} builds beside ${sums.trims} trims: ${sums.removed} entries removed, ${sums.spared} spared, none lost`,
  );
});
