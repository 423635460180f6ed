import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { note } from '../rig/golden.ts';
import { type BakeReport, builtOf, hitsOf, ProjectRig } from '../rig/project.ts';
import { needsSteps } from '../rig/rig.ts';

type Env = Readonly<Record<string, string>>;

/** One thing that happens to a project, and what may be built because of it. */
interface Scenario {
  readonly name: string;
  readonly change?: (rig: ProjectRig) => void | Promise<void>;
  /** Stays set for the scenarios behind it. */
  readonly env?: Env;
  readonly hits: string;
  readonly built: Readonly<Record<string, string>>;
}

/** Runs scenarios one after the other on one store; each begins where the one before ended. */
async function play(
  rig: ProjectRig,
  scenarios: readonly Scenario[],
  names: readonly string[] = [],
): Promise<void> {
  const wrong: unknown[] = [];
  let env: Env = {};
  for (const { name, change, env: set, hits, built } of scenarios) {
    await change?.(rig);
    env = { ...env, ...set };
    const report = await rig.bake(names, env);
    const got = { name, hits: hitsOf(report), built: builtOf(report) };
    try {
      assert.deepEqual(got, { name, hits, built });
    } catch (e) {
      wrong.push(e instanceof Error ? e.message : e);
    }
  }
  note(`${scenarios.length} scenarios`);
  assert.deepEqual(wrong, []);
}

const firstTime = (...layers: readonly string[]): Readonly<Record<string, string>> =>
  Object.fromEntries(layers.map((layer) => [layer, 'built: first time']));

const because = (
  why: string,
  from: string,
  ...above: readonly string[]
): Record<string, string> => ({
  [from]: `built: ${why}`,
  ...Object.fromEntries(above.map((layer) => [layer, `built: ${why} in ${from}`])),
});

const baseChanged = (rig: ProjectRig, ...layers: readonly string[]): Record<string, string> =>
  Object.fromEntries(layers.map((layer) => [layer, `built: base ${rig.registry.host}/base:1`]));

describe('examples of projects, changed in every documented way', { skip: needsSteps }, () => {
  test('seven layers: only what a change reaches is built, and another machine builds nothing', async () => {
    await using rig = await ProjectRig.open('comfyui-layers');
    const all = ['base', 'python', 'pytorch', 'dependencies', 'performance', 'app', 'wheels'];
    await play(rig, [
      {
        name: 'cold',
        hits: '0/7',
        // A need that is built for the first time is the cause of what stands on it.
        built: {
          ...firstTime('base'),
          ...Object.fromEntries(all.slice(1).map((l) => [l, 'built: first time'])),
        },
      },
      { name: 'nothing changed', hits: '7/7', built: {} },
      {
        name: 'runner script',
        change: (r) => r.edit('runner-scripts/entrypoint.sh', (t) => `${t}# edited\n`),
        hits: '6/7',
        built: because('file runner-scripts/entrypoint.sh', 'app'),
      },
      {
        name: 'one list of the dependencies',
        change: (r) => r.edit('lists/pak7.txt', (t) => `${t}onnx\n`),
        hits: '5/7',
        built: because('list lists/pak7.txt', 'dependencies', 'app'),
      },
      {
        name: 'the list of wheels, which nothing needs',
        change: (r) => r.edit('lists/wheels.txt', (t) => `${t}onnx\n`),
        hits: '6/7',
        built: because('list lists/wheels.txt', 'wheels'),
      },
      {
        name: 'framework version',
        env: { TORCH_VERSION: '2.11.0' },
        hits: '3/7',
        built: because('argument TORCH_VERSION', 'pytorch', 'dependencies', 'performance', 'app'),
      },
      {
        name: 'compiler version',
        env: { COMPILER_VERSION: '15.2' },
        hits: '2/7',
        built: because(
          'argument COMPILER_VERSION',
          'python',
          'pytorch',
          'dependencies',
          'performance',
          'app',
        ),
      },
      {
        name: 'comments in the project file and in lists only',
        change: (r) => {
          r.edit('varve.yml', (t) => `# a comment\n${t}`);
          r.edit('lists/pak3.txt', (t) => `# another\n\n${t}`);
        },
        hits: '7/7',
        built: {},
      },
      {
        name: 'times of files only',
        change: (r) =>
          ['runner-scripts/entrypoint.sh', 'lists/pak3.txt', 'varve.yml'].forEach((f) =>
            r.touch(f),
          ),
        hits: '7/7',
        built: {},
      },
      {
        name: 'digest of the base image',
        change: (r) => r.base('second'),
        hits: '0/7',
        built: baseChanged(rig, ...all),
      },
      {
        name: 'the base image as it was, and the compiler too',
        change: (r) => r.base('first'),
        hits: '7/7',
        built: {},
      },
    ]);
    const before = await rig.bake([], { TORCH_VERSION: '2.11.0', COMPILER_VERSION: '15.2' });
    rig.otherMachine();
    const there = await rig.bake([], { TORCH_VERSION: '2.11.0', COMPILER_VERSION: '15.2' });
    note(`another machine: ${hitsOf(there)} in ${Math.round(there.ms)} ms`);
    assert.deepEqual(atRegistry(there), {
      states: Object.fromEntries(there.layers.map(({ layer }) => [layer, 'registry'])),
      hits: '7/7',
      bytes: 0,
      digest: before.images[0]?.digest,
    });
    assert.ok(there.ms <= 3000, `${there.ms} ms`);
  });

  test('one Dockerfile of many stages: a list is a layer of its own, and no list waits for another', async () => {
    await using rig = await ProjectRig.open('comfyui');
    const paks = ['pak3', 'pak5', 'pak7'];
    await play(rig, [
      {
        name: 'cold',
        hits: '0/8',
        built: firstTime('system', 'python', 'torch', ...paks, 'nodes', 'runner'),
      },
      { name: 'nothing changed', hits: '8/8', built: {} },
      {
        name: 'runner script',
        change: (r) => r.edit('runner-scripts/prepare.sh', (t) => `${t}echo more\n`),
        hits: '7/8',
        built: because('file runner-scripts/prepare.sh', 'runner'),
      },
      {
        name: 'one list',
        change: (r) => r.edit('builder-scripts/pak3.txt', (t) => `${t}onnx\n`),
        hits: '7/8',
        built: because('list builder-scripts/pak3.txt', 'pak3'),
      },
      {
        name: 'interpreter version',
        env: { PYTHON_VERSION: '3.14.1' },
        hits: '2/8',
        built: because('argument PYTHON_VERSION', 'python', 'torch', ...paks, 'nodes'),
      },
      {
        name: 'comments and continuations of the Dockerfile only',
        change: (r) =>
          r.edit('Dockerfile', (t) => t.replace('# one line of this loop', '# a line')),
        hits: '8/8',
        built: {},
      },
      {
        name: 'comments of a list only',
        change: (r) => r.edit('builder-scripts/pak5.txt', (t) => `# why\n\n${t}`),
        hits: '8/8',
        built: {},
      },
      {
        name: 'times of files only',
        change: (r) => ['Dockerfile', 'runner-scripts/prepare.sh'].forEach((f) => r.touch(f)),
        hits: '8/8',
        built: {},
      },
      {
        name: 'digest of the base image',
        change: (r) => r.base('second'),
        hits: '0/8',
        built: baseChanged(rig, 'system', 'python', 'torch', ...paks, 'nodes', 'runner'),
      },
    ]);
  });

  test('three images on two bases: kernels are built when their sources change, and only then', async () => {
    await using rig = await ProjectRig.open('vllm');
    const images = ['vllm', 'openai', 'sagemaker', 'test'];
    await play(
      rig,
      [
        {
          name: 'cold',
          hits: '0/7',
          built: firstTime('toolchain', 'build', 'runtime', ...images),
        },
        {
          name: 'nothing changed: what recipes copy from is not even looked for',
          hits: '5/5',
          built: {},
        },
        {
          name: 'another commit',
          env: { COMMIT: '4427b82' },
          hits: '3/5',
          built: because('argument COMMIT', 'openai', 'sagemaker'),
        },
        {
          name: 'Python sources: the kernels are found',
          change: (r) => r.edit('vllm/version.py', (t) => `${t}# edited\n`),
          hits: '3/7',
          built: because('file vllm/version.py', 'vllm', 'openai', 'sagemaker', 'test'),
        },
        {
          name: 'a kernel',
          change: (r) => r.edit('csrc/k1.cu', (t) => `${t}// more\n`),
          hits: '2/7',
          built: because('file csrc/k1.cu', 'build', ...images),
        },
        {
          name: 'compiler version',
          env: { COMPILER_VERSION: '13.0' },
          hits: '1/7',
          built: because('argument COMPILER_VERSION', 'toolchain', 'build', ...images),
        },
        {
          name: 'the list of tests',
          change: (r) => r.edit('requirements/test.txt', (t) => `${t}httpx\n`),
          hits: '4/5',
          built: because('list requirements/test.txt', 'test'),
        },
        {
          name: 'times of files only',
          change: (r) => ['csrc/k1.cu', 'vllm/serve.sh'].forEach((f) => r.touch(f)),
          hits: '5/5',
          built: {},
        },
        {
          name: 'runner script: the kernels are found',
          change: (r) => r.edit('vllm/serve.sh', (t) => `${t}# edited\n`),
          hits: '3/7',
          built: because('file vllm/serve.sh', 'vllm', 'openai', 'sagemaker', 'test'),
        },
        {
          name: 'one list, of the runtime',
          change: (r) => r.edit('requirements/cuda.txt', (t) => `${t}onnx\n`),
          hits: '2/7',
          built: because('list requirements/cuda.txt', 'runtime', ...images),
        },
        {
          name: 'comments in the project file and in lists only',
          change: (r) => {
            r.edit('varve.yml', (t) => `# a comment\n${t}`);
            r.edit('requirements/test.txt', (t) => `# another\n\n${t}`);
          },
          hits: '5/5',
          built: {},
        },
        {
          name: 'digest of the base images',
          change: (r) => r.base('second'),
          hits: '0/7',
          built: baseChanged(rig, 'toolchain', 'build', 'runtime', ...images),
        },
      ],
      ['ci'],
    );
  });
});

function atRegistry(report: BakeReport): unknown {
  const bytes = report.layers.reduce((sum, { pulled, pushed }) => sum + pulled + pushed, 0);
  return {
    states: Object.fromEntries(report.layers.map(({ layer, state }) => [layer, state])),
    hits: hitsOf(report),
    bytes: bytes + report.movedByImages,
    digest: report.images[0]?.digest,
  };
}
