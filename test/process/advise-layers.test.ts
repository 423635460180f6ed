import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { parseJson } from '../../src/base/index.ts';
import { note } from '../rig/golden.ts';
import { type BakeReport, hitsOf, ProjectRig } from '../rig/project.ts';
import { needsSteps } from '../rig/rig.ts';

const FILE = `# Packages, and the program on top.
name: service
base: \${BASE:-scratch}

layers:
  # Everything that is installed.
  packages:
    changes: sometimes # as a whole
    inputs:
      lists:
        # kept by the team
        - requirements.txt
    steps:
      # Each package is a directory of lines that are hard to compress.
      - |
        while read line; do
          name=\${line%%=*}; mkdir -p /opt/site/$name
          case $name in big-*) count=20000;; *) count=200;; esac
          awk -v c=$count -v n=$line 'BEGIN { srand(length(n)); for (i = 0; i < c; i++) print n, rand() }' > /opt/site/$name/code
        done < /inputs/lists/requirements.txt

  files: {inputs: {files: [models, src]}, steps: [{copy: models, to: /app/models}, {copy: src, to: /app/src}]}

  tool:
    needs: [packages]   # it imports them
    steps: ["echo tool > /tool"]

images:
  service: {layers: [tool, files], tags: ["\${IMAGE:-x}"], cmd: [sh]}
`;

const REQUIREMENTS = (version: number): string =>
  `--no-index\nbig-torch==1\nbig-numpy==1\nown-plugin==${version}\nsmall-one==1\nsmall-two==1 # stays\n`;

/** Commits of a service: its own plugin and its sources change often, packages and models do not. */
function history(rig: ProjectRig): void {
  const { rig: world } = rig;
  const dir = join(world.work, 'app');
  const git = (...args: readonly string[]): void => {
    execFileSync('git', ['-c', 'user.name=t', '-c', 'user.email=t@example.test', ...args], {
      cwd: dir,
      stdio: 'ignore',
    });
  };
  const commit = (): void => {
    git('add', '.');
    git('commit', '-m', 'a change');
  };
  world.write('app/varve.yml', FILE);
  world.write('app/requirements.txt', REQUIREMENTS(1));
  world.write('app/models/weights', 'w'.repeat(100_000));
  world.write('app/src/main.py', 'print(1)\n');
  git('init', '-q', '-b', 'main');
  commit();
  for (const version of [2, 3, 4, 5]) {
    world.write('app/requirements.txt', REQUIREMENTS(version));
    commit();
    world.write('app/src/main.py', `print(${version})\n`);
    commit();
  }
  world.write('app/README', 'nothing that a layer is made from\n');
  commit();
}

const PIECES = {
  packages: '{list: requirements.txt, only: [big-numpy, big-torch, small-one, small-two]}',
  'packages-2': '{list: requirements.txt, except: [big-numpy, big-torch, small-one, small-two]}',
};

/** The project as it is to be: the layer twice, each with a part of the list, and both where one was needed. */
function expectedFile(): string {
  const from = FILE.indexOf('  packages:');
  const to = FILE.indexOf('\n  files:');
  const block = FILE.slice(from, to);
  const [first, second] = Object.entries(PIECES).map(([name, list]) =>
    block.replace('packages:', `${name}:`).replace('- requirements.txt', `- ${list}`),
  );
  return `${FILE.slice(0, from)}${first ?? ''}\n${second ?? ''}${FILE.slice(to)}`.replace(
    'needs: [packages]',
    'needs: [packages, packages-2]',
  );
}

/** The output without measured values. */
const plain = (text: string): string =>
  text
    .replace(/\d+\.\d\ds/g, 'N s')
    .replace(/-?\d+ %/g, 'N %')
    .replace(/\d[\d.]*k?B/g, 'N B')
    .replace(/ {2,}/g, '  ');

/** The shape of `--json` that is asserted. */
interface Advice {
  readonly proof: unknown;
  readonly replay: {
    readonly before: { readonly built: number; readonly seconds: number; readonly bytes: number };
    readonly after: { readonly built: number; readonly seconds: number; readonly bytes: number };
    readonly commits: readonly {
      readonly before: { readonly built: readonly string[] };
      readonly after: { readonly built: readonly string[] };
    }[];
  };
}

const LOCAL = { LAYERS: '' };
/** A registry so slow that bytes decide, and not how fast this machine is. */
const SLOW = ['--bandwidth', '0.2'];

async function baked(rig: ProjectRig): Promise<void> {
  const run = await rig.varve(['bake'], LOCAL);
  assert.equal(run.status, 0, run.stderr);
}

const fileOf = (rig: ProjectRig): string =>
  readFileSync(join(rig.rig.work, 'app/varve.yml'), 'utf8');

describe('varve advise layers', { skip: needsSteps }, () => {
  test('what changes often is parted from what is large, as far as the budget goes', async () => {
    await using rig = await ProjectRig.open();
    history(rig);
    await baked(rig);
    const run = await rig.varve(['advise', 'layers', ...SLOW], LOCAL);
    assert.equal(run.status, 0, run.stderr);
    assert.equal(
      plain(run.stdout),
      `8 of 9 commits changed what layers are put together from
LAYERS  PARTS  CHANGED  NOW  ADVISED  CHANGE  OF ALL GROUPINGS
packages  5  4 of 9  N s  N s  N %  best
files  2  4 of 9  N s  N s  N %  best

LAYER  A PART CHANGES IN  SIZE  MADE FROM
packages  up to 0 of 9  N B  big-numpy, big-torch, small-one, small-two of requirements.txt
packages-2  up to 4 of 9  N B  requirements.txt but big-numpy, big-torch, small-one, small-two

3 layers become 4
not grouped: tool has no lists and no files
`,
    );
    assert.equal(fileOf(rig), FILE);
    const small = await rig.varve(['advise', 'layers', ...SLOW, '--budget', '3'], LOCAL);
    assert.match(small.stdout, /^no other grouping is expected to take less$/m);
    const less = await rig.varve(['advise', 'layers', ...SLOW, '--budget', '2'], LOCAL);
    assert.deepEqual(
      [less.status, less.stderr],
      [2, 'error[CL002]: --budget "2": the project needs 3 layers at least\n'],
    );
  });

  test('--write edits the project and keeps its comments, when the images are the same; commits really built take less', async () => {
    await using rig = await ProjectRig.open();
    history(rig);
    await baked(rig);
    const run = await rig.varve(
      ['advise', 'layers', ...SLOW, '--write', '--replay', '4', '--json'],
      LOCAL,
    );
    assert.equal(run.status, 0, run.stderr);
    assert.equal(fileOf(rig), expectedFile());
    const parsed = parseJson(run.stdout);
    assert.ok(parsed.ok);
    const { proof, replay } = parsed.value as Advice; // The shape of --json.
    assert.deepEqual(proof, { images: 1, paths: 295 });
    assert.deepEqual(
      replay.commits.map(({ before, after }) => [before.built, after.built]),
      [
        [['files'], ['files']],
        [
          ['packages', 'tool'],
          ['packages-2', 'tool'],
        ],
        [['files'], ['files']],
        [[], []],
      ],
    );
    const { before, after } = replay;
    note(
      `bytes of layers ${before.bytes} -> ${after.bytes}, seconds ${before.seconds.toFixed(2)} -> ${after.seconds.toFixed(2)}`,
    );
    assert.ok(after.bytes * 20 < before.bytes);
    await baked(rig);
    rig.rig.write('app/requirements.txt', REQUIREMENTS(6));
    const next = await rig.varve(['bake', '--json'], LOCAL);
    assert.equal(hitsOf(reportOf(next.stdout)), '2/4');
    const images = await rig.rig.varve(['image', 'ls', '--json'], { env: rig.env });
    assert.doesNotMatch(images.stdout, /trial-/);
  });

  test('a recipe that writes one file for all packages is not parted: nothing is written', async () => {
    await using rig = await ProjectRig.open();
    history(rig);
    rig.edit('varve.yml', (text) =>
      text.replace('        done <', '          echo $name >> /opt/site/index\n        done <'),
    );
    const before = fileOf(rig);
    await baked(rig);
    const run = await rig.varve(['advise', 'layers', ...SLOW, '--write'], LOCAL);
    assert.equal(run.status, 1);
    assert.match(
      run.stderr,
      /error\[PJ015\]: with the advised layers image "service" would be another one: \/opt\/site\/index \(file .*\)\nhelp: nothing was written/,
    );
    assert.equal(fileOf(rig), before);
  });

  test('without commits, or before anything was built, it says what is missing', async () => {
    await using rig = await ProjectRig.open();
    rig.rig.write('app/varve.yml', FILE);
    rig.rig.write('app/requirements.txt', REQUIREMENTS(1));
    const none = await rig.varve(['advise', 'layers', ...SLOW], LOCAL);
    assert.deepEqual(
      [none.status, none.stderr.split('\n')[1]],
      [2, 'help: the directory has to lie in a git repository with at least one commit'],
    );
    history(rig);
    const unbuilt = await rig.varve(['advise', 'layers', ...SLOW], LOCAL);
    assert.equal(
      unbuilt.stdout,
      `0 of 9 commits changed what layers are put together from
no other grouping is expected to take less
not grouped: tool has no lists and no files
not grouped: packages was not built yet: run varve bake first
not grouped: files was not built yet: run varve bake first
`,
    );
  });
});

function reportOf(text: string): BakeReport {
  const parsed = parseJson(text);
  assert.ok(parsed.ok, text);
  return parsed.value as BakeReport; // The shape of --json.
}
