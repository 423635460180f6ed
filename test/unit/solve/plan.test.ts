import assert from 'node:assert/strict';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { test } from 'node:test';
import { context, copy, type FakeStep, type Files, image, run, World } from './world.ts';

const service = (source: Files): FakeStep[] => [
  image('base', { 'etc/os': 'debian' }),
  image('tools'),
  context(source),
  copy('copy lock', 'base', 'context', ['lock']),
  run('install', 'copy lock', (files) => ({ ...files, deps: `deps of ${files['lock']}` })),
  copy('copy tool', 'tools', 'context', ['tool']),
  run('make tool', 'copy tool', (files) => ({ ...files, bin: `${files['tool']?.trim()}` })),
  copy('copy code', 'install', 'context', ['code']),
  copy('take tool', 'copy code', 'make tool', ['bin']),
  run('compile', 'take tool', (files) => ({ ...files, out: `compiled ${files['code']}` })),
];

/** Every row of every table. */
function dump(world: World): unknown {
  using db = new DatabaseSync(join(world.dir, 'state.db'), { readOnly: true });
  const tables = db.prepare("SELECT name FROM sqlite_schema WHERE type = 'table'").all();
  return tables.map(({ name }) => [name, db.prepare(`SELECT * FROM "${String(name)}"`).all()]);
}

async function planned(world: World, steps: readonly FakeStep[]): Promise<string[]> {
  const plan = await world.plan(steps);
  return plan.map(
    ({ name, state, certain, decision }) =>
      `${state}${certain ? '' : '?'} ${name}: ${decision.reason}`,
  );
}

test('a plan names the steps that the next build executes, and why', async () => {
  using world = new World();
  const v0 = { lock: '1', code: 'a', tool: 'x' };
  await world.build(service(v0));
  const unchanged = 'a later step was found, so its result was not needed';
  assert.deepEqual(await planned(world, service(v0)), [
    `cached copy lock: ${unchanged}`,
    `cached install: ${unchanged}`,
    `cached copy tool: ${unchanged}`,
    `cached make tool: ${unchanged}`,
    `cached copy code: ${unchanged}`,
    `cached take tool: ${unchanged}`,
    'cached compile: the step and the files it uses are unchanged',
  ]);
  assert.deepEqual(await planned(world, service({ ...v0, code: 'b' })), [
    `cached copy lock: ${unchanged}`,
    'cached install: the step and everything above it are unchanged',
    `cached copy tool: ${unchanged}`,
    'cached make tool: the step and everything above it are unchanged',
    'run copy code: the files it uses of "context" changed',
    'run take tool: all it uses of "make tool" is the same; "copy code" above it is executed anew: the files it uses of "context" changed',
    'run compile: it comes after "copy code", which is executed anew',
  ]);
});

test('what a plan says is what the build after it does, and planning writes nothing', async () => {
  using world = new World();
  const versions: readonly Files[] = [
    { lock: '1', code: 'a', tool: 'x' },
    { lock: '1', code: 'a', tool: 'x' },
    { lock: '1', code: 'b', tool: 'x' },
    { lock: '2', code: 'b', tool: 'x' },
    { lock: '1', code: 'a', tool: 'x' },
    { lock: '1', code: 'a', tool: 'y' },
  ];
  for (const version of versions) {
    const before = dump(world);
    const plan = await world.plan(service(version));
    assert.deepEqual(world.executed, ['context']);
    assert.deepEqual(dump(world), before);
    await world.build(service(version));
    const expected = plan.filter(({ state }) => state === 'run').map(({ name }) => name);
    const executed = world.executed.filter((name) => name !== 'context');
    assert.deepEqual(expected.sort(), executed.sort());
  }
});

test('a step that may be found by the content of a rebuilt input is planned as uncertain', async () => {
  using world = new World();
  const v0 = { lock: '1', code: 'a', tool: 'x' };
  await world.build(service(v0));
  const same = service({ ...v0, tool: ' x' });
  const plan = await world.plan(same);
  assert.deepEqual(
    plan.flatMap(({ state, certain, name }) => (state === 'run' ? [[name, certain]] : [])),
    [
      ['copy tool', true],
      ['make tool', true],
      ['take tool', false],
      ['compile', false],
    ],
  );
  await world.build(same);
  assert.deepEqual(world.executed, ['context', 'copy tool', 'make tool']);
});

test('what stands above a step with caching off is planned by the keys that step will have', async () => {
  using world = new World();
  const steps = (ignoreCache: boolean): FakeStep[] => [
    image('base'),
    { ...run('make', 'base', (f) => ({ ...f, bin: '1' })), ignoreCache },
    run('use', 'make', (f) => ({ ...f, used: f['bin'] ?? '' })),
  ];
  await world.build(steps(false));
  const plan = await world.plan(steps(true));
  const expected = plan.filter(({ state }) => state === 'run').map(({ name }) => name);
  await world.build(steps(true));
  assert.deepEqual(expected, world.executed);
});
