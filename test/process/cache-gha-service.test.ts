import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { downloadCacheHttpClient } from '../../node_modules/@actions/cache/lib/internal/downloadUtils.js';
import { internalCacheTwirpClient } from '../../node_modules/@actions/cache/lib/internal/shared/cacheTwirpClient.js';
import { uploadCacheArchiveSDK } from '../../node_modules/@actions/cache/lib/internal/uploadUtils.js';
import { Secret, sha256, TempDir } from '../../src/base/index.ts';
import type { GhaPlace } from '../../src/remotes/index.ts';
import { actionsToken, startActionsCache } from '../rig/actions-cache.ts';
import type { Fault, SeenRequest } from '../rig/registry.ts';
import { codeOf, machine } from '../rig/services.ts';

const MAIN = 'refs/heads/main';
/** Version of BuildKit's entries (go-actions-cache). The toolkit's own is made of paths, so that its lower layer is used. */
const VERSION = sha256('|go-actionscache-1.0').slice('sha256:'.length);
const { signal } = new AbortController();
const never = (): Promise<never> => Promise.reject(new Error('the bytes are there'));

const place = (url: string, more: Partial<GhaPlace> = {}): GhaPlace => ({
  kind: 'gha',
  scope: 'buildkit',
  branch: MAIN,
  pack: false,
  account: { url, token: new Secret(actionsToken({ [MAIN]: 3 })), timeoutMs: 20_000 },
  ...more,
});

/** Runs with the variables that the official client reads. */
async function asWorkflow<T>(url: string, work: () => Promise<T>): Promise<T> {
  const before = { ...process.env };
  process.env['ACTIONS_RESULTS_URL'] = url;
  process.env['ACTIONS_RUNTIME_TOKEN'] = actionsToken({ [MAIN]: 3 });
  process.env['ACTIONS_CACHE_SERVICE_V2'] = 'True';
  try {
    return await work();
  } finally {
    process.env = before;
  }
}

test('the official client reads an entry that was written here, in blocks or at once', async () => {
  await using cache = await startActionsCache();
  await using here = machine();
  await using tmp = await TempDir.create((await import('node:os')).tmpdir());
  const remote = here.services.open(place(cache.url));
  for (const size of [1000, 12 * 2 ** 20]) {
    const blob = await here.blob(size);
    assert.deepEqual(await remote.write(blob, { signal, obtain: never }), {
      ok: true,
      value: 'written',
    });
    const path = join(tmp.path, 'archive');
    const answer = await asWorkflow(cache.url, async () => {
      const found = await internalCacheTwirpClient().GetCacheEntryDownloadURL({
        key: `buildkit-blob-1-${blob.digest}`,
        restoreKeys: [],
        version: VERSION,
      });
      await downloadCacheHttpClient(found.signedDownloadUrl, path);
      return found;
    });
    assert.equal(answer.matchedKey, `buildkit-blob-1-${blob.digest}`);
    assert.equal(sha256(readFileSync(path)), blob.digest);
  }
  // The large one in blocks of 5 MiB.
  assert.equal(cache.count('comp=block&'), 3);
});

test('an entry that the official client wrote is read here', async () => {
  await using cache = await startActionsCache();
  await using here = machine();
  await using tmp = await TempDir.create((await import('node:os')).tmpdir());
  const bytes = Buffer.from('written by the toolkit');
  const key = `buildkit-blob-1-${sha256(bytes)}`;
  writeFileSync(join(tmp.path, 'archive'), bytes);
  await asWorkflow(cache.url, async () => {
    const client = internalCacheTwirpClient();
    const made = await client.CreateCacheEntry({ key, version: VERSION });
    await uploadCacheArchiveSDK(made.signedUploadUrl, join(tmp.path, 'archive'));
    await client.FinalizeCacheEntryUpload({
      key,
      version: VERSION,
      sizeBytes: String(bytes.length),
    });
  });
  const remote = here.services.open(place(cache.url));
  const blob = { mediaType: 'x', digest: sha256(bytes), size: bytes.length };
  const read = await remote.read(blob, { signal, maxBytes: 100 });
  assert.ok(read.ok, codeOf(read));
  assert.equal(Buffer.from(read.value).toString(), 'written by the toolkit');
  assert.equal((await remote.write(blob, { signal, obtain: never })).ok, true);
  assert.equal(cache.count('CreateCacheEntry'), 1);
});

const FAULTS: Readonly<Record<string, readonly [Fault, string, number]>> = {
  // What is met, the outcome when it stays, requests until then.
  '401': [{ kind: 'status', status: 401 }, 'RC011', 1],
  '403': [{ kind: 'status', status: 403 }, 'RC011', 1],
  '404': [{ kind: 'status', status: 404 }, 'RC012', 1],
  '429': [{ kind: 'status', status: 429, headers: { 'retry-after': '1' } }, 'RC012', 3],
  '500': [{ kind: 'status', status: 500 }, 'RC012', 3],
  '503': [{ kind: 'status', status: 503 }, 'RC012', 3],
  reset: [{ kind: 'reset' }, 'RC012', 3],
  stall: [{ kind: 'stall' }, 'RC012', 3],
};

test('faults of the service are tried again where that helps, and counted', async () => {
  const wrong: string[] = [];
  for (const [name, [fault, code, tries]] of Object.entries(FAULTS)) {
    for (const lasting of [true, false]) {
      let met = 0;
      const chosen = (r: SeenRequest): Fault | undefined =>
        r.path.includes('/twirp/') && (lasting || met === 0) && ++met > 0 ? fault : undefined;
      await using cache = await startActionsCache({ fault: chosen });
      await using here = machine();
      const blob = await here.blob(100);
      const remote = here.services.open(place(cache.url));
      const done = codeOf(await remote.write(blob, { signal, obtain: never }));
      const want = lasting || tries === 1 ? code : 'ok';
      const wantMet = lasting ? tries : 1;
      if (done !== want || met !== wantMet)
        wrong.push(`${name} ${lasting ? 'always' : 'once'}: ${done} after ${met}`);
    }
  }
  assert.deepEqual(wrong, []);
});

test('a download goes on where it broke, and what is damaged or gone is told apart', async () => {
  let cuts = 0;
  await using cache = await startActionsCache({
    fault: (r) =>
      r.method === 'GET' && r.path.startsWith('/blob/') && cuts++ === 0
        ? { kind: 'truncate', after: 200_000 }
        : undefined,
  });
  await using here = machine();
  await using there = machine();
  const blob = await here.blob(500_000);
  const [remote, reader] = [here, there].map((m) => m.services.open(place(cache.url)));
  assert.ok(remote !== undefined && reader !== undefined);
  await remote.write(blob, { signal, obtain: never });
  const pulled = await there.services.pull(reader.origin, blob, { signal });
  assert.equal(codeOf(pulled ?? { ok: false }), 'ok');
  const ranges = cache.seen.filter((r) => r.method === 'GET').map((r) => r.headers['range']);
  assert.equal(ranges.length, 2);
  assert.match(String(ranges[1]), /^bytes=[1-9]\d*-$/);

  const outcomes: string[] = [];
  for (const damage of ['flip', 'truncate', 'grow', 'evict'] as const) {
    await using other = machine();
    const victim = await here.blob(1000);
    await remote.write(victim, { signal, obtain: never });
    const from = other.services.open(place(cache.url));
    const entry = cache.entries.at(-1);
    assert.ok(entry !== undefined);
    cache.entries.pop();
    const { data } = entry;
    const changed = {
      flip: Buffer.concat([Buffer.from([(data[0] ?? 0) ^ 1]), data.subarray(1)]),
      truncate: data.subarray(0, 500),
      grow: Buffer.concat([data, data]),
      evict: undefined,
    }[damage];
    if (changed !== undefined) cache.entries.push({ ...entry, data: changed });
    const got = await other.services.pull(from.origin, victim, { signal });
    outcomes.push(`${damage} ${codeOf(got ?? { ok: false })}`);
  }
  assert.deepEqual(outcomes, ['flip RC013', 'truncate RC012', 'grow RC012', 'evict RC010']);
});

test('the index that a second writer is writing is waited for, one that died is passed over', async () => {
  await using cache = await startActionsCache();
  await using here = machine();
  const remote = here.services.open(place(cache.url));
  await asWorkflow(cache.url, async () => {
    const name = `index-buildkit-1-${sha256(MAIN).slice(7, 15)}`;
    // Never ended.
    await internalCacheTwirpClient().CreateCacheEntry({ key: `${name}#1`, version: VERSION });
  });
  const done = await remote.publish(Buffer.from('{}'), 'x', { signal });
  assert.equal(codeOf(done), 'ok');
  assert.deepEqual(
    cache.entries.map((e) => e.key.slice(-2)),
    ['#2'],
  );
});
