import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { varveHere } from '../rig/in-process.ts';
import { builtOf, ProjectRig } from '../rig/project.ts';
import { needsSteps } from '../rig/rig.ts';

/** Waits for the other layer to have begun, in a directory that both have; ends with an error after a minute. */
const meet = (own: string, other: string): string =>
  `touch /meet/${own}; i=0; until [ -e /meet/${other} ]; do i=$((i+1)); [ $i -lt 600 ] || exit 9; sleep 0.1; done; echo ${own} > /${own}`;

describe('varve bake', { skip: needsSteps }, () => {
  test('two layers that do not need each other are built at the same time', async () => {
    await using rig = await ProjectRig.open();
    rig.rig.write(
      'app/varve.yml',
      `name: pair
base: \${BASE:-scratch}
store: {ref: "\${LAYERS:-}"}
layers:
  left: {cache: [/meet], steps: ['${meet('left', 'right')}']}
  right: {cache: [/meet], steps: ['${meet('right', 'left')}']}
images: {pair: {layers: [left, right]}}
`,
    );
    const run = await rig.varve(['bake', '--json', '--jobs', '2']);
    assert.equal(run.status, 0, run.stderr);
  });

  test('a recipe sees declared inputs only, layers carry their variables, and equal paths are reported', async () => {
    await using rig = await ProjectRig.open();
    rig.rig.write('app/src/a', 'a');
    rig.rig.write('app/src/b', 'b');
    rig.rig.write('app/secret', 's');
    rig.rig.write(
      'app/varve.yml',
      `name: seen
base: \${BASE:-scratch}
store: {ref: "\${LAYERS:-}"}
layers:
  one:
    inputs: {files: [src/a]}
    steps: ['find /inputs/files -type f > /seen', {env: {PATH: '/one:$PATH'}}]
  two: {steps: ['echo two > /seen', {env: {PATH: '/two:$PATH'}}]}
images: {seen: {tags: ["\${IMAGE:-x}"], layers: [one, two], env: {MODE: x}}}
`,
    );
    const out = join(rig.rig.work, 'out');
    const run = await rig.varve(['bake', '--json', '-o', `type=local,dest=${out}`]);
    assert.equal(run.status, 0, run.stderr);
    const report = JSON.parse(run.stdout) as { images: { overlaps: unknown }[] }; // The shape of --json.
    assert.deepEqual(report.images[0]?.overlaps, [{ path: '/seen', layers: ['one', 'two'] }]);
    assert.equal(readFileSync(join(out, 'seen'), 'utf8'), 'two\n');
    await rig.bake();
    const image = await rig.rig.varve(
      ['image', 'inspect', '--json', `${rig.registry.host}/image`],
      {
        env: rig.env,
      },
    );
    assert.match(image.stdout, /"PATH=\/two:\/one:\/bin"/);
    assert.match(image.stdout, /"MODE=x"/);
  });

  test('a failed layer stops those that need it and no others, and the report names both', async () => {
    await using rig = await ProjectRig.open();
    const file = (command: string): string => `name: broken
base: \${BASE:-scratch}
store: {ref: "\${LAYERS:-}"}
layers:
  bad: {steps: ['${command}']}
  above: {needs: [bad], steps: ['echo above > /above']}
  beside: {steps: ['echo beside > /beside']}
images: {all: {tags: ["\${IMAGE:-x}"], layers: [above, beside]}}
`;
    rig.rig.write('app/varve.yml', file('exit 7'));
    const run = await rig.varve(['bake', '--push', '--json']);
    assert.equal(run.status, 1);
    const states = (JSON.parse(run.stdout) as { layers: { layer: string; state: string }[] })
      .layers; // The shape of --json.
    assert.deepEqual(Object.fromEntries(states.map((row) => [row.layer, row.state])), {
      bad: 'failed',
      above: 'skipped',
      beside: 'built',
    });
    rig.rig.write('app/varve.yml', file('echo good > /good'));
    assert.deepEqual(builtOf(await rig.bake()), {
      bad: 'built: first time',
      above: 'built: first time',
    });
  });

  test('a plan says what would be built and why, and builds nothing; a summary is Markdown', async () => {
    await using rig = await ProjectRig.open();
    rig.rig.write(
      'app/varve.yml',
      `name: planned
variables: {V: "1"}
base: \${BASE:-scratch}
store: {ref: "\${LAYERS:-}"}
layers:
  low: {inputs: {args: {V: "\${V}"}}, steps: ['echo $V > /low']}
  high: {needs: [low], steps: ['cp /low /high']}
images: {planned: {tags: ["\${IMAGE:-x}"], layers: [high]}}
`,
    );
    const states = async (env: Readonly<Record<string, string>>): Promise<unknown> => {
      const run = await rig.varve(['plan', '--json'], env);
      assert.equal(run.status, 0, run.stderr);
      const plan = JSON.parse(run.stdout) as { layers: { layer: string; state: string }[] }; // The shape of --json.
      return plan.layers.map(({ layer, state }) => `${layer} ${state}`);
    };
    assert.deepEqual(await states({}), ['low build', 'high build']);
    assert.deepEqual(await states({}), ['low build', 'high build']);
    await rig.bake();
    assert.deepEqual(await states({}), ['low here', 'high here']);
    const text = await rig.varve(['plan'], { V: '2' });
    const reasons = text.stdout.replace(/[0-9a-f]{12} /g, 'KEY ').replace(/\d+B|\d+\.\ds/g, 'N');
    assert.match(reasons, /argument V changed \(1 -> 2\) in low/);
    rig.otherMachine();
    assert.deepEqual(await states({}), ['low registry', 'high registry']);
    const summary = join(rig.rig.work, 'summary.md');
    const baked = await rig.varve(['bake', '--summary', summary]);
    assert.equal(baked.status, 0, baked.stderr);
    const [title = '', , head] = readFileSync(summary, 'utf8').split('\n');
    assert.match(title, /^### planned: hits 2\/2 in /);
    assert.equal(head, '| Layer | Key | Size | Time | Moved | State |');
  });

  test('docker-bake.json: groups, inheritance, matrices, and a target that begins with another', async () => {
    await using rig = await ProjectRig.open();
    rig.rig.write('app/Dockerfile', 'ARG BASE\nFROM $BASE AS low\nARG WHO\nRUN echo $WHO > /who\n');
    rig.rig.write('app/high.Dockerfile', 'FROM low\nRUN cat /who > /copy\n');
    rig.rig.write(
      'app/docker-bake.json',
      JSON.stringify({
        variable: { BASE: { default: 'scratch' } },
        group: { default: { targets: ['high', 'many'] } },
        target: {
          _common: { args: { BASE: '${BASE}', WHO: 'common' } },
          low: { inherits: ['_common'], args: { WHO: 'low' } },
          high: {
            dockerfile: 'high.Dockerfile',
            contexts: { low: 'target:low' },
            output: [`type=local,dest=${join(rig.rig.work, 'out')}`],
          },
          many: {
            name: 'many-${n}',
            inherits: ['_common'],
            matrix: { n: ['1', '2'] },
            args: { WHO: 'n${n}' },
            output: [`type=local,dest=${join(rig.rig.work, 'many')}-\${n}`],
          },
        },
      }),
    );
    const run = await rig.rig.varve(['bake', '-f', 'app/docker-bake.json'], { env: rig.env });
    assert.equal(run.status, 0, run.stderr);
    const read = (path: string): string => readFileSync(join(rig.rig.work, path), 'utf8').trim();
    assert.deepEqual(
      [read('out/copy'), read('many-1/who'), read('many-2/who')],
      ['low', 'n1', 'n2'],
    );
  });

  test('several bake files, --set and --print: what is printed is what would be built', async () => {
    await using rig = await ProjectRig.open();
    const bake = (path: string, target: unknown): void =>
      rig.rig.write(`app/${path}`, JSON.stringify({ target }));
    bake('docker-bake.json', { one: { args: { A: '1' }, tags: ['a'] }, two: {} });
    bake('docker-bake.override.json', { one: { tags: ['b'] } });
    const print = async (...args: readonly string[]): Promise<unknown> => {
      const cwd = join(rig.rig.work, 'app');
      const run = await varveHere(rig.rig, cwd, ['bake', ...args], rig.env);
      assert.equal(run.status, 0, run.stderr);
      return JSON.parse(run.stdout);
    };
    const one = { context: '.', dockerfile: 'Dockerfile', args: { A: '1' }, tags: ['b'] };
    assert.deepEqual(await print('--print', 'one'), {
      group: { default: { targets: ['one'] } },
      target: { one },
    });
    assert.deepEqual(
      await print('--print', 'one', '-f', 'docker-bake.json', '--set', '*.args.A=2'),
      {
        group: { default: { targets: ['one'] } },
        target: { one: { ...one, args: { A: '2' }, tags: ['a'] } },
      },
    );
  });

  test('compose.yaml: services with a build section are built under the names of their images', async () => {
    await using rig = await ProjectRig.open();
    rig.rig.write('app/api/Dockerfile', 'ARG BASE\nFROM $BASE\nARG WHO\nRUN echo $WHO > /who\n');
    rig.rig.write(
      'app/compose.yaml',
      'services:\n  api:\n    image: example.test/api:1\n    build: {context: api, args: [BASE, "WHO=${WHO:-nobody}"]}\n  db: {image: postgres}\n',
    );
    rig.rig.write(
      'app/said.yaml',
      'services:\n  api:\n    build: {context: api, provenance: mode=min, sbom: true, entitlements: [network.host]}\n',
    );
    const printed = await rig.rig.varve(['bake', '--print', '-f', 'app/said.yaml']);
    assert.deepEqual(JSON.parse(printed.stdout), {
      group: { default: { targets: ['api'] } },
      target: {
        api: {
          context: 'api',
          dockerfile: 'Dockerfile',
          attest: ['type=provenance,mode=min', 'type=sbom,disabled=false'],
          entitlements: ['network.host'],
        },
      },
    });
    const run = await rig.rig.varve(['bake', '-f', 'app/compose.yaml'], { env: rig.env });
    assert.equal(run.status, 0, run.stderr);
    const images = await rig.rig.varve(['image', 'ls', '--json'], { env: rig.env });
    assert.match(images.stdout, /example\.test\/api:1/);
  });
});
