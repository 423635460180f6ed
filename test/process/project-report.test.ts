import assert from 'node:assert/strict';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { parseJson } from '../../src/base/index.ts';
import { note } from '../rig/golden.ts';
import { type BakeReport, hitsOf, ProjectRig } from '../rig/project.ts';
import { startFaultyProxy } from '../rig/registry.ts';
import { needsSteps } from '../rig/rig.ts';

const FILE = `name: told
variables: {V: "1"}
base: \${BASE:-scratch}
store: {ref: "\${LAYERS:-}"}
layers:
  low: {inputs: {args: {V: "\${V}"}}, steps: ['echo $V > /low; echo low > /both']}
  beside: {steps: ['echo beside > /both']}
  high: {needs: [low], inputs: {files: [src]}, steps: [{copy: src, to: /src}]}
images: {told: {tags: ["\${IMAGE:-x}"], layers: [high, beside]}}
`;

async function told(): Promise<ProjectRig> {
  const rig = await ProjectRig.open();
  rig.rig.write('app/varve.yml', FILE);
  rig.rig.write('app/src/main', 'main');
  return rig;
}

/** The text without keys, times, sizes and the address of the registry; columns are one blank apart. */
const plain = (rig: ProjectRig, text: string): string =>
  text
    .replaceAll(rig.registry.host, 'REGISTRY')
    .replace(/sha256:[0-9a-f]{64}/g, 'DIGEST')
    .replace(/\b[0-9a-f]{12}\b/g, 'KEY')
    .replace(/\b\d+\.\ds/g, 'TIME')
    .replace(/\b\d[\d.]*[kM]?B/g, 'BYTES')
    .replace(/ +/g, ' ');

async function stdout(
  rig: ProjectRig,
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<string> {
  const run = await rig.varve(args, env);
  assert.equal(run.status, 0, run.stderr);
  return run.stdout;
}

describe('what is said of a project', { skip: needsSteps }, () => {
  test('a plan says of every layer where it is or why it is built, and what the last builds took', async () => {
    await using rig = await told();
    const plan = async (env: Readonly<Record<string, string>> = {}): Promise<string> =>
      plain(rig, await stdout(rig, ['plan'], env));
    assert.equal(
      await plan(),
      `LAYER KEY SIZE STATE
low KEY - build: first time here
high KEY - build: first time here
beside KEY - build: first time here
3 of 3 layers would be built; how long that takes is not known
`,
    );
    const last = await rig.bake();
    rig.rig.write('app/src/main', 'another');
    assert.equal(
      await plan(),
      `LAYER KEY SIZE STATE
low KEY BYTES cached here
high KEY BYTES build: file src/main changed (about TIME)
beside KEY BYTES cached here
1 of 3 layers would be built: about TIME and BYTES
`,
    );
    assert.equal(
      await plan({ V: '2' }),
      `LAYER KEY SIZE STATE
low KEY BYTES build: argument V changed (1 -> 2) (about TIME)
high KEY BYTES build: file src/main changed (about TIME)
beside KEY BYTES cached here
2 of 3 layers would be built: about TIME and BYTES
`,
    );
    const json = parseJson(await stdout(rig, ['plan', '--json'], { V: '2' }));
    assert.ok(json.ok);
    // The shape of --json.
    const { layers } = json.value as { layers: { layer: string; ms: number; bytes: number }[] };
    // What is expected of a layer is what its last build took.
    assert.deepEqual(
      layers.map(({ layer, ms, bytes }) => [layer, ms > 0, bytes]),
      last.layers.map(({ layer, bytes }) => [layer, true, bytes]),
    );
  });

  test('the report has hits, keys, sizes, states with reasons, times, bytes moved and saved: as text, Markdown and JSON', async () => {
    await using rig = await told();
    await rig.bake();
    rig.rig.write('app/src/main', 'another');
    rig.otherMachine();
    const summary = join(rig.rig.work, 'summary.md');
    const text = await stdout(rig, ['bake', '--push', '--summary', summary]);
    assert.equal(
      plain(rig, text),
      `LAYER KEY SIZE TIME MOVED STATE
low KEY BYTES TIME - at the registry
high KEY BYTES TIME BYTES built: first time here
beside KEY BYTES TIME - at the registry
hits 2/3 in TIME; saved TIME and BYTES; moved BYTES
image told REGISTRY/image: DIGEST (TIME, BYTES moved)
not compared for overlapping files, for they are not here: beside
`,
    );
    rig.rig.write('app/src/main', 'a third');
    const second = await stdout(rig, ['bake', '--push', '--summary', `${summary}.2`]);
    assert.equal(
      plain(rig, second).split('\n')[2],
      'high KEY BYTES TIME BYTES built: file src/main changed',
    );
    const columns = ['Layer', 'Key', 'Size', 'Time', 'Moved', 'State'];
    const [title = '', , head, line, ...rows] = plain(
      rig,
      readFileSync(`${summary}.2`, 'utf8'),
    ).split('\n');
    assert.deepEqual(
      [title, head, line, rows.slice(0, 3)],
      [
        '### told: hits 2/3 in TIME; saved TIME and BYTES; moved BYTES',
        `| ${columns.join(' | ')} |`,
        `|${' --- |'.repeat(6)}`,
        [
          '| low | KEY | BYTES | TIME | - | cached here |',
          '| high | KEY | BYTES | TIME | BYTES | built: file src/main changed |',
          rows[2] ?? '',
        ],
      ],
    );
    assert.match(
      rows[2] ?? '',
      /^\| beside \| KEY \| BYTES \| TIME \| - \| (?:cached here|at the registry) \|$/,
    );
    const report = parseJson(await stdout(rig, ['bake', '--json']));
    assert.ok(report.ok);
    const value = report.value as Record<string, unknown>; // The shape of --json.
    assert.deepEqual(Object.keys(value).sort(), [
      ...['hits', 'images', 'layers', 'movedByImages', 'ms', 'project'],
      ...['pulled', 'pushed', 'savedBytes', 'savedMs', 'v'],
    ]);
    const [row] = value['layers'] as Record<string, unknown>[]; // As above.
    assert.deepEqual(Object.keys(row ?? {}).sort(), [
      ...['bytes', 'key', 'layer', 'ms', 'platform', 'pulled', 'pushed', 'ref', 'savedMs', 'state'],
    ]);
  });

  test('an image that is written as files is said to be written', async () => {
    await using rig = await told();
    const dest = join(rig.rig.work, 'out');
    const text = await stdout(rig, ['bake', '-o', `type=local,dest=${dest}`]);
    assert.match(plain(rig, text), /^image told REGISTRY\/image: written \(TIME, BYTES moved\)$/m);
    assert.equal(readFileSync(join(dest, 'both'), 'utf8'), 'beside\n');
  });

  test('files that two layers have are said with the layer whose file the image has', async () => {
    await using rig = await told();
    const text = await stdout(rig, ['bake']);
    assert.deepEqual(plain(rig, text).split('\n').slice(-2), [
      'warning: /both is in low and beside: the image has that of beside',
      '',
    ]);
  });

  test('an image of layers that are here is made by writing its manifest and configuration, and nothing else', async () => {
    await using rig = await told();
    await stdout(rig, ['bake', 'high', 'beside']);
    const before = blobs(rig);
    await stdout(rig, ['bake', 'told']);
    const added = [...blobs(rig)].filter(([name]) => !before.has(name));
    note(
      `assembly wrote ${added.length} blobs of ${added.map(([, size]) => size).join(' and ')} B`,
    );
    assert.equal(added.length, 2);
    assert.ok(added.every(([, size]) => size < 4096));
  });

  test('on a second machine seven layers are found with their manifests and configurations; no layer is fetched', async () => {
    await using rig = await ProjectRig.open('comfyui-layers');
    await using proxy = await startFaultyProxy(`http://${rig.registry.host}`, () => undefined);
    const env = {
      LAYERS: `${proxy.host}/layers`,
      VARVE_INSECURE_REGISTRIES: `${rig.registry.host},${proxy.host}`,
    };
    await rig.bake([], env);
    rig.otherMachine();
    proxy.seen.length = 0;
    const report = parseJson(await stdout(rig, ['bake', '--json'], env));
    assert.ok(report.ok);
    const there = report.value as BakeReport; // The shape of --json.
    assert.equal(hitsOf(there), '7/7');
    const counts: Record<string, number> = {};
    let bytes = 0;
    for (const { method, path, answered } of proxy.seen) {
      const what = `${method} ${/\/(manifests|blobs)\//.exec(path)?.[1] ?? path}`;
      counts[what] = (counts[what] ?? 0) + 1;
      bytes += answered;
    }
    note(`${JSON.stringify(counts)}, ${bytes} bytes, ${Math.round(there.ms)} ms`);
    assert.deepEqual(counts, { 'GET manifests': 7, 'GET blobs': 7 });
    assert.ok(bytes < 20_000);
  });
});

/** Names and sizes of the store's blobs. */
function blobs(rig: ProjectRig): ReadonlyMap<string, number> {
  const dir = join(rig.env['VARVE_ROOT'] ?? '', 'content/blobs/sha256');
  return new Map(readdirSync(dir).map((name) => [name, statSync(join(dir, name)).size]));
}
