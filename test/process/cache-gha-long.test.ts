import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { type ActionsCache, actionsToken, startActionsCache } from '../rig/actions-cache.ts';
import { rowBuild, rowWorld } from '../rig/cache-rows.ts';
import { note } from '../rig/golden.ts';
import { varveHere } from '../rig/in-process.ts';
import { BUSYBOX, needsSteps, Rig } from '../rig/rig.ts';

const MAIN = 'refs/heads/main';

const env = (cache: ActionsCache): Readonly<Record<string, string>> => ({
  ACTIONS_RESULTS_URL: cache.url,
  ACTIONS_RUNTIME_TOKEN: actionsToken({ [MAIN]: 3 }),
});

function keys(rig: Rig): void {
  const openssl = (...args: readonly string[]): unknown =>
    execFileSync('openssl', args, { cwd: rig.work, stdio: 'pipe' });
  for (const name of ['main', 'other']) {
    openssl('genpkey', '-algorithm', 'ed25519', '-out', `${name}.key`);
    openssl('pkey', '-in', `${name}.key`, '-pubout', '-out', `${name}.pub`);
  }
}

const used = { status: 0, steps: 'CACHED CACHED', said: '' };
const refused = (why: string): unknown => ({ status: 0, steps: 'DONE DONE', said: why });

test('a signature travels with a cache of single entries and with one of packs, and decides in both', async () => {
  await using rig = rowWorld();
  keys(rig);
  for (const pack of ['', ',pack=true']) {
    await using cache = await startActionsCache();
    const build = async (...args: readonly string[]): ReturnType<typeof rowBuild> => {
      const { said, ...rest } = await rowBuild(rig, args, { env: env(cache) });
      const [, why] = /is not used: (.*)$/.exec(said) ?? [];
      return { ...rest, said: (why ?? said).replace(/sha256:\w+/, 'KEY') };
    };
    const to = `type=gha,mode=max${pack}`;
    const from = (key: string): string[] => [
      '--cache-from',
      `type=gha,require-signature=${key}.pub`,
    ];
    await build('--cache-to', `${to},sign-key=main.key`);
    const outcomes = [await build(...from('main')), await build(...from('other'))];
    await build('--cache-to', to);
    outcomes.push(await build(...from('main')));
    assert.deepEqual(
      outcomes,
      [used, refused('its key KEY is not among the required ones'), refused('it is not signed')],
      pack,
    );
  }
});

test('of a cache with packs and one without under a name, the signed one is used and the other is said', async () => {
  await using rig = rowWorld();
  keys(rig);
  for (const [signed, plain] of [
    [',pack=true', ''],
    ['', ',pack=true'],
  ]) {
    await using cache = await startActionsCache();
    const build = (...args: readonly string[]): ReturnType<typeof rowBuild> =>
      rowBuild(rig, args, { env: env(cache) });
    await build('--cache-to', `type=gha,mode=max${signed},sign-key=main.key`);
    await build('--cache-to', `type=gha,mode=max${plain}`);
    const got = await build('--cache-from', 'type=gha,require-signature=main.pub');
    const said = `CacheImport: an export in gha:buildkit (${MAIN}) is not used: it is not signed`;
    assert.deepEqual(got, { ...used, said }, `signed ${signed}`);
    const strict = 'type=gha,require-signature=main.pub,strict=true';
    const failed = await build('--cache-from', strict);
    assert.equal(failed.status, 3);
    assert.match(
      failed.said,
      /error\[RC030\]: the cache gha:\S+ \S+ is refused: it is not signed$/,
    );
  }
});

const MOUNTS = `${BUSYBOX}ARG N=1
RUN --mount=type=cache,target=/c,id=kept busybox ls /c > /seen; busybox cp /large$N /c/file$N
`.replace('\nARG', '\nCOPY large1 large2 /\nARG');

test('cache mounts travel over GitHub Actions in chunks: a second file sends that file', {
  skip: needsSteps,
}, async () => {
  await using rig = new Rig();
  await using cache = await startActionsCache();
  rig.context('app', { Dockerfile: MOUNTS });
  const [size, more] = [3_000_000, 200_000];
  rig.write('app/large1', randomBytes(size));
  rig.write('app/large2', randomBytes(more));
  const build = async (store: string, ...args: readonly string[]): Promise<string> => {
    const command = ['build', '--progress=plain', ...args, 'app'];
    const world = { ...env(cache), VARVE_ROOT: join(rig.root, store) };
    const run = await varveHere(rig, rig.work, command, world);
    assert.equal(run.status, 0, run.stderr);
    return run.stderr;
  };
  const bytes = (): number => cache.entries.reduce((sum, { data }) => sum + data.length, 0);
  const mounts = (flag: string): string[] =>
    [flag, 'type=gha,mounts=true,pack=true'].map((text) =>
      flag === '--cache-from' ? text.replace(',pack=true', '') : text,
    );
  await build('one', ...mounts('--cache-to'));
  const first = bytes();
  const said = await build(
    'two',
    ...['--build-arg', 'N=2', ...mounts('--cache-from'), ...mounts('--cache-to')],
    ...['-o', 'type=local,dest=out'],
  );
  assert.equal(readFileSync(join(rig.work, 'out/seen'), 'utf8'), 'file1\n');
  assert.match(said, /cache mount kept: 1 file, 3\.0 MB restored from gha:buildkit/);
  assert.match(said, /cache mount kept: 2 files, 3\.2 MB; 2\d\d\.\d kB sent/);
  const sent = bytes() - first;
  assert.ok(sent < more * 1.5, `${sent} bytes for a file of ${more}`);
  note(`cache mounts in GitHub Actions: ${first} bytes, one file of ${more} more ${sent}`);
});

test('what was used in the last seven days stays, and what is gone is run and written again', async () => {
  await using rig = rowWorld();
  await using cache = await startActionsCache();
  const options = { env: env(cache), output: true };
  const flags = ['--cache-from', 'type=gha', '--cache-to', 'type=gha,mode=max'];
  const build = async (): Promise<string> => {
    const { steps, status } = await rowBuild(rig, flags, options);
    return `${status} ${steps}`;
  };
  const seen = [await build()];
  for (const days of [5, 5, 5, 7]) {
    cache.advance(days);
    seen.push(await build());
  }
  // Each build uses what it finds, so that only a week without any ends the cache.
  assert.deepEqual(seen, [
    '0 DONE DONE',
    ...Array<string>(3).fill('0 CACHED CACHED'),
    '0 DONE DONE',
  ]);
  // Layers that nobody fetched for a week go before the index that names them.
  const none = ['--cache-from', 'type=gha', '-o', 'type=cacheonly'];
  for (const days of [4, 4]) {
    cache.advance(days);
    const { steps } = await rowBuild(rig, none, { env: env(cache) });
    seen.push(steps);
  }
  const lost = await rowBuild(rig, flags, options);
  assert.deepEqual(
    [seen.slice(-2), lost.steps],
    [Array<string>(2).fill('CACHED CACHED'), 'DONE DONE'],
  );
  assert.match(lost.said, /CacheLayerLost: layer .*has no entry/);
  assert.equal(await build(), '0 CACHED CACHED');
});

test('above the share of the repository the entries that were not used for longest go, and no build fails', async () => {
  await using rig = rowWorld();
  // The share in thousandths: 10 GB of GitHub are 10 MB here.
  await using cache = await startActionsCache({ limitBytes: 10_000_000 });
  const outcomes: string[] = [];
  for (let i = 0; i < 8; i++) {
    rig.write('app/a.txt', randomBytes(3_000_000));
    const flags = ['--cache-from', 'type=gha', '--cache-to', 'type=gha,mode=max'];
    const made = await rowBuild(rig, flags, { env: env(cache) });
    const again = await rowBuild(rig, ['--cache-from', 'type=gha'], { env: env(cache) });
    outcomes.push(`${made.status} ${made.steps}, ${again.status} ${again.steps}`);
  }
  assert.deepEqual(outcomes, Array<string>(8).fill('0 DONE DONE, 0 CACHED CACHED'));
  const bytes = cache.entries.reduce((sum, { data }) => sum + data.length, 0);
  assert.ok(bytes <= 10_000_000 && bytes > 6_000_000, String(bytes));
  const large = cache.entries.filter(({ data }) => data.length > 1_000_000);
  assert.equal(large.length, 3);
});
