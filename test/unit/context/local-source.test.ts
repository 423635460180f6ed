import assert from 'node:assert/strict';
import {
  chmodSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { contentDigest, type FileTree } from '../../../src/cachekey/index.ts';
import { openLocalSource } from '../../../src/context/index.ts';
import type { LocalSource } from '../../../src/ports/index.ts';
import { setXattr } from '../../../src/sys/index.ts';

const signal = new AbortController().signal;

describe('local sources', () => {
  let root = '';
  /** Far ahead of every file's times, so that digests are remembered. */
  let now = Date.now() + 60_000;

  beforeEach(() => {
    root = mkdtempSync(join(tmpdir(), 'varve-context-'));
    now = Date.now() + 60_000;
  });
  afterEach(() => {
    rmSync(root, { recursive: true, force: true });
  });

  function write(path: string, content = path): void {
    const full = join(root, 'ctx', path);
    mkdirSync(dirname(full), { recursive: true });
    writeFileSync(full, content);
    chmodSync(full, 0o644);
  }
  function open(): LocalSource {
    const source = openLocalSource(join(root, 'ctx'), {
      clock: { now: () => now },
      indexDir: join(root, 'index'),
    });
    assert.ok(source.ok);
    return source.value;
  }
  async function tree(
    options: { excludes?: string[]; follow?: string[] } = {},
    read: number[] = [],
  ): Promise<FileTree> {
    const result = await open().tree({
      excludes: options.excludes ?? [],
      includes: [],
      follow: options.follow ?? [],
      signal,
      progress: (bytes) => read.push(bytes),
    });
    assert.ok(result.ok, JSON.stringify(result));
    return result.value;
  }
  function paths(from: FileTree, path = '/'): string[] {
    return from.list(path).flatMap((name) => {
      const child = path === '/' ? `/${name}` : `${path}/${name}`;
      return [child, ...paths(from, child)];
    });
  }
  async function keyOf(of: FileTree): Promise<string> {
    const key = await contentDigest([], of, signal);
    assert.ok(key.ok);
    return key.value;
  }

  test('a walk gives every entry in component order', async () => {
    for (const path of ['b', 'a/x', 'a-b', 'a/é', 'a/\u{1f600}', 'a/\uffee']) write(path);
    assert.deepEqual(paths(await tree()), [
      '/a',
      '/a/x',
      '/a/é',
      '/a/\uffee',
      '/a/\u{1f600}',
      '/a-b',
      '/b',
    ]);
  });

  test('ignored directories are left out unless an exception lies below them', async () => {
    for (const path of ['node_modules/x/y', 'src/a.log', 'src/keep.log', 'out/a', 'out/b/c'])
      write(path);
    const found = await tree({
      excludes: ['node_modules', '**/*.log', '!src/keep.log', 'out', '!out/b'],
    });
    assert.deepEqual(paths(found), ['/out', '/out/b', '/out/b/c', '/src', '/src/keep.log']);
  });

  test('only what is followed is walked, and what links lead to', async () => {
    for (const path of ['a/one', 'a/two', 'b/three', 'deep/d/four', 'other']) write(path);
    symlinkSync('../b', join(root, 'ctx/a/link'));
    symlinkSync('/deep/d', join(root, 'ctx/absolute'));
    symlinkSync('../../../etc', join(root, 'ctx/outside'));
    const found = await tree({ follow: ['a/link/three', 'absolute', 'missing', 'outside'] });
    assert.deepEqual(paths(found), [
      '/a',
      '/a/link',
      '/absolute',
      '/b',
      '/b/three',
      '/deep',
      '/deep/d',
      '/deep/d/four',
      '/outside',
    ]);
  });

  test('a wildcard follows the links that it matches and takes the other files', async () => {
    for (const path of ['x1', 'x2', 'target', 'y']) write(path);
    symlinkSync('target', join(root, 'ctx/x3'));
    assert.deepEqual(paths(await tree({ follow: ['x*'] })), ['/target', '/x1', '/x2', '/x3']);
  });

  test('entries are owned by root, links have mode 0777 and hard links are told', async () => {
    write('file', 'data');
    linkSync(join(root, 'ctx/file'), join(root, 'ctx/hard'));
    symlinkSync('file', join(root, 'ctx/soft'));
    utimesSync(join(root, 'ctx/file'), 1, 1.5);
    const found = await tree();
    const [file, hard, soft] = ['/file', '/hard', '/soft'].map((p) => found.lstat(p));
    assert.deepEqual(
      [
        file?.type,
        file?.mode,
        file?.uid,
        file?.gid,
        file?.size,
        file?.mtimeNs,
        soft?.mode,
        soft?.link,
      ],
      ['file', 0o644, 0, 0, 4, 1_500_000_000n, 0o777, 'file'],
    );
    assert.equal(file?.inode, hard?.inode);
    assert.notEqual(file?.inode, undefined);
    assert.equal(found.rootHeader, 'empty');
  });

  test('a socket is an empty file', async () => {
    write('file');
    const server = createServer().listen(join(root, 'ctx/socket'));
    await new Promise((resolve) => server.once('listening', resolve));
    const found = await tree();
    server.close();
    const entry = found.lstat('/socket');
    assert.deepEqual([entry?.type, entry?.size], ['file', 0]);
  });

  test('an unchanged tree is not read again', async () => {
    write('a', 'aaa');
    write('d/b', 'bbbb');
    const first: number[] = [];
    const key = await keyOf(await tree({}, first));
    const second: number[] = [];
    assert.equal(await keyOf(await tree({}, second)), key);
    assert.deepEqual([first.at(-1), second], [7, []]);
  });

  test('an edit within size and modification time is noticed', async () => {
    write('a', 'old');
    utimesSync(join(root, 'ctx/a'), 5, 5);
    const before = await keyOf(await tree());
    writeFileSync(join(root, 'ctx/a'), 'new');
    utimesSync(join(root, 'ctx/a'), 5, 5);
    const read: number[] = [];
    assert.notEqual(await keyOf(await tree({}, read)), before);
    assert.deepEqual(read, [3]);
  });

  test('a file that changed within the granularity of the clock is hashed again', async () => {
    now = Date.now() - 3_600_000;
    write('a', 'xyz');
    const read: number[] = [];
    await tree({}, read);
    await tree({}, read);
    assert.deepEqual(read, [3, 3]);
    assert.deepEqual(readdirSync(root), ['ctx']);
  });

  test('a damaged index is not believed', async () => {
    write('a', 'xyz');
    const key = await keyOf(await tree());
    const index = join(root, 'index', readdirSync(join(root, 'index'))[0] ?? '');
    const bytes = readFileSync(index);
    bytes[bytes.length - 1] = (bytes.at(-1) ?? 0) ^ 1;
    writeFileSync(index, bytes);
    const read: number[] = [];
    assert.equal(await keyOf(await tree({}, read)), key);
    assert.deepEqual(read, [3]);
  });

  test('files hashed by worker threads have the digests of small ones', async () => {
    const big = Buffer.alloc(20 << 20, 'x');
    for (const name of ['one', 'two']) {
      mkdirSync(join(root, 'ctx', name), { recursive: true });
      writeFileSync(join(root, 'ctx', name, 'big'), big);
      chmodSync(join(root, 'ctx', name, 'big'), 0o644);
    }
    const both = await tree();
    rmSync(join(root, 'index'), { recursive: true });
    const alone = await tree({ follow: ['one'] });
    const digests = await Promise.all([
      both.digest('/one/big', signal),
      both.digest('/two/big', signal),
      alone.digest('/one/big', signal),
    ]);
    assert.equal(new Set(digests).size, 1);
  });

  test('a file that changes after the walk is refused where it is used', async () => {
    write('a', 'one');
    const found = await tree();
    write('a', 'other');
    assert.throws(() => found.diskPath('/a'), {
      message: 'a changed while the build was reading the context',
    });
    await assert.rejects(
      async () => {
        for await (const chunk of found.read('/a', signal)) assert.ok(chunk);
      },
      { message: 'a changed while the build was reading the context' },
    );
  });

  test('a context that is absent or no directory is refused with a reason', () => {
    const deps = { clock: { now: () => now }, indexDir: join(root, 'index') };
    writeFileSync(join(root, 'file'), '');
    const answers = ['/nowhere/at/all', join(root, 'file')].map((path) => {
      const result = openLocalSource(path, deps);
      return result.ok ? 'opened' : [result.error.code, result.error.message, result.error.exit];
    });
    assert.deepEqual(answers, [
      ['CX001', 'context "/nowhere/at/all" does not exist', 2],
      ['CX002', `context "${join(root, 'file')}" is not a directory`, 2],
    ]);
  });

  test('a file is read through links inside the directory only', async () => {
    write('inner/file', 'text');
    symlinkSync('inner/file', join(root, 'ctx/good'));
    symlinkSync('/etc/passwd', join(root, 'ctx/bad'));
    const source = open();
    const read = async (path: string): Promise<string> => {
      const result = await source.readFile(path, { maxBytes: 10, signal });
      if (!result.ok) return result.error.message;
      return result.value === undefined ? 'absent' : Buffer.from(result.value).toString();
    };
    write('large', 'x'.repeat(11));
    assert.deepEqual(await Promise.all(['good', 'bad', 'none', 'large'].map(read)), [
      'text',
      `bad leads outside ${join(root, 'ctx')}`,
      'absent',
      'large is larger than 10 bytes',
    ]);
  });

  test('the data of a file comes in pieces, and a reader may leave after the first', async () => {
    const content = 'x'.repeat((1 << 20) + 5);
    write('large', content);
    const from = await tree();
    const pieces: number[] = [];
    for await (const piece of from.read('/large', signal)) pieces.push(piece.length);
    assert.deepEqual(pieces, [1 << 20, 5]);
    write('small', 'abc');
    const small = await tree();
    for (let i = 0; i < 20; i++)
      for await (const piece of small.read('/small', signal)) {
        assert.equal(Buffer.from(piece).toString(), 'abc');
        break;
      }
  });

  test('bytes that are not those of the digest are refused where they are read at once', async () => {
    write('a', 'first');
    const walked = await tree();
    assert.equal(String(walked.readNow?.('/a')), 'first');
    write('a', 'other');
    assert.throws(
      () => walked.readNow?.('/a'),
      /a changed while the build was reading the context/,
    );
  });

  test('an attribute set on a file that was remembered without any is seen', async () => {
    write('a', 'first');
    assert.equal((await tree()).lstat('/a')?.xattrs.size, 0);
    assert.equal((await tree()).lstat('/a')?.xattrs.size, 0);
    setXattr(join(root, 'ctx', 'a'), 'user.note', Buffer.from('x'));
    assert.deepEqual(
      [...((await tree()).lstat('/a')?.xattrs ?? [])].map(([name]) => name),
      ['user.note'],
    );
  });
});
