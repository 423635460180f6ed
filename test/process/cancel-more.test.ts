import { deepEqual, match } from 'node:assert/strict';
import type { ChildProcess } from 'node:child_process';
import {
  closeSync,
  existsSync,
  ftruncateSync,
  openSync,
  readlinkSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import { sha256 } from '../../src/base/index.ts';
import { MEDIA } from '../../src/oci/index.ts';
import { headOfFile } from '../rig/bombs.ts';
import { leftovers, names, said, stalling, until } from '../rig/cancelled.ts';
import { DiskRepo, needsDiskTools } from '../rig/disk-repo.ts';
import { writeDiskTemplate } from '../rig/disk-template.ts';
import { note } from '../rig/golden.ts';
import { BUSYBOX, needsSteps, Rig, type Run } from '../rig/rig.ts';
import { FAULTS, type FaultPlan, TORTURE } from '../torture/fault-plan.ts';

type Started = {
  readonly child: ChildProcess;
  readonly done: Promise<Run> /** What is done when it has its signal. */;
  readonly signalled?: () => void;
};
/** Starts a command and waits until it is in the middle of something. */
type Phase = (rig: Rig, use: AsyncDisposableStack) => Promise<Started>;

/** A registry that sends the first half of a layer, and when it has. */
async function halfOfALayer(
  use: AsyncDisposableStack,
): Promise<{ readonly host: string; readonly reached: Promise<unknown> }> {
  const json = (value: unknown): Buffer => Buffer.from(JSON.stringify(value));
  const rootfs = { type: 'layers', diff_ids: [sha256('x')] };
  const config = json({ architecture: 'amd64', os: 'linux', rootfs });
  const layer = Buffer.alloc(2 ** 22, 'layer');
  const manifest = json({
    ...{ schemaVersion: 2, mediaType: MEDIA.ociManifest },
    config: { mediaType: MEDIA.ociConfig, digest: sha256(config), size: config.length },
    layers: [{ mediaType: MEDIA.ociLayerGzip, digest: sha256(layer), size: layer.length }],
  });
  const { promise, resolve } = Promise.withResolvers<undefined>();
  const server = createServer((request, response) => {
    const name = request.url?.split('/').at(-1);
    if (name === sha256(layer)) {
      response.writeHead(200, { 'content-length': layer.length });
      response.write(layer.subarray(0, layer.length / 2), () => resolve(undefined));
      return;
    }
    const body = name === sha256(config) ? config : manifest;
    response.writeHead(200, { 'content-type': MEDIA.ociManifest }).end(body);
  });
  server.listen(0, '127.0.0.1');
  await new Promise((listening) => server.once('listening', listening));
  use.defer(() => {
    server.closeAllConnections();
    server.close();
  });
  // A TCP server's address is of this type.
  return { host: `127.0.0.1:${(server.address() as AddressInfo).port}`, reached: promise };
}

/** A file that takes long to read and no room. */
function sparse(path: string): void {
  const fd = openSync(path, 'w');
  ftruncateSync(fd, 64 * 2 ** 30);
  closeSync(fd);
}

/** A program that has opened a file. */
async function opened(run: Started, path: string): Promise<Started> {
  const fds = `/proc/${run.child.pid ?? 0}/fd`;
  const target = (fd: string): string | undefined => {
    try {
      return readlinkSync(join(fds, fd));
    } catch {
      // Closed while it was looked at.
      return undefined;
    }
  };
  await until(() => names(fds).some((fd) => target(fd) === path), run.child);
  return run;
}

/** A program that stands still before a change of its files until it has the signal. */
async function paused(
  rig: Rig,
  args: readonly string[],
  at: { readonly point: string; readonly nth: number },
): Promise<Started> {
  const [reached, go] = [join(rig.root, 'reached'), join(rig.root, 'go')];
  const plan: FaultPlan = { root: rig.store, also: [rig.work], pause: { ...at, reached, go } };
  const env = { NODE_OPTIONS: `--import=${FAULTS}`, [TORTURE]: JSON.stringify(plan) };
  const run = rig.start(args, { env });
  await until(() => existsSync(reached), run.child);
  return { ...run, signalled: () => writeFileSync(go, '') };
}

const PHASES: Readonly<Record<string, Phase>> = {
  'reading a large context': async (rig) => {
    rig.write('app/Dockerfile', 'FROM scratch\nCOPY huge /\n');
    sparse(join(rig.work, 'app/huge'));
    return await opened(
      rig.start(['build', '--progress=plain', 'app']),
      join(rig.work, 'app/huge'),
    );
  },
  'the middle of a layer that is pulled by a build': async (rig, use) => {
    const { host, reached } = await halfOfALayer(use);
    rig.context('app', { Dockerfile: `FROM ${host}/base:1\nRUN true\n` });
    const run = rig.start(['build', '--progress=plain', 'app']);
    await Promise.race([reached, run.done]);
    return run;
  },
  'the middle of a layer of image pull': async (rig, use) => {
    const { host, reached } = await halfOfALayer(use);
    const run = rig.start(['image', 'pull', `${host}/base:1`]);
    await Promise.race([reached, run.done]);
    return run;
  },
  'the middle of an archive that image load reads': async (rig) => {
    const run = rig.start(['image', 'load', '-i', '-']);
    // It may end before it has read everything.
    run.child.stdin?.on('error', () => undefined);
    run.child.stdin?.write(headOfFile(`blobs/sha256/${'0'.repeat(64)}`, 2 ** 24));
    run.child.stdin?.write(Buffer.alloc(2 ** 20));
    await until(() => names(join(rig.store, 'content/ingest')).length > 0, run.child);
    return run;
  },
  'an export of the cache to a registry': async (rig, use) => {
    const { host, reached } = await stalling(use, /POST|HEAD|PUT/);
    rig.context('app', { Dockerfile: BUSYBOX });
    const cache = `type=registry,ref=${host}/me/cache:1`;
    const run = rig.start(['build', '--progress=plain', '--cache-to', cache, 'app']);
    await Promise.race([reached, run.done]);
    return run;
  },
  'an export of the cache to a bucket': async (rig, use) => {
    const { host, reached } = await stalling(use, /./);
    rig.context('app', { Dockerfile: BUSYBOX });
    const place = `type=s3,bucket=b,region=x,endpoint_url=http://${host},use_path_style=true,access_key_id=a,secret_access_key=b`;
    const run = rig.start(['build', '--progress=plain', '--cache-to', place, 'app']);
    await Promise.race([reached, run.done]);
    return run;
  },
  'a step of a bake target': async (rig) => {
    rig.context('app', {
      Dockerfile: `${BUSYBOX}RUN echo up; exec busybox sleep ${rig.root.length}7777\n`,
      'docker-bake.json': '{"target":{"default":{}}}',
    });
    const run = rig.start(['bake', '-f', 'app/docker-bake.json', '--progress=plain']);
    await said(run.child, /\d up$/m);
    return run;
  },
  'an export of the cache to a directory': async (rig) => {
    rig.context('app', { Dockerfile: BUSYBOX });
    const args = ['build', '--progress=plain', '--cache-to', 'type=local,dest=cache', 'app'];
    return await paused(rig, args, { point: 'rename output/cache/blobs/sha#/*', nth: 2 });
  },
  'cache verify': async (rig) => {
    rig.context('app', { Dockerfile: BUSYBOX });
    await rig.varve(['build', '-q', 'app']);
    const blob = join(rig.store, 'content/blobs/sha256', '0'.repeat(64));
    sparse(blob);
    return await opened(rig.start(['cache', 'verify']), blob);
  },
  'cache prune': async (rig) => {
    rig.context('app', { Dockerfile: `${BUSYBOX}RUN true\n` });
    await rig.varve(['build', '-q', 'app']);
    const args = ['cache', 'prune', '--all', '--force'];
    return await paused(rig, args, { point: 'rename trash/*/#', nth: 2 });
  },
};

/** The beginning of a blob is kept: the next download goes on behind it. */
const PARTIAL = /^content\/ingest\/[0-9a-f]{40}\.part$/;

test('SIGINT in the middle of anything that takes long leaves nothing and exits with 130', {
  skip: needsSteps,
}, async () => {
  const wrong: string[] = [];
  for (const [name, start] of Object.entries(PHASES)) {
    await using rig = new Rig();
    await using use = new AsyncDisposableStack();
    const { child, done, signalled } = await start(rig, use);
    child.kill('SIGINT');
    signalled?.();
    const run = await done;
    if (run.status !== 130) wrong.push(`${name}: exit ${run.status}: ${run.stderr.slice(-600)}`);
    for (const left of leftovers(rig, new Set()))
      if (!PARTIAL.test(left)) wrong.push(`${name}: left ${left}`);
  }
  deepEqual(wrong, []);
  note(`cancellation: SIGINT in ${Object.keys(PHASES).length} more phases, nothing left`);
});

test('SIGINT while a command of a disk is run leaves nothing and exits with 130', {
  skip: needsDiskTools,
}, async () => {
  await using rig = new Rig();
  await using tiny = await DiskRepo.start();
  writeDiskTemplate(rig, tiny, { command: 'echo up; while true; do true; done' });
  const { child, done } = rig.start(['compose', 'os.yml', '--progress=plain']);
  await said(child, /\d up$/m);
  child.kill('SIGINT');
  const run = await done;
  match(run.stderr, /\d up$/m);
  deepEqual([run.status, leftovers(rig, new Set())], [130, []]);
});
