import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  closeSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  statSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { test } from 'node:test';
import { sha256, temporaryName } from '../../src/base/index.ts';
import { build, cache, entries, jsonLines } from '../rig/cache.ts';
import { note } from '../rig/golden.ts';
import { varveHere } from '../rig/in-process.ts';
import { startRegistry } from '../rig/registry.ts';
import { BUSYBOX, needsSteps, Rig } from '../rig/rig.ts';

const skip = needsSteps;

interface Report {
  readonly recorded: number;
  readonly unchecked: number;
  readonly problems: readonly {
    readonly what: string;
    readonly path?: string;
    readonly text: string;
    readonly done: string;
  }[];
}

async function verify(rig: Rig, status: number, ...args: readonly string[]): Promise<Report> {
  const [report] = jsonLines(await cache(rig, ['verify', '--json', ...args], { status }));
  return report as Report;
}

/** Turns one bit over in the middle of a file. */
function flip(path: string): void {
  const fd = openSync(path, 'r+');
  const at = Math.floor(statSync(path).size / 2);
  const byte = Buffer.alloc(1);
  readSync(fd, byte, 0, 1, at);
  writeSync(fd, Buffer.from([(byte[0] ?? 0) ^ 1]), 0, 1, at);
  closeSync(fd);
}

/** The largest file below a directory whose path matches. */
function largest(dir: string, pattern: RegExp): string {
  const files = readdirSync(dir, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .filter((path) => pattern.test(path))
    .sort((a, b) => statSync(b).size - statSync(a).size);
  assert.ok(files[0] !== undefined, `no file like ${String(pattern)}`);
  return files[0];
}

/** A store with something of every kind in it. */
async function world(): Promise<Rig> {
  const rig = new Rig();
  rig.context('app', {
    Dockerfile: `${BUSYBOX}RUN echo made > /made\nCOPY busybox /copied\n`,
  });
  // What was written a moment ago is not remembered: the second build reads it again, and remembers it.
  for (const _ of ['made', 'read again']) await build(rig, ['-t', 'demo']);
  const text = 'a package';
  const hex = sha256(text).slice('sha256:'.length);
  const body = 'Package: a\n';
  const files: Readonly<Record<string, string>> = {
    [`pool/${hex.slice(0, 2)}/${hex}`]: text,
    'index/0a': `varve-index 1 ${sha256(body)}\n${body}`,
    'lock/0b': `${sha256('{"packages":[]}')}\n{"packages":[]}`,
    [`release/0c/${hex}`]: text,
    'rpm-index/0d': `${sha256('{}')}\n{}`,
    // Files that a live process, this one, is writing.
    [`index/${temporaryName('0e')}`]: '',
    [`lock/${temporaryName('0f')}`]: '{',
  };
  for (const [path, content] of Object.entries(files)) {
    const full = join(rig.store, 'packages', path);
    mkdirSync(dirname(full), { recursive: true });
    writeFileSync(full, content);
  }
  const git = join(rig.store, 'git/0123.git');
  mkdirSync(git, { recursive: true });
  const run = (...args: readonly string[]): void => {
    execFileSync('git', ['-c', 'user.name=a', '-c', 'user.email=a@b', ...args], {
      stdio: 'ignore',
    });
  };
  run('init', '--quiet', join(rig.root, 'source'));
  writeFileSync(join(rig.root, 'source/file'), 'text '.repeat(1000));
  run('-C', join(rig.root, 'source'), 'add', '.');
  run('-C', join(rig.root, 'source'), 'commit', '-qm', 'one');
  run('clone', '--quiet', '--bare', join(rig.root, 'source'), git);
  run('-C', git, 'gc', '--quiet');
  return rig;
}

/** Kinds of files, how one is found, and as what its damage must be reported. */
const KINDS: readonly (readonly [string, RegExp, string])[] = [
  ['a compressed layer', /content\/blobs\/sha256\/[0-9a-f]{64}$/, 'blob'],
  ['a file of an extracted layer', /snapshots\/layers\/[^/]+\/(?:fs\/|data$|large\/)/, 'layer'],
  ['the note of a layer', /snapshots\/layers\/[^/]+\/meta\.json$/, 'layer'],
  ['digests of a layer', /snapshots\/layers\/[^/]+\/digests$/, 'layer-memo'],
  ['a package', /packages\/pool\//, 'package'],
  ['an index of packages', /packages\/index\/\w/, 'package'],
  ['a choice of packages', /packages\/lock\/\w/, 'package'],
  ['an index of rpm packages', /packages\/rpm-index\//, 'package'],
  ['a Release file', /packages\/release\//, 'package'],
  ['a pack of a repository', /git\/.*\.pack$/, 'git'],
  ['the index of a context', /contexts\/.*\.idx$/, 'context'],
  ['the names of images', /content\/index\.json$/, 'names'],
];

test('a flipped bit is found in every kind of file, repaired, and then the store is sound', {
  skip,
}, async () => {
  await using rig = await world();
  assert.deepEqual((await verify(rig, 0)).problems, []);
  const { problems, recorded, unchecked } = await verify(rig, 0);
  // However often they are looked at, there is nothing to compare large files of packed layers with.
  assert.deepEqual({ problems, recorded, unchecked }, { problems: [], recorded: 0, unchecked: 3 });
  const wrong: string[] = [];
  for (const [name, pattern, what] of KINDS) {
    const path = largest(rig.store, pattern);
    flip(path);
    const found = await verify(rig, 3);
    const whats = new Set(found.problems.map((p) => p.what));
    if (!whats.has(what)) wrong.push(`${name} (${basename(path)}): ${JSON.stringify(found)}`);
    const repaired = await verify(rig, 0, '--repair');
    if (repaired.problems.some((p) => p.done === 'left')) wrong.push(`${name}: not repaired`);
    const after = await verify(rig, 0);
    if (after.problems.length > 0) wrong.push(`${name} after: ${JSON.stringify(after)}`);
    await build(rig, ['-t', 'demo']);
    await verify(rig, 0);
  }
  assert.deepEqual(wrong, []);
  note(`${KINDS.length} of ${KINDS.length} kinds of flipped files found and repaired`);
});

test('what a live process is just writing is neither damaged nor removed, and all files are counted', {
  skip,
}, async () => {
  await using rig = await world();
  const unfinished = (): readonly string[] =>
    ['index', 'lock'].flatMap((folder) =>
      readdirSync(join(rig.store, 'packages', folder)).filter((name) => name.startsWith('.')),
    );
  const before = unfinished();
  assert.equal(before.length, 2);
  const counts = await entries(rig, 'kind=index');
  assert.deepEqual(counts.map(({ id }) => id.slice(0, id.indexOf(':'))).sort(), [
    'index',
    'lock',
    'release',
    'rpm-index',
  ]);
  await cache(rig, ['prune', '--all', '--force']);
  assert.deepEqual(unfinished(), before);
  assert.deepEqual(await entries(rig, 'kind=index'), []);
});

test('the whole of what verify and its repair say of a damaged package', { skip }, async () => {
  await using rig = await world();
  await verify(rig, 0);
  const path = largest(rig.store, /packages\/pool\//);
  const [was, now] = [basename(path), (): string => sha256(readFileSync(path))];
  flip(path);
  const actual = now();
  const said = async (status: number, ...args: readonly string[]): Promise<string> =>
    (await cache(rig, ['verify', ...args], { status })).replace(/\d+ (\w+) \([^)]*\)/g, 'N $1');
  const row = (done: string): string =>
    `package  packages/pool/${was.slice(0, 2)}/${was}  its bytes have the digest ${actual}${done}\n`;
  const wide = (text: string): string => text.replaceAll(/ {2,}/g, '  ');
  const sums =
    '\nverified N blobs, N layers, N packages, N contexts, 1 repositories, 1 images, 1 database: 1 problem\n' +
    'not compared: 3 large files of packed layers, whose digests are not kept\n';
  assert.equal(wide(await said(3)), `WHAT  ENTRY  FOUND  DONE\n${row('')}${sums}`);
  assert.equal(
    wide(await said(0, '--repair')),
    `WHAT  ENTRY  FOUND  DONE\n${row('  moved aside: it is fetched again when it is needed')}${sums}`,
  );
});

test('what a build makes after a repair has the bytes it had before', { skip }, async () => {
  await using rig = await world();
  const image = async (): Promise<string> => {
    await build(rig, ['-t', 'demo']);
    return (await varveHere(rig, rig.work, ['image', 'inspect', 'demo'])).stdout;
  };
  const before = await image();
  await verify(rig, 0);
  flip(largest(rig.store, /content\/blobs\/sha256\/[0-9a-f]{64}$/));
  await verify(rig, 0, '--repair');
  assert.equal(await image(), before);
});

test('a damaged blob that a registry has is fetched again', { skip }, async () => {
  await using rig = await world();
  await using registry = await startRegistry();
  await build(rig, ['-t', `${registry.host}/team/base:1`, '--push']);
  const env = { VARVE_ROOT: join(rig.root, 'second') };
  const pulled = await varveHere(
    rig,
    rig.work,
    ['image', 'pull', `${registry.host}/team/base:1`],
    env,
  );
  assert.equal(pulled.status, 0, pulled.stderr);
  rig.write('app/Dockerfile', `FROM ${registry.host}/team/base:1\nRUN echo more > /more\n`);
  await build(rig, [], env);
  const path = largest(join(rig.root, 'second'), /content\/blobs\/sha256\/[0-9a-f]{64}$/);
  flip(path);
  const out = await cache(rig, ['verify', '--repair', '--json'], { env });
  const { problems } = jsonLines(out)[0] as Report;
  assert.deepEqual(
    problems.map((p) => [p.what, p.done]),
    [['blob', 'fetched again']],
  );
  assert.deepEqual(
    (jsonLines(await cache(rig, ['verify', '--json'], { env }))[0] as Report).problems,
    [],
  );
});

test('a record whose chain is lost is found and forgotten, and its step runs again', {
  skip,
}, async () => {
  await using rig = await world();
  const db = new DatabaseSync(join(rig.store, 'state.db'), { enableForeignKeyConstraints: false });
  db.exec('DELETE FROM chain WHERE depth = 0');
  db.close();
  const found = await verify(rig, 3);
  assert.deepEqual(new Set(found.problems.map((p) => p.what)), new Set(['record']));
  await verify(rig, 0, '--repair');
  assert.deepEqual((await verify(rig, 0)).problems, []);
  const { steps } = await build(rig);
  assert.deepEqual(new Set(Object.values(steps)), new Set(['DONE']));
});

test('a damaged database is reported as far as SQLite sees it', { skip }, async () => {
  await using rig = await world();
  const db = new DatabaseSync(join(rig.store, 'state.db'), { enableForeignKeyConstraints: false });
  db.exec('DELETE FROM layer WHERE id IN (SELECT layer FROM chain WHERE depth = 0)');
  db.close();
  const { problems } = await verify(rig, 3);
  assert.ok(problems.some((p) => p.what === 'database' && p.text.includes('a row of chain')));
});
