import assert from 'node:assert/strict';

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
    assert.deepEqual(
      [states(built), proxy.seen.length],
      [['CACHED', 'CACHED', 'CACHED', 'CACHED'], seen],
    );
    await world.ok('two', ['image', 'save', 'app', '-o', 'app.tar']);
  });
});
