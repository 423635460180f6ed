import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { Rig, type Run } from '../rig/rig.ts';
import { addBaseSystem, needsRpmRoot, RpmRepo } from '../rig/rpm-repo.ts';

let repo: RpmRepo | undefined;
let rig: Rig;

before(async () => {
  rig = new Rig();
  if (needsRpmRoot.skip !== undefined) return;
  repo = await RpmRepo.start();
  addBaseSystem(repo);
  repo.add([
    {
      name: 'one',
      tags: ['Requires: bash', 'Requires: (two if bash)'],
      files: { 'usr/share/one': '1\n' },
    },
    { name: 'two', version: '2~rc1^git', epoch: 3, files: { 'usr/share/two': '2\n' } },
    { name: 'three', tags: ['Requires: bash'], files: { 'usr/share/three': '3\n' } },
  ]);
  repo.publish();
});
after(async () => {
  await repo?.[Symbol.asyncDispose]();
  await rig[Symbol.asyncDispose]();
});

function write(world: Rig, packages: string, file = 'base.yml'): void {
  assert.ok(repo);
  world.write(
    file,
    `distribution: tiny
release: "1"
architecture: x86_64
repositories:
  - {uri: "${repo.uri}", keys: ["${repo.key()}"]}
packages: [${packages}]
`,
  );
}
const compose = async (world: Rig, ...args: readonly string[]): Promise<Run> =>
  await world.varve(['compose', 'base.yml', '--progress=plain', ...args]);
const digest = (path: string): string =>
  createHash('sha256').update(readFileSync(path)).digest('hex');
const TAR = ['-o', 'type=tar,dest=root.tar'];
const FROZEN = ['--frozen', '--lock', 'base.lock'];

/** Files of packages in a store. */
function pool(world: Rig): readonly string[] {
  const dir = join(world.store, 'packages/pool');
  return readdirSync(dir, { recursive: true, encoding: 'utf8', withFileTypes: false })
    .map((name) => join(dir, name))
    .filter((path) => /\/[0-9a-f]{64}$/.test(path))
    .sort();
}

test(
  'a root of rpm packages is locked, and made of its lock elsewhere without a choice',
  needsRpmRoot,
  async () => {
    assert.ok(repo);
    write(rig, 'one');
    const first = await compose(rig, ...TAR, '--lock', 'base.lock', '--dot', 'base.dot');
    assert.equal(first.status, 0, first.stderr);
    assert.deepEqual(
      readFileSync(join(rig.work, 'base.dot'), 'utf8').match(/"one" -> .*|"two" \[.*/g),
      ['"two" [label="two\\n3:2~rc1^git-1"];', '"one" -> "bash";', '"one" -> "two";'],
    );
    await using other = new Rig();
    write(other, 'one');
    other.write('base.lock', readFileSync(join(rig.work, 'base.lock'), 'utf8'));
    repo.requests.length = 0;
    const frozen = await compose(other, ...TAR, ...FROZEN);
    assert.equal(frozen.status, 0, frozen.stderr);
    assert.deepEqual(
      [
        digest(join(other.work, 'root.tar')),
        repo.requests.filter((path) => !path.startsWith('/Packages/')),
      ],
      [digest(join(rig.work, 'root.tar')), []],
    );
    write(other, 'one, three');
    const unfit = await compose(other, ...TAR, ...FROZEN);
    assert.deepEqual(
      [unfit.status, unfit.stderr.split('\n')[0]],
      [2, 'error[TP010]: the lock of root does not fit the template: it has no three'],
    );
  },
);

test(
  'five damaged rpm packages are set aside, said and fetched again, and the root is the same',
  needsRpmRoot,
  async () => {
    const before = digest(join(rig.work, 'root.tar'));
    const damaged = pool(rig).slice(0, 5);
    assert.equal(damaged.length, 5);
    for (const path of damaged) {
      const bytes = readFileSync(path);
      bytes[bytes.length >> 1] = (bytes[bytes.length >> 1] ?? 0) ^ 1;
      writeFileSync(path, bytes);
    }
    const again = await compose(rig, '--clean', ...TAR);
    assert.equal(again.status, 0, again.stderr);
    assert.deepEqual(
      [
        again.stderr.match(/warning\[PK000\]: .* was damaged/g)?.length,
        digest(join(rig.work, 'root.tar')),
      ],
      [5, before],
    );
  },
);

test(
  'what is cached of rpm packages is composed from nothing where there is no network at all',
  existsSync('/usr/bin/unshare') ? needsRpmRoot : { skip: 'no unshare' },
  async () => {
    const before = digest(join(rig.work, 'root.tar'));
    const args = ['compose', 'base.yml', '--offline', '--clean', ...FROZEN];
    const child = spawn(
      'unshare',
      ['-n', process.execPath, MAIN, ...args, '-o', 'type=tar,dest=offline.tar'],
      {
        cwd: rig.work,
        env: { ...process.env, VARVE_ROOT: rig.store },
        stdio: ['ignore', 'ignore', 'pipe'],
      },
    );
    let said = '';
    child.stderr.on('data', (data: Buffer) => (said += data.toString()));
    const code = await new Promise((resolve) => child.on('close', resolve));
    assert.deepEqual([code, digest(join(rig.work, 'offline.tar'))], [0, before], said);
  },
);

test(
  'two roots of rpm packages composed at once on one store each get their own packages',
  needsRpmRoot,
  async () => {
    await using world = new Rig();
    write(world, 'one', 'one.yml');
    write(world, 'three', 'three.yml');
    const runs = await Promise.all(
      ['one', 'three'].map(async (name) =>
        world.varve([
          ...['compose', `${name}.yml`, '--progress=plain', '--dot', `${name}.dot`],
          ...['-o', `type=tar,dest=${name}.tar`],
        ]),
      ),
    );
    assert.deepEqual(
      runs.map((r) => r.status),
      [0, 0],
      runs.map((r) => r.stderr).join('\n'),
    );
    const files = (name: string): readonly string[] =>
      execFileSync('tar', ['-tf', join(world.work, `${name}.tar`)], { encoding: 'utf8' })
        .split('\n')
        .filter((path) => /^usr\/share\/\w+$/.test(path));
    assert.deepEqual(
      [files('one'), files('three')],
      [['usr/share/one', 'usr/share/two'], ['usr/share/three']],
    );
    assert.equal(readFileSync(join(world.work, 'three.dot'), 'utf8').includes('"two"'), false);
  },
);

test(
  'a mirror that cuts a download off is asked for the rest, and a wrong file from it fails the root',
  needsRpmRoot,
  async () => {
    assert.ok(repo);
    const made = repo;
    await using world = new Rig();
    write(world, 'three');
    const bytes = readFileSync(join(made.files, 'Packages/three-1-1.noarch.rpm'));
    let cut = false;
    made.requests.length = 0;
    made.intercept = (request, response) => {
      if (request.url?.endsWith('/three-1-1.noarch.rpm') !== true || cut) return false;
      cut = true;
      response.writeHead(200, { 'content-length': bytes.length });
      response.write(bytes.subarray(0, 1000), () => setImmediate(() => response.destroy()));
      return true;
    };
    const resumed = await compose(world, ...TAR);
    made.intercept = (request, response) => {
      if (request.url?.includes('/two-2') !== true) return false;
      response.writeHead(200).end(bytes);
      return true;
    };
    write(world, 'one');
    const wrong = await compose(world, ...TAR);
    made.intercept = () => false;
    const right = await compose(world, ...TAR);
    assert.deepEqual(
      [
        resumed.status,
        made.requests.filter((path) => path.includes('three-')).length,
        wrong.status,
        wrong.stderr.match(/error\[\w+\]: .*/g)?.map((line) => line.replace(made.uri, 'URI')),
        right.status,
      ],
      [
        0,
        2,
        3,
        [
          'error[PK040]: two 3:2~rc1^git-1 (noarch) from URI/Packages/two-2~rc1%5Egit-1.noarch.rpm is not the file that the signed index names',
        ],
        0,
      ],
      resumed.stderr + wrong.stderr,
    );
  },
);

const MAIN = join(import.meta.dirname, '../../src/cli/main.ts');
