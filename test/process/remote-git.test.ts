import assert from 'node:assert/strict';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { listTar } from '../rig/built-tree.ts';
import { FileServer, GitServer } from '../rig/remote.ts';
import { readFiles } from '../rig/results.ts';
import { needsSteps, Rig, statesOf } from '../rig/rig.ts';

const FILES = {
  Dockerfile: 'FROM scratch\nCOPY . /all/\n',
  '.dockerignore': 'sub\n',
  'run.sh': '#!/bin/sh\n',
  'sub/f': 'one\n',
};

const DATE = '2024-02-03 04:05:06';

describe('repositories of git', { skip: needsSteps }, () => {
  test('ADD takes a branch, a directory of a tag, and keeps .git when that is asked for', async () => {
    await using server = await GitServer.start();
    await using rig = new Rig();
    const sha = server.commit('repo', FILES);
    server.git('repo', 'tag', '-a', 'v1', '-m', 'v1');
    const url = server.url('repo');
    rig.write(
      'app/Dockerfile',
      `FROM scratch
ADD ${url}#main /a
ADD --checksum=${sha} ${url}#v1:sub /b
ADD --keep-git-dir ${url}#${sha} /c
`,
    );
    const run = await rig.varve(['build', '-o', 'type=tar,dest=out.tar', 'app']);
    assert.equal(run.status, 0, run.stderr);
    const listed = listTar(join(rig.work, 'out.tar'));
    const files = (dir: string): readonly string[] => [
      `drwxr-xr-x 0/0 ${DATE} ${dir}/ 0`,
      `-rw-r--r-- 0/0 ${DATE} ${dir}/.dockerignore 4`,
      `-rw-r--r-- 0/0 ${DATE} ${dir}/Dockerfile 26`,
      `-rwxr-xr-x 0/0 ${DATE} ${dir}/run.sh 10`,
      `drwxr-xr-x 0/0 ${DATE} ${dir}/sub/ 0`,
      `-rw-r--r-- 0/0 ${DATE} ${dir}/sub/f 4`,
    ];
    assert.deepEqual(
      listed.filter((line) => !line.includes(' c/.git/')),
      [...files('a'), `drwxr-xr-x 0/0 ${DATE} b/ 0`, `-rw-r--r-- 0/0 ${DATE} b/f 4`, ...files('c')],
    );
    assert.ok(listed.includes(`-rw-r--r-- 0/0 ${DATE} c/.git/HEAD 41`), listed.join('\n'));
  });

  test('repositories whose objects have SHA-256 names are contexts and sources, by branch, tag and commit', async () => {
    await using server = await GitServer.start();
    await using rig = new Rig();
    const url = server.url('repo');
    const dockerfile = `FROM scratch\nCOPY sub /context\nADD ${url}#v1:sub /tag\n`;
    const sha = server.commit('repo', { ...FILES, Dockerfile: dockerfile }, 'sha256');
    assert.match(sha, /^[0-9a-f]{64}$/);
    server.git('repo', 'tag', '-a', 'v1', '-m', 'v1');
    const built: unknown[] = [];
    for (const ref of ['main', 'v1', sha]) {
      const run = await rig.varve(['build', '-q', '-o', ref.slice(0, 4), `${url}#${ref}`]);
      assert.equal(run.status, 0, run.stderr);
      built.push(readFiles(join(rig.work, ref.slice(0, 4))));
    }
    const files = { 'context/f': 'one\n', 'tag/f': 'one\n' };
    assert.deepEqual(built, [files, files, files]);
  });

  test('a context is built again only when its branch moved, and then only what reads the change', async () => {
    await using server = await GitServer.start();
    await using rig = new Rig();
    const dockerfile = 'FROM scratch\nCOPY sub /sub\nCOPY run.sh /run.sh\n';
    const turns: unknown[] = [];
    const build = async (text: string): Promise<void> => {
      const files = { ...FILES, Dockerfile: dockerfile, 'sub/f': text };
      const known = server.commit('repo', { ...files, count: String(turns.length) });
      assert.match(known, /^[0-9a-f]{40}$/);
      const output = ['--build-arg', 'SOURCE_DATE_EPOCH=context', '-o', 'type=tar,dest=out.tar'];
      const address = `${server.url('repo')}#main`;
      const run = await rig.varve(['build', '--progress=rawjson', ...output, address]);
      assert.equal(run.status, 0, run.stderr);
      turns.push({ states: statesOf(run.stderr), tree: listTar(join(rig.work, 'out.tar')) });
    };
    for (const text of ['v0\n', 'v0\n', 'v1\n\n', 'v0\n']) await build(text);
    const turn = (size: number, sub: string, run: string): unknown => ({
      states: { '[1/2] COPY sub /sub': sub, '[2/2] COPY run.sh /run.sh': run },
      tree: [
        `-rwxr-xr-x 0/0 ${DATE} run.sh 10`,
        `drwxr-xr-x 0/0 ${DATE} sub/ 0`,
        `-rw-r--r-- 0/0 ${DATE} sub/f ${size}`,
      ],
    });
    assert.deepEqual(turns, [
      turn(3, 'DONE', 'DONE'),
      turn(3, 'CACHED', 'CACHED'),
      turn(4, 'DONE', 'DONE'),
      turn(3, 'CACHED', 'CACHED'),
    ]);
  });

  test('a context takes a directory of a repository whole, whatever its ignore file says', async () => {
    await using server = await GitServer.start();
    await using rig = new Rig();
    const inner = Object.entries(FILES).map(([path, text]) => [`images/app/${path}`, text]);
    server.commit('repo', Object.fromEntries(inner) as Record<string, string>);
    const address = `${server.url('repo')}#main:images/app`;
    const run = await rig.varve(['build', '-o', 'type=tar,dest=out.tar', address]);
    assert.equal(run.status, 0, run.stderr);
    assert.deepEqual(
      listTar(join(rig.work, 'out.tar')).map((line) => line.split(' ')[4]),
      ['all/', 'all/.dockerignore', 'all/Dockerfile', 'all/run.sh', 'all/sub/', 'all/sub/f'],
    );
  });

  test('named contexts are repositories and files, and one that nobody uses is not asked for', async () => {
    await using server = await GitServer.start();
    await using files = await FileServer.start();
    await using rig = new Rig();
    server.commit('repo', FILES);
    files.files.set('/a.txt', { body: 'hello\n' });
    rig.write('app/Dockerfile', 'FROM scratch\nCOPY --from=g /sub /sub\nCOPY --from=h /a.txt /\n');
    const contexts = [
      `g=${server.url('repo')}`,
      `h=${files.url('/a.txt')}`,
      `unused=${files.url('/unused')}`,
    ].flatMap((context) => ['--build-context', context]);
    const run = await rig.varve(['build', ...contexts, '-o', 'type=tar,dest=out.tar', 'app']);
    assert.equal(run.status, 0, run.stderr);
    assert.deepEqual(files.seen(), ['GET /a.txt 200']);
    assert.deepEqual(listTar(join(rig.work, 'out.tar')), [
      '-rw------- 0/0 1970-01-01 00:00:00 a.txt 6',
      `drwxr-xr-x 0/0 ${DATE} sub/ 0`,
      `-rw-r--r-- 0/0 ${DATE} sub/f 4`,
    ]);
  });

  test('submodules are fetched unless they are not wanted', async () => {
    await using server = await GitServer.start();
    await using rig = new Rig();
    server.commit('library', { lib: 'lib\n' });
    server.commit('repo', { a: 'a\n' });
    server.git('repo', 'submodule', '--quiet', 'add', '../library.git', 'deps');
    server.git('repo', 'config', '-f', '.gitmodules', 'submodule.deps.url', server.url('library'));
    server.commit('repo', { b: 'b\n' });
    const url = server.url('repo');
    rig.write(
      'app/Dockerfile',
      `FROM scratch\nADD ${url} /with\nADD ${url}?submodules=false /without\n`,
    );
    const run = await rig.varve(['build', '-o', 'type=tar,dest=out.tar', 'app']);
    assert.equal(run.status, 0, run.stderr);
    const names = listTar(join(rig.work, 'out.tar')).map((line) => line.split(' ')[4]);
    assert.deepEqual(names, [
      ...['with/', 'with/.gitmodules', 'with/a', 'with/b', 'with/deps/', 'with/deps/lib'],
      ...['without/', 'without/.gitmodules', 'without/a', 'without/b', 'without/deps/'],
    ]);
  });

  test('a reference, a commit and a directory that are not there fail with what was asked for', async () => {
    await using server = await GitServer.start();
    await using rig = new Rig();
    const sha = server.commit('repo', FILES);
    const url = server.url('repo');
    const said: unknown[] = [];
    for (const source of [
      `${url}#nope`,
      `${url}#${'0'.repeat(40)}`,
      `${url}#main:nope`,
      `--checksum=${'1'.repeat(40)} ${url}#main`,
      server.url('other'),
    ]) {
      rig.write('app/Dockerfile', `FROM scratch\nADD ${source} /a\n`);
      const run = await rig.varve(['build', '-q', 'app']);
      const [first = ''] = run.stderr.split('\n');
      said.push([run.status, first.replaceAll(server.url('repo').replace('/repo.git', ''), '')]);
    }
    assert.deepEqual(said, [
      [3, 'error[SR003]: repository /repo.git does not contain ref nope'],
      [3, `error[SR003]: repository /repo.git does not contain commit ${'0'.repeat(40)}`],
      [2, 'error[SR003]: repository /repo.git#refs/heads/main has no directory nope'],
      [3, `error[SR004]: /repo.git: expected checksum to match ${'1'.repeat(40)}, got ${sha}`],
      [3, `error[SR002]: git ls-remote /other.git: fatal: repository '/other.git/' not found`],
    ]);
  });

  test('a token reaches the server and nothing else', async () => {
    const token = 'tell-nobody-5f1c';
    const basic = Buffer.from(`x-access-token:${token}`).toString('base64');
    await using server = await GitServer.start({ authorization: `basic ${basic}` });
    await using rig = new Rig();
    server.commit('repo', FILES);
    rig.write('app/Dockerfile', `FROM scratch\nADD --keep-git-dir ${server.url('repo')} /a\n`);
    const secret = ['--secret', 'id=GIT_AUTH_TOKEN,env=TOKEN'];
    const env = { TOKEN: token };
    const refused = await rig.varve(['build', 'app']);
    const run = await rig.varve(['build', ...secret, 'app'], { env });
    assert.deepEqual([refused.status, run.status], [3, 0], run.stderr);
    const leaks = [...rig.files(rig.root)].filter(
      ([, bytes]) => bytes.includes(token) || bytes.includes(basic),
    );
    assert.deepEqual(
      leaks.map(([path]) => path),
      [],
    );
    assert.doesNotMatch(run.stderr + refused.stderr, new RegExp(`${token}|${basic}`));
  });

  test('a private repository and its submodule are found where their server says they moved, a public one elsewhere', async () => {
    const basic = `basic ${Buffer.from('x-access-token:tell-nobody-5f1c').toString('base64')}`;
    await using home = await GitServer.start({ authorization: basic });
    await using elsewhere = await GitServer.start();
    await using rig = new Rig();
    home.commit('library', { lib: 'lib\n' });
    home.commit('repo', { a: 'a\n' });
    home.git('repo', 'submodule', '--quiet', 'add', '../library.git', 'deps');
    home.git('repo', 'config', '-f', '.gitmodules', 'submodule.deps.url', home.url('oldlib'));
    home.commit('repo', { b: 'b\n' });
    elsewhere.commit('public', { p: 'p\n' });
    for (const [from, to] of [
      ['old', home.url('middle')],
      ['middle', home.url('repo')],
      ['oldlib', home.url('library')],
      ['away', elsewhere.url('public')],
    ] as const)
      home.moved.set(from, to);
    rig.write(
      'app/Dockerfile',
      `FROM scratch\nADD ${home.url('old')} /private\nADD ${home.url('away')} /public\n`,
    );
    const secret = ['--secret', 'id=GIT_AUTH_TOKEN,env=TOKEN'];
    const args = ['build', ...secret, '-o', 'type=tar,dest=out.tar', 'app'];
    const run = await rig.varve(args, { env: { TOKEN: 'tell-nobody-5f1c' } });
    assert.equal(run.status, 0, run.stderr);
    assert.deepEqual(
      listTar(join(rig.work, 'out.tar')).map((line) => line.split(' ')[4]),
      [
        ...['private/', 'private/.gitmodules', 'private/a', 'private/b', 'private/deps/'],
        ...['private/deps/lib', 'public/', 'public/p'],
      ],
    );
  });
});
