import assert from 'node:assert/strict';
import { test } from 'node:test';
import { build, cache, du, entries, jsonLines, TWO_STAGES } from '../rig/cache.ts';
import { varveHere } from '../rig/in-process.ts';
import { BUSYBOX, needsSteps, Rig } from '../rig/rig.ts';

const skip = needsSteps;

const SIMPLE = `${BUSYBOX}RUN --mount=type=cache,target=/c echo kept > /c/x; busybox sleep 0.3; echo made > /made\n`;

async function built(dockerfile: string, args: readonly string[] = ['-t', 'demo']): Promise<Rig> {
  const rig = new Rig();
  rig.context('app', { Dockerfile: dockerfile });
  await build(rig, args);
  return rig;
}

interface Sum {
  readonly kind: string;
  readonly count: number;
  readonly bytes: number;
}

test('the sizes of all kinds add up to what du counts', { skip }, async () => {
  await using rig = await built(SIMPLE);
  const [df] = jsonLines(await cache(rig, ['df', '--json'])) as [
    { readonly kinds: readonly Sum[]; readonly total: Sum },
  ];
  const counts = df.kinds.map((sum) => [sum.kind, sum.count]);
  const { store, ...things } = Object.fromEntries(counts) as Record<string, number>;
  assert.ok(store !== undefined);
  assert.deepEqual(things, { layer: 3, blob: 5, mount: 1, context: 1, image: 1, record: 3 });
  // Directories that hold nothing but entries are nobody's; the database grows while it is looked at.
  const difference = Math.abs(du(rig.store) - df.total.bytes);
  assert.ok(difference <= 256 * 1024, `du and df differ by ${difference} bytes`);
});

test('an entry says who made it, who uses it, and what losing it costs', { skip }, async () => {
  await using rig = await built(SIMPLE);
  await build(rig, ['-t', 'demo']);
  const [layer, ...others] = await entries(rig, 'kind=layer', 'label=RUN');
  assert.deepEqual(others, []);
  assert.ok(layer !== undefined);
  const history = await varveHere(rig, rig.work, ['history', 'ls', '--json']);
  const builds = jsonLines(history.stdout) as readonly { readonly id: string }[];
  const step =
    '[stage-0 3/3] RUN --mount=type=cache,target=/c echo kept > /c/x; busybox sleep 0.3; echo made > /made';
  assert.deepEqual(
    { madeBy: layer.madeBy, usedBy: layer.usedBy, holds: layer.holds, uses: layer.uses },
    {
      madeBy: { build: builds.at(-1)?.id, step },
      usedBy: ['image demo:latest', '1 cache record'],
      holds: [],
      uses: 1,
    },
  );
  assert.equal(layer.twins.length, 1);
  assert.ok(layer.lastCost.ms >= 300, `${layer.lastCost.ms} ms`);
  assert.ok(layer.cost.ms < 100, 'its blob is here: extracting it is enough');
  const why = await cache(rig, ['why', layer.id.slice('layer:new:'.length).slice(0, 10)]);
  assert.match(why, new RegExp(`^entry +${layer.id}$`, 'm'));
  assert.match(why, /^kept by +nothing: a policy may remove it$/m);
  assert.match(why, /^used by +image demo:latest\n +1 cache record$/m);
});

test('blobs of an image are held by its name, and no longer once it is gone', {
  skip,
}, async () => {
  await using rig = await built(SIMPLE);
  const holds = async (): Promise<readonly string[]> =>
    (await entries(rig, 'kind=blob')).map((e) => e.holds.map((h) => h.text).join());
  assert.deepEqual(new Set(await holds()), new Set(['image demo:latest']));
  await varveHere(rig, rig.work, ['image', 'rm', 'demo']);
  assert.deepEqual(new Set(await holds()), new Set(['']));
});

test('the tree shows what stands on what', { skip }, async () => {
  await using rig = await built(TWO_STAGES, []);
  const tree = await cache(rig, ['tree']);
  const shape = tree
    .split('\n')
    .filter((line) => line.includes('layer '))
    .map((line) => line.replace(/layer \S+ \S+ {2}/, ''))
    .sort();
  assert.deepEqual(
    shape,
    [
      '[stage-3 1/2] COPY --from=large /large /large',
      '[tool 1/2] COPY busybox /bin/sh',
      '├─ [tool 2/2] COPY busybox /bin/busybox',
      '│  ├─ [large 1/1] RUN busybox dd if=/dev/urandom of=/large bs…',
      '│  ├─ [slow 1/1] RUN busybox sleep 0.7; echo slow > /slow',
      '├─ [stage-3 2/2] COPY --from=slow /slow /slow',
    ].sort(),
  );
});

test('entries are filtered and sorted, and what means nothing is refused', { skip }, async () => {
  await using rig = await built(TWO_STAGES, []);
  const ids = async (...args: readonly string[]): Promise<readonly string[]> =>
    (await cache(rig, ['ls', '-q', ...args])).trim().split('\n');
  const layers = await entries(rig, 'kind=layer');
  assert.deepEqual(
    await ids('--filter', 'kind=layer', '--filter', 'size>1MB'),
    layers.filter((e) => e.bytes > 1e6).map((e) => e.id),
  );
  assert.deepEqual(
    layers.map((e) => e.bytes),
    layers.map((e) => e.bytes).toSorted((a, b) => b - a),
  );
  assert.deepEqual(await ids('--filter', 'unused-for=1h'), ['']);
  const refusals: string[] = [];
  for (const args of [
    ['ls', '--filter', 'sort=x'],
    ['ls', '--filter', 'kind=lair'],
    ['ls', '--filter', 'size>big'],
    ['ls', '--sort', 'smell'],
    ['why', 'nothing'],
    ['gc', '--max-used-space', 'much'],
    ['gc', '--preset', 'home'],
    ['gc'],
    ['unpin', 'nothing'],
  ]) {
    const run = await varveHere(rig, rig.work, ['cache', ...args]);
    refusals.push(`${run.status} ${run.stderr.split('\n')[0]}`);
  }
  assert.deepEqual(refusals, [
    '2 error[CL002]: --filter "sort=x": unknown filter; known: kind=, unused-for=, until=, older-than=, size>, size<, build=, label=, held=, id=',
    '2 error[CL002]: --filter unknown kind "lair"; known: layer, rootfs, source, blob, mount, package, index, git, context, log, image, record, store, quarantine, temporary',
    '2 error[CL002]: --filter "big" is no size: write 10MB or 1GiB',
    '2 error[CL002]: --sort smell: unknown; known: size, used, created, uses, cost, kind, name',
    '2 error[ST042]: no entry "nothing" in the store',
    '2 error[CL002]: --max-used-space: "much" is no size: write 10GB, 10GiB, a number of bytes, or 20%',
    '2 error[CL002]: --preset: unknown "home"; known: default, none, ci, workstation',
    '2 error[ST041]: there is no policy to apply',
    '2 error[ST042]: no entry "nothing" in the store',
  ]);
});
