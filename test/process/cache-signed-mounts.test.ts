import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { varveHere } from '../rig/in-process.ts';
import { BUSYBOX, needsSteps, Rig, type Run } from '../rig/rig.ts';
import { S3_KEY, startS3 } from '../rig/s3.ts';

const skip = needsSteps;

const FILE = `${BUSYBOX}ARG N=1
RUN --mount=type=cache,target=/c,id=kept busybox ls /c > /seen; echo made > /c/made$N
`;

function world(): Rig {
  const rig = new Rig();
  rig.context('app', { Dockerfile: FILE });
  const openssl = (...args: readonly string[]): unknown =>
    execFileSync('openssl', args, { cwd: rig.work, stdio: 'pipe' });
  for (const name of ['main', 'other']) {
    openssl('genpkey', '-algorithm', 'ed25519', '-out', `${name}.key`);
    openssl('pkey', '-in', `${name}.key`, '-pubout', '-out', `${name}.pub`);
  }
  return rig;
}

async function build(rig: Rig, store: string, args: readonly string[]): Promise<Run> {
  const all = ['build', '--progress=plain', ...args, 'app'];
  return await varveHere(rig, rig.work, all, { VARVE_ROOT: join(rig.root, store) });
}

/** What a step on a new machine found in its cache mount, and why it found nothing. */
async function found(rig: Rig, store: string, from: string): Promise<readonly [string, string]> {
  const out = ['-o', `type=local,dest=out-${store}`];
  const run = await build(rig, store, ['--build-arg', 'N=2', '--cache-from', from, ...out]);
  assert.equal(run.status, 0, run.stderr);
  const why = /cache mount kept is used as it is here: ([^\n]*)/.exec(run.stderr)?.[1] ?? '';
  return [
    readFileSync(join(rig.work, `out-${store}`, 'seen'), 'utf8'),
    why.replace(/sha256:\w+/, 'KEY'),
  ];
}

test('signed cache mounts are restored, and those of nobody or of another key are refused and said', {
  skip,
}, async () => {
  await using rig = world();
  await using s3 = await startS3();
  const bucket = `type=s3,bucket=cache,region=us-east-1,endpoint_url=${s3.url},use_path_style=true,access_key_id=${S3_KEY},secret_access_key=${S3_KEY}`;
  const to = (place: string): string[] => ['--cache-to', `${place},mode=max,mounts=true`];
  const made = await build(rig, 'one', [
    ...to('type=local,dest=signed,sign-key=main.key'),
    ...to('type=local,dest=plain'),
    ...to(`${bucket},sign-key=main.key`),
  ]);
  assert.equal(made.status, 0, made.stderr);
  const from = (place: string, key: string): string =>
    `${place},mounts=true,require-signature=${key}.pub`;
  assert.deepEqual(
    {
      signed: await found(rig, 'two', from('type=local,src=signed', 'main')),
      bucket: await found(rig, 'three', from(bucket, 'main')),
      other: await found(rig, 'four', from('type=local,src=signed', 'other')),
      plain: await found(rig, 'five', from('type=local,src=plain', 'main')),
    },
    {
      signed: ['made1\n', ''],
      bucket: ['made1\n', ''],
      other: ['', 'its key KEY is not among the required ones'],
      plain: ['', 'it is not signed'],
    },
  );
});

test('a key that cannot be used is said before anything is built', { skip }, async () => {
  await using rig = world();
  const to = ['--cache-to', 'type=local,dest=c,mode=max,ignore-error=true,sign-key=absent.key'];
  const run = await build(rig, 'one', to);
  assert.equal(run.status, 2, run.stderr);
  assert.match(run.stderr, /error\[RC031\]: .*absent\.key cannot be read \(ENOENT\)/);
  assert.doesNotMatch(run.stderr, /RUN --mount/);
});
