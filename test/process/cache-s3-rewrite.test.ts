import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import {
  DeleteObjectCommand,
  GetObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  S3Client,
} from '@aws-sdk/client-s3';
import { startCacheServers } from '../rig/cache-places.ts';
import { rowBuild, rowWorld } from '../rig/cache-rows.ts';
import { note } from '../rig/golden.ts';
import { varveHere } from '../rig/in-process.ts';
import { S3_KEY } from '../rig/s3.ts';

/** What can have become of the object of a layer. */
const DAMAGE: Readonly<Record<string, (bytes: Buffer) => Buffer | undefined>> = {
  missing: () => undefined,
  truncated: (bytes) => bytes.subarray(0, bytes.length >> 1),
  oversized: (bytes) => Buffer.concat([bytes, Buffer.from('more')]),
  corrupt: (bytes) =>
    Buffer.from(bytes.map((byte, i) => (i === bytes.length >> 1 ? byte ^ 1 : byte))),
};

test('an object of a bucket that is not what its name says is written again by the next export, once', async () => {
  await using rig = rowWorld();
  rig.write('app/a.txt', randomBytes(100_000).toString('base64'));
  await using servers = await startCacheServers();
  const { to, env } = servers.good.s3;
  const wrong: string[] = [];
  let before = 0;
  await using place = await servers.open('s3', () => undefined);
  const s3 = new S3Client({
    endpoint: /endpoint_url=([^,]*)/.exec(place.to)?.[1] ?? '',
    ...{ region: 'us-east-1', forcePathStyle: true },
    credentials: { accessKeyId: S3_KEY, secretAccessKey: S3_KEY },
  });
  const Bucket = 'cache';
  const bytesOf = async (Key: string): Promise<Buffer> => {
    const { Body } = await s3.send(new GetObjectCommand({ Bucket, Key }));
    return Buffer.from((await Body?.transformToByteArray()) ?? []);
  };
  const store = join(rig.root, 'writer');
  const build = async (flags: readonly string[]): Promise<number | null> => {
    const args = ['build', '--progress=quiet', ...flags, 'app'];
    return (await varveHere(rig, rig.work, args, { ...env, VARVE_ROOT: store })).status;
  };
  assert.equal(await build(['--cache-to', `${to},mode=max`]), 0);
  const listed = await s3.send(new ListObjectsV2Command({ Bucket, Prefix: 'good/blobs/' }));
  const [largest] = (listed.Contents ?? []).sort((a, b) => (b.Size ?? 0) - (a.Size ?? 0));
  const key = largest?.Key ?? '';
  const good = await bytesOf(key);
  assert.ok(good.length > 100_000);
  for (const [name, change] of Object.entries(DAMAGE)) {
    const bytes = change(good);
    await (bytes === undefined
      ? s3.send(new DeleteObjectCommand({ Bucket, Key: key }))
      : s3.send(new PutObjectCommand({ Bucket, Key: key, Body: bytes })));
    // A store that met the damage knows of it; of another one only the size tells.
    const met = name === 'corrupt' ? join(rig.root, 'meets') : store;
    if (name === 'corrupt') {
      const args = [
        'build',
        '--progress=quiet',
        '--cache-from',
        place.from,
        '-o',
        `type=local,dest=${rig.root}/out`,
        'app',
      ];
      const run = await varveHere(rig, rig.work, args, { ...env, VARVE_ROOT: met });
      assert.equal(run.status, 0, run.stderr);
    }
    before = place.seen.length;
    const args = ['build', '--progress=quiet', '--cache-to', `${place.to},mode=max`, 'app'];
    const run = await varveHere(rig, rig.work, args, { ...env, VARVE_ROOT: met });
    const sent = place.seen
      .slice(before)
      .filter((r) => r.method === 'PUT' && decodeURIComponent(r.path).includes(key)).length;
    const now = await bytesOf(key);
    if (run.status !== 0 || sent !== 1 || !now.equals(good))
      wrong.push(`${name}: exit ${run.status}, ${sent} uploads, ${now.length} bytes ${run.stderr}`);
    before = place.seen.length;
    await varveHere(rig, rig.work, args, { ...env, VARVE_ROOT: met });
    const again = place.seen
      .slice(before)
      .filter((r) => r.method === 'PUT' && r.path.includes('/blobs/')).length;
    if (again !== 0) wrong.push(`${name}: ${again} blobs sent again although nothing is wrong`);
    rmSync(join(rig.root, 'out'), { recursive: true, force: true });
  }
  const read = await rowBuild(rig, ['--cache-from', place.from], { env, output: true });
  assert.deepEqual(
    { wrong, steps: read.steps, said: read.said },
    { wrong: [], steps: 'CACHED CACHED', said: '' },
  );
  note(`objects of a bucket that are damaged: ${Object.keys(DAMAGE).length} rows`);
});
