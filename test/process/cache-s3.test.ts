import assert from 'node:assert/strict';
import { test } from 'node:test';
import { needsSteps } from '../rig/rig.ts';
import { S3_KEY, startS3 } from '../rig/s3.ts';
import {
  ALL_CACHED,
  ALL_RUN,
  assertNowhere,
  serviceBuild,
  serviceWorld,
} from '../rig/service-cache.ts';

const skip = needsSteps;
const ENV = { AWS_ACCESS_KEY_ID: S3_KEY, AWS_SECRET_ACCESS_KEY: S3_KEY };
const spec = (url: string, more = ''): string =>
  `type=s3,bucket=cache,region=us-east-1,endpoint_url=${url},use_path_style=true${more}`;

test('a cache in a bucket answers in an empty store without a layer being fetched', {
  skip,
}, async () => {
  await using rig = serviceWorld();
  await using s3 = await startS3();
  const to = ['--cache-to', spec(s3.url, ',mode=max,prefix=team/,name=main;other')];
  await serviceBuild(rig, 'one', to, { env: ENV });
  const from = ['--cache-from', spec(s3.url, ',prefix=team/,name=other'), '-t', 'x'];
  const built = await serviceBuild(rig, 'two', from, { env: ENV });
  assert.deepEqual(built.steps, ALL_CACHED, built.said);
  rig.write('app/b.txt', 'changed\n');
  const changed = await serviceBuild(rig, 'two', [...from, ...to, '-o', 'type=oci,dest=x.tar'], {
    env: ENV,
  });
  assert.deepEqual(changed.steps, { ...ALL_CACHED, '[stage-1 2/2] COPY b.txt /b': 'DONE' });
});

test('a bucket that cannot be read is said, and the steps run', { skip }, async () => {
  await using rig = serviceWorld();
  await using s3 = await startS3();
  const absent = await serviceBuild(rig, 'one', ['--cache-from', spec(s3.url)], { env: ENV });
  assert.match(absent.said, /answers 404 NoSuchKey/);
  assert.deepEqual(absent.steps, ALL_RUN);
  const refused = await serviceBuild(rig, 'two', ['--cache-from', spec(s3.url)], {
    env: { AWS_ACCESS_KEY_ID: 'unknown', AWS_SECRET_ACCESS_KEY: 'wrong' },
  });
  assert.match(refused.said, /answers 403 InvalidAccessKeyId/);
  assert.deepEqual(refused.steps, ALL_RUN);
});

test('no key of a bucket reaches a file, a log or a message', { skip }, async () => {
  await using rig = serviceWorld();
  await using s3 = await startS3();
  const secret = 'wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEY';
  const keys = `,access_key_id=${S3_KEY},secret_access_key=${secret},session_token=${secret}t`;
  const one = await serviceBuild(rig, 'one', [
    '--cache-from',
    spec(s3.url, keys),
    '--cache-to',
    spec(s3.url, keys),
  ]);
  const two = await serviceBuild(rig, 'one', ['--cache-to', spec(s3.url, `${keys},x=1`)], {
    status: 2,
  });
  const unknown = keys.replace(S3_KEY, secret);
  const three = await serviceBuild(rig, 'one', ['--cache-to', spec(s3.url, unknown)], {
    status: 3,
  });
  assertNowhere(rig, secret, [one.output, two.output, three.output]);
});
