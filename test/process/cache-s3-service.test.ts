import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { Secret } from '../../src/base/index.ts';
import type { S3Place } from '../../src/remotes/index.ts';
import { type Fault, type SeenRequest, startFaultyProxy } from '../rig/registry.ts';
import { S3_KEY, startS3 } from '../rig/s3.ts';
import { codeOf, machine } from '../rig/services.ts';

const { signal } = new AbortController();
const never = (): Promise<never> => Promise.reject(new Error('the bytes are there'));

const place = (host: string, more: Partial<S3Place> = {}): S3Place => ({
  kind: 's3',
  bucket: 'cache',
  region: 'us-east-1',
  names: ['main'],
  prefix: '',
  blobsPrefix: 'blobs/',
  manifestsPrefix: 'manifests/',
  endpoint: `http://${host}`,
  pathStyle: true,
  credentials: { accessKeyId: new Secret(S3_KEY), secretAccessKey: new Secret(S3_KEY) },
  parallel: 1,
  touchRefreshMs: 3_600_000,
  attempts: 3,
  ...more,
});

const FAULTS: Readonly<Record<string, readonly [Fault, string, number]>> = {
  '401': [{ kind: 'status', status: 401 }, 'RC011', 1],
  '403': [{ kind: 'status', status: 403 }, 'RC011', 1],
  '404': [{ kind: 'status', status: 404 }, 'RC010', 1],
  '429': [{ kind: 'status', status: 429, headers: { 'retry-after': '1' } }, 'RC012', 3],
  '500': [{ kind: 'status', status: 500 }, 'RC012', 3],
  '503': [{ kind: 'status', status: 503 }, 'RC012', 3],
  reset: [{ kind: 'reset' }, 'RC012', 3],
  stall: [{ kind: 'stall' }, 'RC012', 3],
};

test('faults of a bucket are tried again where that helps, and counted', async () => {
  await using s3 = await startS3();
  const wrong: string[] = [];
  for (const [name, [fault, code, tries]] of Object.entries(FAULTS)) {
    for (const lasting of [true, false]) {
      let met = 0;
      const chosen = (r: SeenRequest): Fault | undefined =>
        r.method === 'PUT' && (lasting || met === 0) && ++met > 0 ? fault : undefined;
      await using proxy = await startFaultyProxy(s3.url, chosen);
      await using here = machine();
      const blob = await here.blob(100);
      const remote = here.services.open(place(proxy.host));
      const done = codeOf(await remote.write(blob, { signal, obtain: never }));
      const want = lasting || tries === 1 ? code : 'ok';
      if (done !== want || met !== (lasting ? tries : 1))
        wrong.push(`${name} ${lasting ? 'always' : 'once'}: ${done} after ${met}`);
    }
  }
  assert.deepEqual(wrong, []);
});

test('a download from a bucket goes on where it broke; a damaged one is refused', async () => {
  await using s3 = await startS3();
  let cuts = 0;
  await using proxy = await startFaultyProxy(s3.url, (r) =>
    r.method === 'GET' && r.path.includes('blobs/') && cuts++ === 0
      ? { kind: 'truncate', after: 200_000 }
      : undefined,
  );
  await using here = machine();
  await using there = machine();
  const blob = await here.blob(500_000);
  const remote = here.services.open(place(proxy.host));
  await remote.write(blob, { signal, obtain: never });
  const { origin } = there.services.open(place(proxy.host));
  assert.equal(
    codeOf((await there.services.pull(origin, blob, { signal })) ?? { ok: false }),
    'ok',
  );
  const ranges = proxy.seen
    .filter((r) => r.method === 'GET' && r.path.includes('blobs/'))
    .map((r) => r.headers['range']);
  assert.match(String(ranges[1]), /^bytes=[1-9]\d*-$/);
  const other = await here.blob(500);
  const url = `${s3.url}/cache/blobs/${other.digest}`;
  const put = await fetch(url, { method: 'PUT', body: Buffer.alloc(500) });
  assert.equal(put.status, 200);
  const got = await there.services.pull(origin, other, { signal });
  assert.equal(codeOf(got ?? { ok: false }), 'RC013');
});

test('an upload in parts that broke off is gone on with, and old ones are given up', async () => {
  await using s3 = await startS3();
  let broken = true;
  const known: { listed?: { readonly id: string; readonly tag: string } } = {};
  const xml = (body: string): Fault => ({
    kind: 'status',
    status: 200,
    headers: { 'content-type': 'application/xml' },
    body: `<?xml version="1.0"?>${body}`,
  });
  await using here = machine();
  const blob = await here.blob(12 * 2 ** 20);
  const key = `blobs/${blob.digest}`;
  // s3rver keeps parts and puts them together, but lists no uploads: those answers are made here.
  await using proxy = await startFaultyProxy(s3.url, (r) => {
    if (broken && r.path.includes('partNumber=2')) return { kind: 'status', status: 500 };
    if (r.method === 'DELETE') return { kind: 'status', status: 204 };
    if (r.method !== 'GET' || known.listed === undefined) return undefined;
    const { listed } = known;
    const row = (name: string, id: string, at: string): string =>
      `<Upload><Key>${name}</Key><UploadId>${id}</UploadId><Initiated>${at}</Initiated></Upload>`;
    if (/[?&]uploads/.test(r.path))
      return xml(
        `<ListMultipartUploadsResult>${row(key, listed.id, new Date(Date.now()).toISOString())}${row('blobs/dead', 'old', '2020-01-01T00:00:00.000Z')}</ListMultipartUploadsResult>`,
      );
    return r.path.includes('uploadId=')
      ? xml(
          `<ListPartsResult><Part><PartNumber>1</PartNumber><ETag>"${listed.tag}"</ETag><Size>${5 * 2 ** 20}</Size></Part></ListPartsResult>`,
        )
      : undefined;
  });
  const remote = here.services.open(place(proxy.host));
  assert.equal(codeOf(await remote.write(blob, { signal, obtain: never })), 'RC012');
  const id =
    /uploadId=([^&]+)/.exec(
      proxy.seen.find((r) => r.path.includes('partNumber=1'))?.path ?? '',
    )?.[1] ?? '';
  const bytes = readFileSync(here.content.path(blob.digest));
  known.listed = {
    id,
    tag: createHash('md5')
      .update(bytes.subarray(0, 5 * 2 ** 20))
      .digest('hex'),
  };
  broken = false;
  proxy.seen.length = 0;
  const resumed = await remote.write(blob, { signal, obtain: never });
  assert.deepEqual(resumed, { ok: true, value: 'written' });
  const parts = proxy.seen.flatMap((r) => /partNumber=(\d+)/.exec(r.path)?.[1] ?? []);
  assert.deepEqual(parts, ['2', '3']);
  await remote.publish(Buffer.from('{}'), 'x', { signal });
  assert.deepEqual(
    proxy.seen
      .filter((r) => r.method === 'DELETE')
      .map((r) => /uploadId=([^&]+)/.exec(r.path)?.[1]),
    ['old'],
  );
  await using there = machine();
  const { origin } = there.services.open(place(proxy.host));
  const got = await there.services.pull(origin, blob, { signal });
  assert.equal(codeOf(got ?? { ok: false }), 'ok');
});

test('a blob that is there is not sent again, an old one is touched by a copy', async () => {
  await using s3 = await startS3();
  await using proxy = await startFaultyProxy(s3.url, () => undefined);
  await using here = machine();
  const blob = await here.blob(100);
  const write = async (touchRefreshMs: number): Promise<number> => {
    const remote = here.services.open(place(proxy.host, { touchRefreshMs }));
    proxy.seen.length = 0;
    assert.equal(codeOf(await remote.write(blob, { signal, obtain: never })), 'ok');
    return proxy.seen.filter((r) => 'x-amz-copy-source' in r.headers).length;
  };
  assert.deepEqual([await write(3_600_000), await write(3_600_000), await write(-1)], [0, 0, 1]);
});
