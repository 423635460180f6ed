import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { bundledProgram } from '../rig/bundle.ts';
import { note } from '../rig/golden.ts';
import { BUSYBOX, needsSteps, Rig, worldOf } from '../rig/rig.ts';
import { needsStrace } from '../rig/traced-build.ts';

const ROOT = join(import.meta.dirname, '../..');

/** What builds of two steps may ask of the kernel, Node's own 700 calls included: measured, and a tenth more. */
const CALLS = { noop: 1750, changed: 2300 };

/** Parts of Node that a build loads when nothing changed, and when one file did. */
const NOOP = ['crypto', 'fs/promises', 'sqlite', 'zlib'];
// Extended attributes of the changed file are asked for through koffi, which loads what is beyond.
const LOADED = { noop: NOOP, changed: [...NOOP, 'net', 'worker_threads'].sort() };

test('a build with nothing to do loads none of the big libraries', async () => {
  await using rig = new Rig();
  const lines = Array.from({ length: 59 }, (_, i) => `COPY f /f${i}\n`);
  rig.write('app/Dockerfile', `FROM scratch\n${lines.join('')}`);
  rig.write('app/f', 'x');
  const first = await rig.varve(['build', '--progress=quiet', 'app']);
  assert.deepEqual(first, { status: 0, stdout: '', stderr: '' });
  const list = join(rig.work, 'loaded');
  rig.write(
    'trace.mjs',
    `import { registerHooks } from 'node:module';
import { appendFileSync } from 'node:fs';
registerHooks({ load: (url, context, next) => { appendFileSync(${JSON.stringify(list)}, url + '\\n'); return next(url, context); } });
`,
  );
  execFileSync(
    process.execPath,
    [
      '--disable-warning=ExperimentalWarning',
      ...['--import', join(rig.work, 'trace.mjs'), join(ROOT, 'src/cli/main.ts')],
      ...['build', '--progress=quiet', 'app'],
    ],
    { cwd: rig.work, env: { PATH: process.env['PATH'], VARVE_ROOT: rig.store } },
  );
  assert.ok(existsSync(list));
  const packages = readFileSync(list, 'utf8')
    .split('\n')
    .flatMap((url) => /\/node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(url)?.[1] ?? []);
  assert.deepEqual([...new Set(packages)].sort(), ['commander']);
});

describe('the bundle', { skip: needsSteps }, () => {
  const rig = new Rig();
  let program: readonly string[] = [];
  before(async () => {
    program = await bundledProgram(join(rig.root, 'dist'));
    rig.context('app', {
      Dockerfile: `${BUSYBOX}RUN echo 1 > /1\nCOPY a.txt /a\n`,
      'a.txt': 'one',
    });
    build();
  });
  after(async () => {
    await rig[Symbol.asyncDispose]();
  });

  /** Builds; what of Node and of the bundle's libraries a process loads beyond what an empty one does. */
  const build = (): readonly string[] => {
    const list = join(rig.root, 'list');
    const note = `const first = new Set(process.moduleLoadList);
      process.on('exit', () => require('node:fs').writeFileSync(${JSON.stringify(list)}, JSON.stringify([
        ...Object.keys(require.cache).filter((file) => file.includes('/lib/')),
        ...process.moduleLoadList.filter((name) => !first.has(name))])));`;
    rig.write('note.cjs', note);
    const [node = '', ...args] = program;
    const env = { ...worldOf(rig), NODE_EXTRA_CA_CERTS: '' };
    const options = { cwd: rig.work, env, encoding: 'utf8' } as const;
    const preload = ['--require', join(rig.work, 'note.cjs')];
    const argv = [...preload, ...args, 'build', '--progress=quiet', '-t', 'a', 'app'];
    const run = spawnSync(node, argv, options);
    assert.deepEqual([run.status, run.stderr], [0, '']);
    const loaded: unknown = JSON.parse(readFileSync(list, 'utf8'));
    // What the line above wrote.
    return (loaded as readonly string[]).flatMap(
      (name) =>
        /^NativeModule (child_process|crypto|dgram|dns|fs\/promises|http|http2|https|net|readline|sqlite|tls|worker_threads|zlib)$/.exec(
          name,
        )?.[1] ?? (name.startsWith('/') ? [name] : []),
    );
  };

  test('a build loads of Node what it uses, and no library', () => {
    const noop = build();
    rig.write('app/a.txt', 'two');
    const changed = build();
    assert.deepEqual(
      { noop: [...noop].sort(), changed: [...changed].sort() },
      { noop: LOADED.noop, changed: LOADED.changed },
    );
  });

  test('system calls of a build stay few', { skip: needsStrace }, () => {
    const calls = (content: string): number => {
      rig.write('app/a.txt', content);
      const report = join(rig.root, 'calls');
      const argv = ['-f', '-c', '-o', report, ...program, 'build', '--progress=quiet', 'app'];
      const env = { ...worldOf(rig), NODE_EXTRA_CA_CERTS: '' };
      const run = spawnSync('strace', argv, { cwd: rig.work, env, encoding: 'utf8' });
      assert.deepEqual([run.status, run.stderr], [0, '']);
      // strace(1) -c: the last line has the sums; waiting for other threads is no work.
      const counts = new Map(
        readFileSync(report, 'utf8')
          .split('\n')
          .map((line) => line.trim().split(/\s+/))
          .map((cells) => [cells.at(-1), Number(cells[3])] as const),
      );
      return (counts.get('total') ?? Number.NaN) - (counts.get('futex') ?? 0);
    };
    calls('three');
    const made = { noop: calls('three'), changed: calls('four') };
    note(`system calls: ${made.noop} when nothing changed, ${made.changed} when one file did`);
    assert.ok(made.noop <= CALLS.noop && made.changed <= CALLS.changed, JSON.stringify(made));
  });

  test('the code that was compiled ahead is taken, and what is read at the start stays small', () => {
    const file = readdirSync(join(rig.root, 'dist')).find((name) => /^program.*\.cjs$/.test(name));
    const name = (file ?? '').replace('.cjs', '');
    const load = `import { loadProgram } from ${JSON.stringify(join(ROOT, 'src/cli/load-program.ts'))};
      const { script } = loadProgram({ dir: ${JSON.stringify(join(rig.root, 'dist'))}, name: '${name}', require: () => ({}) });
      console.log(script.cachedDataRejected);`;
    const [node = '', ...args] = program;
    rig.write('load.mts', load);
    const run = spawnSync(node, [...args.slice(0, -1), join(rig.work, 'load.mts')], {
      encoding: 'utf8',
    });
    const size = (ending: string): number =>
      statSync(join(rig.root, 'dist', `${name}.${ending}`)).size;
    const read = { text: size('cjs'), code: size('code') };
    note(`read at the start: ${read.text} bytes of text, ${read.code} of compiled code`);
    assert.deepEqual([run.stdout, run.stderr], ['false\n', '']);
    assert.ok(read.text < 3_000_000 && read.code < 2_500_000);
  });
});
