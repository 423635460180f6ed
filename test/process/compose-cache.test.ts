import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { DiskRepo, needsDiskTools } from '../rig/disk-repo.ts';
import { executed, type Wishes, writeDiskTemplate } from '../rig/disk-template.ts';
import { note } from '../rig/golden.ts';
import { Rig, type Run } from '../rig/rig.ts';

const skip = { skip: needsDiskTools };
let tiny: DiskRepo | undefined;
let rig: Rig;

before(async () => {
  rig = new Rig();
  if (needsDiskTools === false) tiny = await DiskRepo.start();
});
after(async () => {
  await tiny?.[Symbol.asyncDispose]();
  await rig[Symbol.asyncDispose]();
});

const write = (world: Rig, wishes: Wishes = {}): void => {
  assert.ok(tiny);
  writeDiskTemplate(world, tiny, wishes);
};
const compose = async (world: Rig, ...args: readonly string[]): Promise<Run> =>
  await world.varve([
    'compose',
    'os.yml',
    '--progress=plain',
    '-o',
    'type=raw,dest=disk.img',
    ...args,
  ]);
const digest = (path: string): string =>
  createHash('sha256').update(readFileSync(path)).digest('hex');

/** Each edit, and exactly the stages that are executed because of it. */
const EDITS: readonly (readonly [string, Wishes, readonly string[]])[] = [
  ['nothing', {}, []],
  ['an argument of the kernel', { cmdline: 'debug' }, ['disk', 'esp', 'uki']],
  ['the host name', { hostname: 'other' }, ['configured', 'disk']],
  ['a user', { user: 'another' }, ['configured', 'disk']],
  ['a command', { command: 'echo other > /etc/made' }, ['configured', 'disk']],
  ['a package', { packages: 'extra' }, ['concerned', 'configured', 'disk']],
  ['nothing again', {}, []],
];

test('an edit executes only what depends on it', skip, async () => {
  write(rig);
  assert.equal((await compose(rig)).status, 0);
  const differing: string[] = [];
  for (const [what, wishes, wanted] of EDITS) {
    write(rig, wishes);
    const found = executed(await compose(rig));
    if (found.join() !== wanted.join()) differing.push(`${what}: ${found.join()}`);
  }
  assert.deepEqual(differing, []);
  note(`compose: ${EDITS.length} edits, each executes exactly what depends on it`);
});

test('two templates composed at once on one store each get their own packages', skip, async () => {
  await using world = new Rig();
  write(world, { packages: 'extra' });
  const run = async (template: string): Promise<Run> =>
    await world.varve([
      ...['compose', template, '--progress=plain'],
      ...[
        '-o',
        `type=raw,dest=${template}.img`,
        '--lock',
        `${template}.lock`,
        '--spdx',
        `${template}.spdx`,
      ],
    ]);
  const text = readFileSync(join(world.work, 'os.yml'), 'utf8');
  world.write('other.yml', text.replace('[extra]', '[hooked]'));
  const runs = await Promise.all([run('os.yml'), run('other.yml')]);
  assert.deepEqual(
    runs.map((r) => r.status),
    [0, 0],
    runs.map((r) => r.stderr).join('\n'),
  );
  const packagesOf = (template: string): readonly string[] => {
    const spdx = readFileSync(join(world.work, `${template}.spdx`), 'utf8');
    return [...spdx.matchAll(/"name":"(extra|hooked)"/g)].map(([, name]) => name ?? '');
  };
  assert.deepEqual([packagesOf('os.yml'), packagesOf('other.yml')], [['extra'], ['hooked']]);
});

test(
  'damaged packages are set aside, said and fetched again, and the disk is the same',
  skip,
  async () => {
    await using world = new Rig();
    write(world);
    assert.equal((await compose(world)).status, 0);
    const before = digest(join(world.work, 'disk.img'));
    const pool = join(world.store, 'packages/pool');
    const files = readdirSync(pool, { recursive: true, encoding: 'utf8' })
      .map((name) => join(pool, name))
      .filter((path) => readFileHead(path) === '!<arch>')
      .slice(0, 5);
    assert.equal(files.length, 5);
    for (const path of files) {
      const bytes = readFileSync(path);
      bytes[bytes.length - 3] = (bytes[bytes.length - 3] ?? 0) ^ 1;
      writeFileSync(path, bytes);
    }
    const again = await compose(world, '--clean');
    assert.equal(again.status, 0, again.stderr);
    assert.deepEqual(
      [
        again.stderr.match(/warning\[PK000\]: .* was damaged/g)?.length,
        digest(join(world.work, 'disk.img')),
      ],
      [5, before],
    );
  },
);

function readFileHead(path: string): string {
  try {
    return readFileSync(path).subarray(0, 7).toString('latin1');
  } catch {
    // A directory.
    return '';
  }
}

const canUnshare = existsSync('/usr/bin/unshare') && needsDiskTools === false;

test(
  'what is cached is composed from nothing where there is no network at all',
  canUnshare ? {} : { skip: needsDiskTools === false ? 'no unshare' : needsDiskTools },
  async () => {
    await using world = new Rig();
    write(world);
    assert.equal((await compose(world, '--lock', 'os.lock')).status, 0);
    const before = digest(join(world.work, 'disk.img'));
    const args = ['compose', 'os.yml', '--offline', '--clean', '--frozen', '--lock', 'os.lock'];
    const child = spawn(
      'unshare',
      ['-n', process.execPath, MAIN, ...args, '-o', 'type=raw,dest=offline.img'],
      {
        cwd: world.work,
        env: { ...process.env, VARVE_ROOT: world.store },
        stdio: ['ignore', 'ignore', 'pipe'],
      },
    );
    let said = '';
    child.stderr.on('data', (data: Buffer) => (said += data.toString()));
    const code = await new Promise((resolve) => child.on('close', resolve));
    assert.deepEqual([code, digest(join(world.work, 'offline.img'))], [0, before], said);
    assert.throws(() =>
      execFileSync('unshare', ['-n', 'ip', 'route', 'get', '127.0.0.1'], { stdio: 'ignore' }),
    );
  },
);

const MAIN = join(import.meta.dirname, '../../src/cli/main.ts');
