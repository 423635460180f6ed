import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync, utimesSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { openStateDb } from '../../src/cachedb/index.ts';
import { build, cache, du, entries, jsonLines, TWO_STAGES } from '../rig/cache.ts';
import { varveHere } from '../rig/in-process.ts';
import { needsSteps, Rig } from '../rig/rig.ts';

const skip = needsSteps;

const SLOW = '[slow 1/1] RUN busybox sleep 0.7; echo slow > /slow';
const LARGE = '[large 1/1] RUN busybox dd if=/dev/urandom of=/large bs=1024 count=4000';

function world(): Rig {
  const rig = new Rig();
  rig.context('app', { Dockerfile: TWO_STAGES });
  return rig;
}

interface Plan {
  readonly usedBefore: number;
  readonly usedAfter: number;
  readonly removals: readonly {
    readonly id: string;
    readonly label: string;
    readonly rule: string;
    readonly why: string;
  }[];
  readonly spared?: readonly { readonly id: string; readonly why: string }[];
  readonly unmet: readonly { readonly rule: string; readonly reached: number }[];
}

async function plan(rig: Rig, args: readonly string[]): Promise<Plan> {
  const [value] = jsonLines(await cache(rig, [...args, '--json']));
  return value as Plan;
}

const labels = (made: Plan): string[] => made.removals.map((r) => r.label);

/** What the store takes besides what can be removed: the database, compiled code. */
async function fixed(rig: Rig): Promise<number> {
  const own = await entries(rig, 'kind=store');
  return own.reduce((sum, entry) => sum + entry.bytes, 0);
}

test('the cap holds, what saves most for its size stays, and the miss that follows says why', {
  skip,
}, async () => {
  await using rig = world();
  await build(rig);
  const cap = (await fixed(rig)) + 5_000_000;
  const args = ['gc', '--max-used-space', String(cap)];
  const planned = await plan(rig, [...args, '--dry-run']);
  assert.ok(labels(planned).includes(LARGE) && !labels(planned).includes(SLOW));
  assert.ok((await entries(rig, 'label=large')).length > 0, 'a dry run removes nothing');
  const done = await plan(rig, args);
  assert.deepEqual(labels(done), labels(planned));
  assert.deepEqual([done.spared, done.unmet], [[], []]);
  assert.ok(done.usedAfter <= cap);
  assert.ok(du(rig.store) <= cap + 256 * 1024, 'the bytes are gone');
  const { steps } = await build(rig);
  assert.deepEqual([steps[SLOW], steps[LARGE]], ['CACHED', 'DONE']);
  const shown = await varveHere(rig, rig.work, ['history', 'show']);
  assert.match(
    shown.stdout,
    /\[large 1\/1\] RUN .*: evicted \d{4}-\d\d-\d\d \d\d:\d\d UTC, the store is over \d+\.?\d*MB; saves /,
  );
});

test('what was trimmed is built again to the same bytes', { skip }, async () => {
  await using rig = new Rig();
  rig.context('app', { Dockerfile: TWO_STAGES.replace('/dev/urandom', '/dev/zero') });
  const args = [
    '-o',
    'type=oci,dest=IMAGE,rewrite-timestamp=true',
    '--build-arg',
    'SOURCE_DATE_EPOCH=1',
  ];
  const into = (name: string): string[] => args.map((arg) => arg.replace('IMAGE', name));
  await build(rig, into('before.tar'));
  await cache(rig, ['prune', '--all', '--force']);
  assert.deepEqual(await entries(rig, 'kind=layer,blob,source,mount'), []);
  const { steps } = await build(rig, into('after.tar'));
  assert.deepEqual(new Set(Object.values(steps)), new Set(['DONE']));
  assert.ok(
    readFileSync(join(rig.work, 'before.tar')).equals(readFileSync(join(rig.work, 'after.tar'))),
  );
});

test('prune without --all leaves every cached step, with --all what no image and no pin holds', {
  skip,
}, async () => {
  await using rig = world();
  await build(rig, ['-t', 'kept']);
  await cache(rig, ['prune', '--force']);
  const cached = await build(rig, ['-t', 'kept']);
  assert.deepEqual(new Set(Object.values(cached.steps)), new Set(['CACHED']));
  await cache(rig, ['pin', 'kept', '--reason', 'release']);
  const pinned = (await entries(rig, 'kind=layer', 'held=yes')).map((e) => e.holds[0]?.text);
  assert.deepEqual(new Set(pinned), new Set(['image kept:latest is pinned: release']));
  await cache(rig, ['prune', '--all', '--force']);
  const again = await build(rig, ['-t', 'kept']);
  assert.deepEqual(new Set(Object.values(again.steps)), new Set(['CACHED']));
  await cache(rig, ['unpin', 'kept']);
  await cache(rig, ['prune', '--all', '--force']);
  assert.deepEqual(await entries(rig, 'kind=layer'), []);
  const saved = await varveHere(rig, rig.work, ['image', 'save', 'kept', '-o', 'kept.tar']);
  assert.equal(saved.status, 0, saved.stderr);
});

test('layers that two images have in either order all go, and each step says that they did', {
  skip,
}, async () => {
  await using rig = new Rig();
  rig.context('app', { a: 'a', b: 'b' });
  rig.write('app/ab', 'FROM scratch\nCOPY a /a\nCOPY b /b\n');
  rig.write('app/ba', 'FROM scratch\nCOPY b /b\nCOPY a /a\n');
  // Of one time, so that both orders make the same layers.
  for (const path of ['a', 'b']) utimesSync(join(rig.work, 'app', path), 1e9, 1e9);
  const orders = [
    ['-f', 'app/ab', 'app'],
    ['-f', 'app/ba', 'app'],
  ];
  for (const order of orders) {
    const run = await varveHere(rig, rig.work, ['build', '-q', ...order]);
    assert.equal(run.status, 0, run.stderr);
  }
  const blobs = (await entries(rig, 'kind=blob')).filter(({ label }) => label.includes('COPY'));
  assert.deepEqual(
    blobs.map(({ twins }) => twins.length),
    [2, 2],
    'a blob is a form of a layer of each order',
  );
  const [first, second] = blobs.map(({ id }) => id);
  assert.deepEqual(
    blobs.map(({ parents }) => parents),
    [[second], [first]],
  );
  const tree = await cache(rig, ['tree']);
  for (const id of [first, second]) assert.ok(tree.includes(id?.slice(12, 24) ?? '?'), tree);

  await cache(rig, ['prune', '--all', '--force', '--filter', 'kind=layer']);
  const rest = labels(await plan(rig, ['prune', '--all', '--force']));
  assert.deepEqual(rest.filter((label) => label.includes('COPY')).sort(), [
    '[1/2] COPY a /a',
    '[2/2] COPY b /b',
  ]);
  const left = (await entries(rig)).filter(({ kind }) => kind !== 'store');
  assert.deepEqual(left, []);
  for (const order of orders) {
    const run = await varveHere(rig, rig.work, ['build', '--plan', ...order]);
    const causes = run.stdout.split('\n').filter((line) => line.includes('built before'));
    assert.deepEqual(
      causes.map((line) =>
        line.replace(/\d{4}-\d\d-\d\d \d\d:\d\d UTC, asked for; .*/, 'RULE').trim(),
      ),
      Array.from(
        { length: 2 },
        () => 'it was built before, but its layers are no longer in the store: evicted RULE',
      ),
    );
  }
});

test('a pinned build keeps its layers, until its pin expires', { skip }, async () => {
  await using rig = world();
  await build(rig);
  const [last] = jsonLines(
    (await varveHere(rig, rig.work, ['history', 'ls', '--json'])).stdout,
  ) as [{ readonly id: string }];
  await cache(rig, ['pin', last.id.slice(0, 8), '--for', '1h']);
  assert.deepEqual(labels(await plan(rig, ['prune', '-a', '-f', '--filter', 'kind=layer'])), []);
  // The same pin again, of a moment.
  await cache(rig, ['pin', last.id, '--for', '0s']);
  const removed = await plan(rig, ['prune', '-a', '-f', '--filter', 'kind=layer']);
  assert.equal(removed.removals.length, 6);
});

test('what a living process holds is spared, with everything it stands on', { skip }, async () => {
  await using rig = world();
  await build(rig);
  const [slow] = await entries(rig, 'kind=layer', 'label=slow');
  assert.ok(slow !== undefined);
  const opened = openStateDb({ path: join(rig.store, 'state.db'), clock: { now: () => 1 } });
  assert.ok(opened.ok);
  using db = opened.value;
  {
    await using lease = db.leases.open('build of a test');
    lease.add(slow.id);
    await cache(rig, ['prune', '--all', '--force']);
    const left = await entries(rig, 'kind=layer');
    // Since the lease is older than every file, all that was written behind it is spared too.
    assert.ok(left.some((entry) => entry.id === slow.id));
    const ids = new Set(left.map((entry) => entry.id));
    assert.ok(slow.parents.every((id) => ids.has(id)));
    assert.deepEqual(slow.paths.map(existsSync), [true]);
  }
  await cache(rig, ['prune', '--all', '--force']);
  assert.deepEqual(await entries(rig, 'kind=layer'), []);
});

test('a build trims behind itself when the store is over its cap, and one that runs nothing does not', {
  skip,
}, async () => {
  await using rig = world();
  const quiet = await build(rig, [], { VARVE_GC_MAX_USED_SPACE: '1TB' });
  assert.doesNotMatch(quiet.stderr, /trimmed/);
  const noop = await build(rig, [], { VARVE_GC_MAX_USED_SPACE: '1kB' });
  assert.doesNotMatch(noop.stderr, /trimmed/);
  rig.write('app/other.txt', 'x');
  rig.write('app/Dockerfile', `${TWO_STAGES}COPY other.txt /other\n`);
  // The rig's store is beside its working directory.
  rig.write('../store/gc.yml', `max-used-space: ${(await fixed(rig)) + 5_000_000}\n`);
  const over = await build(rig);
  assert.match(over.stderr, /^trimmed the store: \d+ entries, /m);
  assert.ok(du(rig.store) < (await fixed(rig)) + 5_500_000);
  rig.write('../store/gc.yml', 'max-used-space: [1]\n');
  const run = await varveHere(rig, rig.work, ['cache', 'gc']);
  assert.deepEqual(
    [run.status, run.stderr.split('\n')[0]?.replace(rig.store, 'STORE')],
    [2, 'error[ST040]: policy STORE/gc.yml: max-used-space: expected text'],
  );
});

test('flags replace the environment, which replaces the file of the store', { skip }, async () => {
  await using rig = world();
  await build(rig);
  rig.write('../store/gc.yml', 'keep-duration: 0s\n');
  const file = await plan(rig, ['gc', '--dry-run']);
  assert.ok(file.removals.length > 0 && file.removals.every((r) => r.rule === 'keep-duration'));
  const env = await cache(rig, ['gc', '--dry-run', '--json'], {
    env: { VARVE_GC_KEEP_DURATION: '1h' },
  });
  assert.deepEqual((jsonLines(env)[0] as Plan).removals, []);
  const flags = await plan(rig, ['gc', '--dry-run', '--keep-duration', '1d']);
  assert.deepEqual(flags.removals, []);
});

test('a trim that was killed leaves nothing behind that the next one does not remove', {
  skip,
}, async () => {
  await using rig = world();
  await build(rig);
  rig.write('../store/trash/dead/0/file', 'left by a killed process');
  await cache(rig, ['prune', '--force']);
  assert.deepEqual(readdirSync(rig.store).includes('trash'), false);
});

test('from the start a store has half of the disk, and 5 GB that are not taken for free space', {
  skip,
}, async () => {
  await using rig = world();
  const env = { VARVE_GC_PRESET: '' };
  await build(rig, [], env);
  const [df] = jsonLines(await cache(rig, ['df', '--json'], { env })) as [
    { readonly disk: { readonly size: number }; readonly maxUsedSpace: number },
  ];
  assert.equal(df.maxUsedSpace, Math.floor(df.disk.size / 2));
  const all = { ...env, VARVE_GC_MIN_FREE_SPACE: '100%', VARVE_GC_MAX_USED_SPACE: '100%' };
  const planned = jsonLines(
    await cache(rig, ['gc', '--dry-run', '--json'], { env: all }),
  )[0] as Plan;
  assert.deepEqual([planned.removals, planned.unmet.map((u) => u.rule)], [[], ['min-free-space']]);
  rig.write('app/other.txt', 'x');
  rig.write('app/Dockerfile', `${TWO_STAGES}COPY other.txt /other\n`);
  const short = await build(rig, [], all);
  assert.doesNotMatch(short.stderr, /trimmed|cannot be met/);
  rig.write('app/other.txt', 'y');
  const taken = await build(rig, [], { ...all, VARVE_GC_RESERVED_SPACE: '0' });
  assert.match(taken.stderr, /^trimmed the store: \d+ entries, /m);
});
