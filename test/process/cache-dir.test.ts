import assert from 'node:assert/strict';
import { closeSync, existsSync, mkdirSync, openSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { hexOf, sha256 } from '../../src/base/index.ts';
import { tryLock, unlock } from '../../src/sys/index.ts';
import { DebianRepo } from '../rig/debian-repo.ts';
import { Rig } from '../rig/rig.ts';

let repo: DebianRepo;
let rig: Rig;
const env = (): Readonly<Record<string, string>> => ({
  VARVE_PACKAGES: join(rig.work, 'packages'),
});
const at = (...names: readonly string[]): string => join(rig.work, 'packages', ...names);

before(async () => {
  rig = new Rig();
  repo = await DebianRepo.start();
  repo.add({ name: 'base-files', fields: { Essential: 'yes' } });
  repo.publish('bookworm');
  rig.write(
    'base.yml',
    `suite: bookworm\nvariant: essential\nmirrors: [{uri: "${repo.uri}", signed-by: "${repo.keyring()}"}]\n`,
  );
  const run = await rig.varve(['compose', 'resolve', 'base.yml'], { env: env() });
  assert.equal(run.status, 0, run.stderr);
  const hex = hexOf(sha256('a package'));
  mkdirSync(at('pool', hex.slice(0, 2)), { recursive: true });
  writeFileSync(at('pool', hex.slice(0, 2), hex), 'a package');
});
after(async () => {
  await repo[Symbol.asyncDispose]();
  await rig[Symbol.asyncDispose]();
});

/** Entries of packages and indexes by kind. */
async function kinds(args: readonly string[], extra?: Readonly<Record<string, string>>) {
  const run = await rig.varve(
    ['cache', 'df', '--json', ...args],
    extra === undefined ? {} : { env: extra },
  );
  assert.equal(run.status, 0, run.stderr);
  const { kinds: all } = JSON.parse(run.stdout) as {
    readonly kinds: readonly { readonly kind: string; readonly count: number }[];
  };
  return Object.fromEntries(
    all.filter(({ kind }) => kind === 'package' || kind === 'index').map((k) => [k.kind, k.count]),
  );
}

test('a directory of packages is seen by commands that name it, and by no others', async () => {
  const named = { package: 1, index: 3 };
  assert.deepEqual(
    [await kinds([]), await kinds(['--cache-dir', 'packages']), await kinds([], env())],
    [{}, named, named],
  );
  const listed = await rig.varve([
    'cache',
    'ls',
    '--cache-dir',
    'packages',
    '--filter',
    'kind=package',
  ]);
  assert.match(listed.stdout, new RegExp(`package in ${at()}`));
});

test('a damaged package is found, and set aside in its own directory', async () => {
  const hex = hexOf(sha256('something else'));
  mkdirSync(at('pool', hex.slice(0, 2)), { recursive: true });
  writeFileSync(at('pool', hex.slice(0, 2), hex), 'not that');
  const unnamed = await rig.varve(['cache', 'verify']);
  const found = await rig.varve(['cache', 'verify', '--cache-dir', 'packages']);
  const mended = await rig.varve(['cache', 'verify', '--cache-dir', 'packages', '--repair']);
  assert.deepEqual(
    [unnamed.status, found.status, mended.status, existsSync(at('pool', hex.slice(0, 2), hex))],
    [0, 3, 0, false],
    mended.stderr,
  );
  assert.deepEqual(
    readdirSync(at('pool', 'quarantine')).map((name) => name.startsWith(hex)),
    [true],
  );
});

test('a trim that names the directory removes from it, unless a command of any store works with it', async () => {
  const prune = async (...args: readonly string[]): Promise<string> => {
    const run = await rig.varve(['cache', 'prune', '--all', '--force', ...args]);
    assert.equal(run.status, 0, run.stderr);
    return run.stderr;
  };
  const count = (): number => readdirSync(at('index')).length + readdirSync(at('lock')).length;
  const all = count();
  const counts: number[] = [];
  await prune();
  counts.push(count());
  const fd = openSync(at('.varve-lock'), 'a');
  try {
    assert.ok(tryLock(fd, 'shared'));
    assert.equal(
      await prune('--cache-dir', 'packages'),
      `another command works with ${at()}: nothing of it is removed\n`,
    );
    counts.push(count());
    unlock(fd);
    await prune('--cache-dir', 'packages');
    counts.push(count());
  } finally {
    closeSync(fd);
  }
  assert.deepEqual(counts, [all, all, 0]);
  const again = await rig.varve(['compose', 'resolve', 'base.yml'], { env: env() });
  assert.deepEqual([again.status, count()], [0, all], again.stderr);
});
