import assert from 'node:assert/strict';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { readCacheDirectory } from '../rig/cache-graph.ts';
import { startFaultyProxy, startRegistry } from '../rig/registry.ts';
import { BUSYBOX, needsSteps, Rig, type Run, statesOf } from '../rig/rig.ts';

const FILE = `${BUSYBOX.replace('scratch', 'scratch AS tool')}RUN echo made > /made
FROM scratch
COPY --from=tool /made /made
COPY b.txt /b
`;

class Machines implements AsyncDisposable {
  readonly rig = new Rig();

  constructor() {
    this.rig.context('app', { Dockerfile: FILE, 'b.txt': 'b\n' });
    this.rig.context('other', { Dockerfile: `${BUSYBOX}RUN echo other > /other\n` });
  }

  async run(store: string, args: readonly string[]): Promise<Run> {
    return await this.rig.varve(args, { env: { VARVE_ROOT: join(this.rig.root, store) } });
  }

  async ok(store: string, args: readonly string[]): Promise<Run> {
    const run = await this.run(store, args);
    assert.equal(run.status, 0, run.stderr);
    return run;
  }

  /** How many steps of a build are in each state. */
  async build(
    store: string,
    ...args: readonly string[]
  ): Promise<Readonly<Record<string, number>>> {
    const { stderr } = await this.ok(store, ['build', '--progress=rawjson', ...args]);
    const states = Object.entries(statesOf(stderr)).flatMap(([name, state]) =>
      name.startsWith('[') ? [state] : [],
    );
    return Object.fromEntries(
      Object.entries(Object.groupBy(states, (state) => state)).map(([s, all]) => [
        s,
        all?.length ?? 0,
      ]),
    );
  }

  /** Results in an exported directory. */
  results(dir: string): number {
    return readCacheDirectory(join(this.rig.work, dir)).flatMap((r) => r.results).length;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.rig[Symbol.asyncDispose]();
  }
}

describe('varve cache export and import', { skip: needsSteps }, () => {
  test('what one machine exports without a build another imports, and later builds name no cache', async () => {
    await using world = new Machines();
    await using registry = await startRegistry();
    await using proxy = await startFaultyProxy(registry.url, () => undefined);
    await world.build('one', 'app');
    await world.build('one', 'other');
    const place = `type=registry,ref=${proxy.host}/team/cache:all`;
    await world.ok('one', ['cache', 'export', '--to', place]);
    proxy.seen.length = 0;
    await world.ok('two', ['cache', 'import', '--from', place]);
    const blobs = proxy.seen.filter((r) => r.method === 'GET' && r.path.includes('/blobs/'));
    // The config, and what explains later misses; layers stay where they are.
    assert.equal(blobs.length, 2);
    assert.deepEqual(
      [await world.build('two', 'app'), await world.build('two', 'other')],
      [{ CACHED: 5 }, { CACHED: 3 }],
    );
  });

  test('an export of a context or of a past build holds the steps of that build only', async () => {
    await using world = new Machines();
    await world.build('one', 'app');
    await world.build('one', 'other');
    const history = await world.ok('one', ['history', 'ls', '--json']);
    const [newest] = history.stdout.split('\n');
    const id = /"id":"([0-9a-f]+)"/.exec(newest ?? '')?.[1] ?? '';
    await world.ok('one', ['cache', 'export', '--to', 'type=local,dest=all']);
    await world.ok('one', ['cache', 'export', '--to', 'type=local,dest=app-only', 'app']);
    await world.ok('one', ['cache', 'export', '--to', 'type=local,dest=past', '--build', id]);
    const from = (dir: string): readonly string[] => ['--cache-from', `type=local,src=${dir}`];
    assert.deepEqual(
      {
        all: world.results('all'),
        app: world.results('app-only'),
        appFromApp: await world.build('two', ...from('app-only'), 'app'),
        otherFromPast: await world.build('three', ...from('past'), 'other'),
      },
      {
        // The first two steps of both are the same.
        all: 6,
        app: 5,
        appFromApp: { CACHED: 5 },
        otherFromPast: { CACHED: 3 },
      },
    );
  });

  test('an export of a context that was not built says what is missing, and writes nothing', async () => {
    await using world = new Machines();
    await world.build('one', 'app');
    world.rig.write('app/b.txt', 'changed\n');
    const run = await world.run('one', ['cache', 'export', '--to', 'type=local,dest=d', 'app']);
    assert.equal(run.status, 1);
    assert.match(
      run.stderr,
      /error\[RC040\]: 1 of 5 steps would run, the first of them "\[stage-1 2\/2\] COPY b.txt \/b"/,
    );
    await assert.rejects(() => Promise.resolve().then(() => world.results('d')));
  });

  test('a cache that is not there is a failure of an import, and flags that say nothing are refused', async () => {
    await using world = new Machines();
    const said: string[] = [];
    for (const args of [
      ['import', '--from', 'type=local,src=nothing'],
      ['import'],
      ['export'],
      ['export', '--to', 'type=inline'],
      ['export', '--to', 'type=local,dest=d'],
      ['export', '--to', 'type=local,dest=d', '--build', 'f00'],
    ]) {
      const run = await world.run('one', ['cache', ...args, '--progress=quiet']);
      said.push(
        `${run.status} ${(run.stderr.split('\n')[0] ?? '').replaceAll(world.rig.work, 'W')}`,
      );
    }
    assert.deepEqual(said, SAID);
  });
});

const SAID = [
  '3 error[RC043]: the cache local:W/nothing was not imported: W/nothing/index.json does not exist',
  '2 error[CL001]: nothing says where to import from',
  '2 error[CL001]: nothing says where to export to',
  '2 error[CL002]: --to "type=inline": an inline cache needs a build',
  '2 error[RC042]: the store has no cached step that could be exported',
  '2 error[CL004]: no build "f00" in the history',
];
