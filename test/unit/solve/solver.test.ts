import assert from 'node:assert/strict';
import { test } from 'node:test';
import { sha256 } from '../../../src/base/index.ts';
import { context, copy, type FakeStep, type Files, image, run, World } from './world.ts';

const service = (source: Files): FakeStep[] => [
  image('base', { 'etc/os': 'debian' }),
  context(source),
  copy('copy lock', 'base', 'context', ['lock']),
  run('install', 'copy lock', (files) => ({ ...files, deps: `deps of ${files['lock']}` })),
  copy('copy code', 'install', 'context', ['code']),
  run('compile', 'copy code', (files) => ({ ...files, out: `compiled ${files['code']}` })),
];

test('a build that changes and changes back executes nothing the third time', async () => {
  using world = new World();
  const v0 = { lock: '1', code: 'a' };
  const v1 = { lock: '1', code: 'b' };
  const first = await world.build(service(v0));
  assert.deepEqual(world.executed.sort(), [
    'base',
    'compile',
    'context',
    'copy code',
    'copy lock',
    'install',
  ]);
  await world.build(service(v1));
  assert.deepEqual(world.executed, ['context', 'copy code', 'compile']);
  const third = await world.build(service(v0));
  assert.deepEqual(world.executed, ['context']);
  // A local directory is another source in each build.
  const named = (all: ReadonlyMap<unknown, string>): readonly string[] => [...all.values()].sort();
  assert.deepEqual(
    { ...third, sources: named(third.sources) },
    { ...first, sources: ['base', 'context'] },
  );
});

test('a build whose last step is found by definition looks at no result of the steps below', async () => {
  using world = new World();
  const steps = [
    image('base'),
    run('one', 'base', (f) => ({ ...f, one: '1' })),
    run('two', 'one', (f) => ({ ...f, two: '2' })),
  ];
  await world.build(steps);
  const before = world.db.statements();
  await world.build(steps);
  assert.deepEqual(
    [world.executed, world.hashed, world.asked.sort()],
    [[], [], ['base', 'one', 'two']],
  );
  // Three look-ups, one result with its chain, and the notes of use.
  assert.ok(world.db.statements() - before < 20, String(world.db.statements() - before));
  assert.deepEqual(world.decisions(), {
    two: 'hit definition: the step and everything above it are unchanged',
    one: 'hit definition: a later step was found, so its result was not needed',
  });
});

test('an input that is rebuilt to the same selected content keeps what uses it cached', async () => {
  using world = new World();
  const steps = (tool: string, noise: string): FakeStep[] => [
    image('base'),
    image('builder'),
    run('make', 'builder', (f) => ({ ...f, bin: tool, log: noise }), `make ${noise}`),
    copy('take', 'base', 'make', ['bin']),
    run('use', 'take', (f) => ({ ...f, used: `${f['bin']}` })),
  ];
  await world.build(steps('v1', 'a'));
  await world.build(steps('v1', 'b'));
  assert.deepEqual(world.executed, ['make']);
  assert.deepEqual(world.hashed, ['take<make']);
  // The definition key of the other "make" now leads to the same record.
  await world.build(steps('v1', 'b'));
  assert.deepEqual([world.executed, world.hashed], [[], []]);
  await world.build(steps('v2', 'c'));
  assert.deepEqual(world.executed, ['make', 'take', 'use']);
});

test('a diamond executes its shared step once', async () => {
  using world = new World();
  await world.build([
    image('base'),
    run('shared', 'base', (f) => ({ ...f, s: '1' })),
    run('left', 'shared', (f) => ({ ...f, l: '1' })),
    run('right', 'shared', (f) => ({ ...f, r: '1' })),
    copy('join', 'left', 'right', ['r']),
  ]);
  assert.deepEqual(world.executed.sort(), ['base', 'join', 'left', 'right', 'shared']);
});

test('stages that are copied from one after another are built at once when nothing is known of them', {
  timeout: 20_000,
}, async () => {
  using world = new World();
  const begun = {
    left: Promise.withResolvers<undefined>(),
    right: Promise.withResolvers<undefined>(),
  };
  // Each ends only when the other has begun.
  const stage = (own: 'left' | 'right', other: 'left' | 'right'): FakeStep => ({
    ...run(own, 'base', () => ({ [own]: '1' })),
    during: async () => {
      begun[own].resolve(undefined);
      await begun[other].promise;
    },
  });
  const { chain } = await world.build([
    image('base'),
    stage('left', 'right'),
    stage('right', 'left'),
    {
      name: 'take left',
      inputs: [{ step: 'left', select: ['left'] }],
      makes: ([left = {}]) => left,
    },
    copy('take right', 'take left', 'right', ['right']),
  ]);
  assert.deepEqual(world.files(chain), { left: '1', right: '1' });
});

test('two outputs of one step come from one execution', async () => {
  using world = new World();
  const steps: FakeStep[] = [
    image('base'),
    { name: 'both', inputs: [{ step: 'base' }], makes: () => [{ a: '1' }, { b: '2' }] },
    {
      name: 'join',
      inputs: [{ step: 'both' }, { step: 'both', output: 1, select: ['b'] }],
      makes: ([a = {}, b = {}]) => ({ ...a, ...b }),
    },
  ];
  const { chain } = await world.build(steps);
  assert.deepEqual(world.executed, ['base', 'both', 'join']);
  assert.deepEqual(world.files(chain), { a: '1', b: '2' });
  await world.build(steps);
  assert.deepEqual(world.executed, []);
});

test('a step found through a selector of another stage does not build that stage', async () => {
  using world = new World();
  const steps = [
    image('base'),
    image('builder'),
    run('make', 'builder', (f) => ({ ...f, bin: '1' })),
    copy('take', 'base', 'make', ['bin']),
  ];
  const { chain } = await world.build(steps);
  const made = world.events.length;
  assert.ok(made > 0);
  // The stage's own layers are lost; nobody needs them.
  for (const { id } of chain) assert.ok(!world.lost.has(id));
  const makeLayer = [...world.trees].find(([, files]) => files['bin'] === '1')?.[0] ?? '';
  world.lost.add(makeLayer);
  await world.build(steps);
  assert.deepEqual(world.executed, []);
});

test('an image known by its second key is found under another name', async () => {
  using world = new World();
  const steps = (tag: string): FakeStep[] => [
    image(tag, { x: '1' }, ['chain id']),
    { ...run('work', tag, (f) => f), name: 'work' },
  ];
  await world.build(steps('app:1'));
  await world.build(steps('app:2'));
  assert.deepEqual(world.executed, []);
});

test('a result whose layers are gone is executed again and says so', async () => {
  using world = new World();
  const steps = [image('base'), run('one', 'base', (f) => ({ ...f, n: '1' }))];
  const { chain } = await world.build(steps);
  world.lost.add(chain.at(-1)?.id ?? '');
  const again = await world.build(steps);
  assert.deepEqual(world.executed, ['one']);
  assert.notDeepEqual(again.chain, chain);
  assert.deepEqual(
    world.decisions()['one'],
    'miss definition: it was built before, but its layers are no longer in the store (evicted or lost)',
  );
  await world.build(steps);
  assert.deepEqual(world.executed, []);
});

test('caching off for a step executes it, and what follows is found by content', async () => {
  using world = new World();
  const steps = (ignoreCache: boolean): FakeStep[] => [
    image('base'),
    image('builder'),
    { ...run('make', 'builder', (f) => ({ ...f, bin: '1' })), ignoreCache },
    copy('take', 'base', 'make', ['bin']),
  ];
  await world.build(steps(false));
  await world.build(steps(true));
  assert.deepEqual(world.executed, ['make']);
  assert.deepEqual(world.decisions()['make'], 'forced none: caching is off for this step');
  await world.build(steps(false));
  assert.deepEqual(world.executed, []);
});

test('the cause of a miss is traced to the files that changed', async () => {
  using world = new World();
  await world.build(service({ lock: '1', code: 'a' }));
  await world.build(service({ lock: '2', code: 'a' }));
  assert.deepEqual(world.decisions(), {
    base: 'hit definition: the step and everything above it are unchanged',
    'copy lock': 'miss content: the files it uses of "context" changed',
    install:
      'miss definition: "copy lock" above it is executed anew: the files it uses of "context" changed',
    'copy code':
      'miss content: all it uses of "context" is the same; it comes after "copy lock", which is executed anew',
    compile: 'miss definition: it comes after "copy lock", which is executed anew',
  });
  const nearest = world.events.flatMap((e) =>
    e.type === 'decision' && e.decision.nearest ? [e.decision.nearest.differs] : [],
  );
  assert.deepEqual(nearest, ['files from "context"', '"copy lock"', '"install"', '"copy code"']);
});

test('a changed command is named as the cause', async () => {
  using world = new World();
  const steps = (op: string): FakeStep[] => [
    image('base'),
    run('[2/2] RUN make', 'base', (f) => f, op),
  ];
  await world.build(steps('make'));
  await world.build(steps('make -j'));
  assert.deepEqual(world.decisions()['[2/2] RUN make'], 'miss definition: its operation changed');
});

test('a vertex is announced before all else and its inputs are closed before it starts', async () => {
  using world = new World();
  const steps = service({ lock: '1', code: 'a' });
  for (const round of [0, 1]) {
    await world.build(round === 0 ? steps : service({ lock: '1', code: 'a' }));
    const state = new Map<string, string>();
    for (const event of world.events) {
      if (!('vertex' in event)) continue;
      const name = world.nameOf(event.vertex);
      if (event.type === 'vertex') {
        assert.equal(state.get(name), undefined);
        for (const input of event.inputs) assert.equal(state.get(world.nameOf(input)), 'declared');
        state.set(name, 'declared');
      } else if (event.type === 'vertex-started') {
        assert.notEqual(state.get(name), undefined);
        state.set(name, 'started');
        const own = world.events.find((e) => e.type === 'vertex' && e.vertex === event.vertex);
        for (const input of own?.type === 'vertex' ? own.inputs : []) {
          assert.equal(
            state.get(world.nameOf(input)),
            'completed',
            `${world.nameOf(input)} < ${name}`,
          );
        }
      } else if (event.type === 'vertex-completed') {
        assert.equal(state.get(name), 'started');
        state.set(name, 'completed');
      }
    }
    assert.deepEqual([...new Set(state.values())], ['completed']);
  }
  const cached = world.events.flatMap((e) =>
    e.type === 'vertex-completed' && e.cached ? [world.nameOf(e.vertex)] : [],
  );
  assert.deepEqual(cached.sort(), ['compile', 'copy code', 'copy lock', 'install']);
});

test('a failed step fails the build with its message and cancels the others', async () => {
  using world = new World();
  let cancelled = false;
  const steps: FakeStep[] = [
    image('base'),
    {
      ...run('slow', 'base', (f) => f),
      during: (signal) =>
        new Promise((_, reject) => {
          signal.addEventListener('abort', () => {
            cancelled = true;
            reject(signal.reason as Error);
          });
        }),
    },
    { ...run('bad', 'base', (f) => f), fails: 'exit code: 7' },
    copy('join', 'slow', 'bad', ['x']),
  ];
  await assert.rejects(world.build(steps), { message: 'exit code: 7' });
  assert.equal(cancelled, true);
  const ends = world.events.flatMap((e) =>
    e.type === 'vertex-completed' && e.error !== undefined
      ? [[world.nameOf(e.vertex), e.error]]
      : [],
  );
  assert.deepEqual(ends, [
    ['bad', 'exit code: 7'],
    ['slow', 'context canceled'],
  ]);
});

test('with finish-running the steps that run are completed and kept, and no other begins', async () => {
  using world = new World();
  const { promise: failed, resolve: hasFailed } = Promise.withResolvers<undefined>();
  const steps = (fails: boolean): FakeStep[] => [
    image('base'),
    {
      ...run('slow', 'base', (f) => f),
      during: async () => {
        await failed;
      },
    },
    run('after', 'slow', (f) => f),
    {
      ...run('bad', 'base', (f) => f),
      during: () => {
        setImmediate(() => hasFailed(undefined));
        return Promise.resolve();
      },
      ...(fails ? { fails: 'no' } : {}),
    },
    copy('join', 'after', 'bad', ['x']),
  ];
  await assert.rejects(world.build(steps(true), { onFailure: 'finish-running' }), {
    message: 'no',
  });
  assert.deepEqual(world.executed.sort(), ['bad', 'base', 'slow']);
  await world.build(steps(false));
  assert.deepEqual(world.executed.sort(), ['after', 'bad', 'join']);
});

test('cancelling one of two builds keeps the shared step running', async () => {
  using world = new World();
  const { promise: gate, resolve: open } = Promise.withResolvers<undefined>();
  const { promise: began, resolve: begins } = Promise.withResolvers<undefined>();
  const steps: FakeStep[] = [
    image('base'),
    {
      ...run('shared', 'base', (f) => ({ ...f, done: '1' })),
      during: async () => {
        begins(undefined);
        await gate;
      },
    },
  ];
  const controller = new AbortController();
  const first = world.join(steps, { signal: controller.signal });
  await began;
  const second = world.join(steps);
  await new Promise((resolve) => setImmediate(resolve));
  controller.abort(new Error('stopped'));
  await assert.rejects(first, { message: 'stopped' });
  open(undefined);
  const solution = await second;
  assert.deepEqual(world.files(solution.chain), { done: '1' });
  assert.deepEqual(world.executed, ['base', 'shared']);
});

test('cancelling the only build stops its step', async () => {
  using world = new World();
  const controller = new AbortController();
  const steps: FakeStep[] = [
    image('base'),
    {
      ...run('long', 'base', (f) => f),
      during: (signal) =>
        new Promise((_, reject) => {
          signal.addEventListener('abort', () => reject(signal.reason as Error));
          controller.abort(new Error('ctrl-c'));
        }),
    },
  ];
  await assert.rejects(world.build(steps, { signal: controller.signal }), { message: 'ctrl-c' });
  const end = world.events.findLast((e) => e.type === 'vertex-completed');
  assert.deepEqual(end?.type === 'vertex-completed' ? end.error : '', 'context canceled');
});

test('with one slot the step with the longest way to the result goes first', async () => {
  using world = new World({ maxParallel: 1 });
  await world.build([
    image('base'),
    run('short', 'base', (f) => ({ ...f, s: '1' })),
    run('long 1', 'base', (f) => f),
    run('long 2', 'long 1', (f) => f),
    run('long 3', 'long 2', (f) => ({ ...f, l: '1' })),
    copy('join', 'long 3', 'short', ['s']),
  ]);
  assert.deepEqual(world.executed, ['base', 'long 1', 'long 2', 'short', 'long 3', 'join']);
});

test('no more steps run at once than there are slots', async () => {
  using world = new World({ maxParallel: 2 });
  let running = 0;
  let most = 0;
  const stages = Array.from({ length: 8 }, (_, i) => ({
    ...run(`stage ${i}`, 'base', (f) => ({ ...f, [`s${i}`]: '1' })),
    during: async () => {
      most = Math.max(most, ++running);
      await new Promise((resolve) => setImmediate(resolve));
      running--;
    },
  }));
  const join: FakeStep = {
    name: 'join',
    inputs: stages.map(({ name }, i) => ({ step: name, select: [`s${i}`] })),
    makes: (inputs) => Object.assign({}, ...inputs) as Files,
  };
  const { chain } = await world.build([image('base'), ...stages, join]);
  assert.equal(most, 2);
  assert.equal(Object.keys(world.files(chain)).length, 8);
});

test('the order of siblings changes neither keys nor results', async (t) => {
  const seed = Number(process.env['VARVE_TEST_SEED'] ?? 20_260_101);
  t.diagnostic(`seed ${seed}`);
  let state = seed;
  const random = (): number =>
    (state = (state * 1_103_515_245 + 12_345) % 2_147_483_648) / 2_147_483_648;
  const keys = new Set<string>();
  for (let round = 0; round < 5; round++) {
    using world = new World({ maxParallel: 3 });
    const stages = Array.from({ length: 6 }, (_, i) => ({
      ...run(`stage ${i}`, 'base', (f) => ({ ...f, [`s${i}`]: '1' })),
    })).sort(() => random() - 0.5);
    const join: FakeStep = {
      name: 'join',
      inputs: Array.from({ length: 6 }, (_, i) => ({ step: `stage ${i}`, select: [`s${i}`] })),
      makes: (inputs) => Object.assign({}, ...inputs) as Files,
    };
    const { chain, records } = await world.build([image('base'), ...stages, join]);
    keys.add(JSON.stringify([records.map((r) => world.db.cache.digestOf(r)), world.files(chain)]));
  }
  assert.equal(keys.size, 1);
});

test('a thousand cached steps cost a few statements each', async () => {
  using world = new World();
  const steps = [
    image('base'),
    ...Array.from({ length: 999 }, (_, i) =>
      run(`s${i}`, i === 0 ? 'base' : `s${i - 1}`, () => ({ n: String(i) })),
    ),
  ];
  await world.build(steps);
  assert.equal(world.executed.length, 1000);
  const before = world.db.statements();
  await world.build(steps);
  assert.deepEqual(world.executed, []);
  const used = world.db.statements() - before;
  // One look-up a step; the terminal step's result and its chain are found by another thousand point reads to note the use.
  assert.ok(used <= 2100, `${used} statements`);
});

test('scratch is the result of an empty definition', async () => {
  using world = new World();
  assert.deepEqual(await world.build([]), { chain: [], records: [], sources: new Map() });
});

test('a step on a local directory without a content key is executed each time', async () => {
  using world = new World();
  const steps = (): FakeStep[] => [context({ a: '1' }), run('bind', 'context', (f) => f)];
  await world.build(steps());
  const { records } = await world.build(steps());
  assert.deepEqual([world.executed, records], [['context', 'bind'], []]);
  assert.equal(world.db.cache.root(sha256('never')), undefined);
});
