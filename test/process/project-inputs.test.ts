import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { copyFileSync, existsSync, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { parseJson } from '../../src/base/index.ts';
import { DiskRepo, needsDiskTools } from '../rig/disk-repo.ts';
import { type BakeReport, builtOf, hitsOf, ProjectRig } from '../rig/project.ts';
import { FileServer } from '../rig/remote.ts';
import { needsSteps } from '../rig/rig.ts';

const FOREIGN = join(import.meta.dirname, '../../.tools/arm64/busybox');
const REGISTERED = '/proc/sys/fs/binfmt_misc/qemu-aarch64';
const needsEmulation: string | false =
  needsSteps !== false
    ? needsSteps
    : existsSync(FOREIGN) &&
        existsSync(REGISTERED) &&
        readFileSync(REGISTERED, 'utf8').startsWith('enabled')
      ? false
      : 'needs qemu-aarch64 registered with binfmt_misc and a busybox of arm64 (scripts/debian-tools.sh)';

const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex');
const rowsOf = (report: BakeReport): readonly string[] =>
  report.layers.map(({ layer, platform, state }) => `${layer} ${platform} ${state}`);

const BOTH = ['linux/amd64', 'linux/arm64'];

describe('inputs and platforms of projects', { skip: needsSteps }, () => {
  test('two platforms share one registry: each has layers of its own under one name, and the image is an index', async () => {
    await using rig = await ProjectRig.open();
    rig.rig.write('app/data/a', 'a');
    rig.rig.write('app/code/b', 'b');
    rig.rig.write(
      'app/varve.yml',
      `name: two
platforms: [${BOTH.join(', ')}]
store: {ref: "\${LAYERS:-}"}
layers:
  data: {inputs: {files: [data]}, steps: [{copy: data, to: /data}]}
  code: {needs: [data], inputs: {files: [code]}, steps: [{copy: code, to: /code}]}
images: {two: {layers: [code], tags: ["\${IMAGE:-x}"]}}
`,
    );
    const first = await rig.bake();
    const all = (state: string): readonly string[] =>
      BOTH.flatMap((platform) => [`data ${platform} ${state}`, `code ${platform} ${state}`]);
    assert.deepEqual(rowsOf(first), all('built'));
    assert.equal(new Set(first.layers.map(({ key }) => key)).size, 4);
    assert.deepEqual(rowsOf(await rig.bake()), all('here'));
    const seen = await rig.rig.varve(['image', 'inspect', '--json', `${rig.registry.host}/image`], {
      env: rig.env,
    });
    assert.deepEqual(
      [...seen.stdout.matchAll(/"architecture":"(\w+)"/g)].map(([, name]) => name),
      ['amd64', 'arm64'],
    );
    rig.otherMachine();
    const there = await rig.bake();
    assert.deepEqual(rowsOf(there), all('registry'));
    assert.deepEqual([there.images[0]?.digest, there.movedByImages], [first.images[0]?.digest, 0]);
    // One platform only: its layers are the same ones.
    rig.otherMachine();
    const one = await rig.varve(['bake', '--json', '--platform', 'linux/arm64', 'data'], {});
    assert.deepEqual(rowsOf(parsed(one.stdout)), ['data linux/arm64 registry']);
  });

  test('a command of a layer for another architecture runs through QEMU', {
    skip: needsEmulation,
  }, async () => {
    await using rig = await ProjectRig.open();
    for (const [arch, file] of [
      ['amd64', '/bin/busybox'],
      ['arm64', FOREIGN],
    ] as const) {
      mkdirSync(join(rig.rig.work, 'app/bb', arch), { recursive: true });
      copyFileSync(file, join(rig.rig.work, 'app/bb', arch, 'busybox'));
    }
    rig.rig.write(
      'app/varve.yml',
      `name: ran
platforms: [${BOTH.join(', ')}]
store: {ref: "\${LAYERS:-}"}
layers:
  shell: {inputs: {files: [bb]}, recipe: "ARG TARGETARCH\\nCOPY bb/$TARGETARCH/busybox /bin/sh\\nCOPY bb/$TARGETARCH/busybox /bin/busybox"}
  made: {needs: [shell], steps: ["/bin/busybox uname -m > /machine"]}
images: {ran: {layers: [made], tags: ["\${IMAGE:-x}"]}}
`,
    );
    const out = join(rig.rig.work, 'out');
    const run = await rig.varve(['bake', '--json', '-o', `type=local,dest=${out}`]);
    assert.equal(run.status, 0, run.stderr);
    const machine = (platform: string): string =>
      readFileSync(join(out, platform, 'machine'), 'utf8').trim();
    assert.deepEqual([machine('linux_amd64'), machine('linux_arm64')], ['x86_64', 'aarch64']);
  });

  test('a download counts by its digest and not by its address; another file is refused where its digest is written', async () => {
    await using rig = await ProjectRig.open();
    await using server = await FileServer.start();
    for (const path of ['/old/tool.bin', '/new/tool.bin'])
      server.files.set(path, { body: 'tool', etag: path });
    server.files.set('/bad/tool.bin', { body: 'another tool' });
    const file = (dir: string, digest = sha256('tool')): string => `name: urls
base: \${BASE:-scratch}
store: {ref: "\${LAYERS:-}"}
layers:
  tool:
    inputs:
      urls:
        - url: ${server.url(`/${dir}/tool.bin`)}
          sha256: ${digest}
    steps: [cp /inputs/urls/tool.bin /tool]
images: {urls: {layers: [tool], tags: ["\${IMAGE:-x}"]}}
`;
    rig.rig.write('app/varve.yml', file('old'));
    assert.deepEqual(builtOf(await rig.bake()), { tool: 'built: first time' });
    rig.rig.write('app/varve.yml', file('new'));
    assert.equal(hitsOf(await rig.bake()), '1/1');
    assert.deepEqual(server.seen(), ['GET /old/tool.bin 200']);
    rig.rig.write('app/varve.yml', file('bad', sha256('yet another')));
    const refused = await rig.varve(['bake', '--progress', 'quiet']);
    assert.deepEqual(
      [refused.status, refused.stderr],
      [
        3,
        `error[SR004]: digest mismatch for ${server.url('/bad/tool.bin')}: sha256:${sha256('another tool')} (expected: sha256:${sha256('yet another')})
 --> app/varve.yml:9:19
  |
9 |           sha256: ${sha256('yet another')}
  |                   ${'^'.repeat(64)} help: the file is another one: check it, and the checksum
`,
      ],
    );
    assert.match(refused.stdout, /^tool .* failed$/m);
    server.files.set('/bad/tool.bin', { body: 'yet another' });
    const mended = await rig.bake();
    assert.deepEqual(builtOf(mended), { tool: 'built: url tool.bin' });
  });

  test('a template and packages are layers that others stand on, known by the packages they come to', {
    skip: needsDiskTools,
  }, async () => {
    await using rig = await ProjectRig.open();
    await using tiny = await DiskRepo.start();
    const { repo } = tiny;
    const source = `mirrors: [{uri: "${repo.uri}", suites: [bookworm], components: [main], signed-by: "${repo.keyring()}"}]`;
    const os = (note: string): string =>
      `# ${note}\nsuite: bookworm\nvariant: essential\npackages: [extra]\n${source}\n`;
    rig.rig.write('app/os.yml', os('first'));
    rig.rig.write(
      'app/varve.yml',
      `name: rooted
store: {ref: "\${LAYERS:-}"}
layers:
  os: {template: os.yml}
  other: {packages: {suite: bookworm, variant: essential, ${source}}}
  app: {needs: [os], steps: ["test -e /usr/share/extra && echo app > /app"]}
  plain: {needs: [other], steps: ["test ! -e /usr/share/extra && echo plain > /plain"]}
images:
  app: {layers: [app], tags: ["\${IMAGE:-x}"]}
  plain: {layers: [plain], tags: ["\${IMAGE:-x}:plain"]}
`,
    );
    const first = ['os', 'app', 'other', 'plain'];
    assert.deepEqual(
      builtOf(await rig.bake()),
      Object.fromEntries(first.map((layer) => [layer, 'built: first time'])),
    );
    rig.rig.write('app/os.yml', os('a comment changed'));
    assert.equal(hitsOf(await rig.bake()), '4/4');
    rig.rig.write('app/os.yml', os('a file').concat('files: [{path: /etc/box, content: box}]\n'));
    assert.deepEqual(builtOf(await rig.bake()), {
      os: 'built: option template',
      app: 'built: option template in os',
    });
    rig.otherMachine();
    assert.equal(hitsOf(await rig.bake()), '4/4');
  });

  test('scope: auto keeps branches apart: a run reads its own layers, then those of main, and writes its own', async () => {
    await using rig = await ProjectRig.open();
    rig.rig.write('app/input', 'main');
    rig.rig.write(
      'app/varve.yml',
      `name: scoped
base: \${BASE:-scratch}
store: {ref: "\${LAYERS:-}", scope: auto}
layers:
  low: {steps: ["echo low > /low"]}
  high: {needs: [low], inputs: {files: [input]}, steps: ["cat /inputs/files/input > /high"]}
images: {scoped: {layers: [high], tags: ["\${IMAGE:-x}"]}}
`,
    );
    const nowhere = await rig.varve(['bake']);
    assert.deepEqual(
      [nowhere.status, nowhere.stderr],
      [
        2,
        `error[PJ003]: store.scope: auto needs a branch of git, or GitHub Actions or GitLab CI
 --> app/varve.yml:3:8
  |
3 | store: {ref: "\${LAYERS:-}", scope: auto}
  |        ${'^'.repeat(33)} help: write the name of a scope, or check a branch out
`,
      ],
    );
    const tags = (report: BakeReport): readonly string[] =>
      report.layers.map(({ layer, ref, state }) => {
        const tag = ref.slice(ref.lastIndexOf(':') + 1);
        return `${layer} ${state} ${tag.slice(0, tag.indexOf(`${layer}-`))}`;
      });
    const on = (env: Readonly<Record<string, string>>): Promise<BakeReport> => rig.bake([], env);
    const main = { GITHUB_REF: 'refs/heads/main' };
    const pull = { GITHUB_REF: 'refs/pull/7/merge', GITHUB_BASE_REF: 'main' };
    assert.deepEqual(tags(await on(main)), ['low built main.', 'high built main.']);
    rig.rig.write('app/input', 'of the pull request');
    rig.otherMachine();
    const request = await on(pull);
    assert.deepEqual(tags(request), ['low registry main.', `high built ${scopeOf(request)}`]);
    // Main never reads what a pull request wrote, although it has the same key.
    rig.otherMachine();
    assert.deepEqual(tags(await on(main)), ['low registry main.', 'high built main.']);
    rig.otherMachine();
    const gitlab = { CI_COMMIT_REF_NAME: 'topic', CI_DEFAULT_BRANCH: 'main' };
    assert.deepEqual(tags(await on(gitlab)), ['low registry main.', 'high registry main.']);
    rig.rig.write('app/input', 'of a branch of git');
    execFileSync('git', ['init', '-q', '-b', 'feature'], { cwd: join(rig.rig.work, 'app') });
    rig.otherMachine();
    assert.deepEqual(tags(await on({})), ['low registry main.', 'high built feature.']);
  });
});

const scopeOf = (report: BakeReport): string => {
  const ref = report.layers.find(({ layer }) => layer === 'high')?.ref ?? '';
  const tag = ref.slice(ref.lastIndexOf(':') + 1);
  assert.match(tag, /^pull/);
  return tag.slice(0, tag.indexOf('high-'));
};

function parsed(text: string): BakeReport {
  const json = parseJson(text);
  assert.ok(json.ok, text);
  return json.value as BakeReport; // The shape of --json.
}
