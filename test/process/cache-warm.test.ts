import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync, renameSync, rmSync } from 'node:fs';

import { join } from 'node:path';
import { describe, test } from 'node:test';
import { startFaultyProxy, startRegistry } from '../rig/registry.ts';
import { BUSYBOX, needsSteps, Rig, type Run, statesOf } from '../rig/rig.ts';

const FILE = (base: string): string => `FROM ${base} AS tool
ARG WHO=world
RUN busybox echo "hello $WHO" > /made
FROM ${base}
COPY --from=tool /made /made
COPY b.txt /b
RUN busybox cat /b /made > /out
`;

class Machines implements AsyncDisposable {
  readonly rig = new Rig();

  async run(store: string, args: readonly string[]): Promise<Run> {
    return await this.rig.varve(args, { env: { VARVE_ROOT: join(this.rig.root, store) } });
  }

  async ok(store: string, args: readonly string[]): Promise<Run> {
    const run = await this.run(store, args);
    assert.equal(run.status, 0, run.stderr);
    return run;
  }

  /** A base image in the registry, and an application on it. */
  async setUp(host: string): Promise<void> {
    this.rig.context('base', { Dockerfile: BUSYBOX });
    await this.ok('base', ['build', '-q', '-t', `${host}/team/base:1`, '--push', 'base']);
    this.rig.context('app', { Dockerfile: FILE(`${host}/team/base:1`), 'b.txt': 'b\n' });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.rig[Symbol.asyncDispose]();
  }
}

const states = (run: Run): readonly string[] =>
  Object.entries(statesOf(run.stderr)).flatMap(([name, state]) =>
    name.includes('] FROM ') ? [] : [state],
  );

describe('varve cache warm', { skip: needsSteps }, () => {
  test('after it a build with the registry switched off is all cached and asks nobody', async () => {
    await using world = new Machines();
    await using registry = await startRegistry();
    const proxy = await startFaultyProxy(registry.url, () => undefined);
    await world.setUp(proxy.host);
    const cache = `type=registry,ref=${proxy.host}/team/cache:main`;
    await world.ok('one', ['build', '--progress=plain', '--cache-to', `${cache},mode=max`, 'app']);
    await world.ok('two', ['cache', 'warm', '--cache-from', cache, 'app']);
    await proxy[Symbol.asyncDispose]();
    const seen = proxy.seen.length;
    const built = await world.ok('two', ['build', '--progress=rawjson', '-t', 'app', 'app']);
    assert.deepEqual([states(built), proxy.seen.length], [ALL_CACHED, seen]);
    await world.ok('two', ['image', 'save', 'app', '-o', 'app.tar']);
  });

  test('what would run is named with its cause, and the exit code says not ready', async () => {
    await using world = new Machines();
    await using registry = await startRegistry();
    await world.setUp(registry.host);
    await world.ok('one', ['build', '--progress=quiet', 'app']);
    const ready = await world.ok('one', ['cache', 'warm', '--progress=quiet', 'app']);
    assert.match(
      ready.stdout,
      /^\d of \d steps are CACHED\nlayers: \d extracted, .*\nbase images: .*\nready: no network is needed\n$/,
    );
    const arg = await world.run('one', [
      ...['cache', 'warm', '--progress=quiet', '--build-arg', 'WHO=you', 'app'],
    ]);
    world.rig.write('app/b.txt', 'changed\n');
    const file = await world.run('one', ['cache', 'warm', '--progress=quiet', 'app']);
    assert.deepEqual([arg.status, file.status], [1, 1]);
    assert.match(arg.stdout, /^RUN +\[tool 2\/2\] RUN .*\n +.*WHO/m);
    assert.match(file.stdout, /^RUN +\[stage-1 3\/4\] COPY b.txt \/b.*\n +.*b\.txt/m);
  });

  test('a copy of the store at another path builds all cached with the registry switched off', async () => {
    await using world = new Machines();
    await using registry = await startRegistry();
    const proxy = await startFaultyProxy(registry.url, () => undefined);
    await world.setUp(proxy.host);
    await world.ok('one', ['build', '--progress=quiet', 'app']);
    await world.ok('one', ['cache', 'warm', '--progress=quiet', 'app']);
    await proxy[Symbol.asyncDispose]();
    const seen = proxy.seen.length;
    const { root } = world.rig;
    execFileSync('cp', ['-a', join(root, 'one'), join(root, 'elsewhere')]);
    renameSync(join(root, 'one'), join(root, 'gone'));
    rmSync(join(root, 'gone'), { recursive: true });
    const built = await world.ok('elsewhere', ['build', '--progress=rawjson', '-t', 'app', 'app']);
    assert.deepEqual([states(built), proxy.seen.length], [ALL_CACHED, seen]);
    // A step that really runs stands on the copied layers.
    world.rig.write('app/b.txt', 'changed\n');
    await world.ok('elsewhere', [
      ...['build', '--progress=quiet', '-o', 'type=local,dest=out', 'app'],
    ]);
    assert.equal(readFileSync(join(world.rig.work, 'out/out'), 'utf8'), 'changed\nhello world\n');
    assert.equal(proxy.seen.length, seen);
  });
});

const ALL_CACHED = ['CACHED', 'CACHED', 'CACHED', 'CACHED'];
