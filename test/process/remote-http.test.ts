import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { tarHeader } from '../../src/archive/index.ts';
import { listTar } from '../rig/built-tree.ts';
import { FileServer } from '../rig/remote.ts';
import { buildFiles } from '../rig/results.ts';
import { needsSteps, Rig, statesOf } from '../rig/rig.ts';

const DATE = 'Sat, 03 Feb 2024 04:05:06 GMT';
const HELLO = 'hello\n';
const HELLO_SHA = createHash('sha256').update(HELLO).digest('hex');
const OTHER_SHA = createHash('sha256').update('other').digest('hex');

describe('ADD of an address', { skip: needsSteps }, () => {
  test('a file has the mode, owner and time of a download, and redirects are followed', async () => {
    await using server = await FileServer.start();
    await using rig = new Rig();
    server.files.set('/a.txt', { body: HELLO, lastModified: DATE });
    server.files.set('/undated', { body: HELLO });
    server.files.set('/moved', { redirect: '/a.txt' });
    rig.write(
      'app/Dockerfile',
      `FROM scratch
ADD ${server.url('/a.txt')} /
ADD --chmod=755 ${server.url('/moved')} /run
ADD --chown=7:8 --checksum=sha256:${HELLO_SHA} ${server.url('/undated')} /undated
`,
    );
    const run = await rig.varve(['build', '-o', 'type=tar,dest=out.tar', 'app']);
    assert.equal(run.status, 0, run.stderr);
    assert.deepEqual(listTar(join(rig.work, 'out.tar')), [
      '-rw------- 0/0 2024-02-03 04:05:06 a.txt 6',
      '-rwxr-xr-x 0/0 2024-02-03 04:05:06 run 6',
      '-rw------- 7/8 1970-01-01 00:00:00 undated 6',
    ]);
  });

  test('a second build asks on condition and runs nothing; a changed file is downloaded and copied', async () => {
    await using server = await FileServer.start();
    await using rig = new Rig();
    rig.write('app/Dockerfile', `FROM scratch\nADD ${server.url('/f')} /f\n`);
    const turns: unknown[] = [];
    const build = async (version: string): Promise<void> => {
      server.files.set('/f', { body: version, etag: `"${version}"` });
      const run = await rig.varve(['build', '--progress=rawjson', 'app']);
      assert.equal(run.status, 0, run.stderr);
      turns.push({ requests: server.seen(), states: Object.values(statesOf(run.stderr)) });
    };
    for (const version of ['v0', 'v0', 'v1', 'v0']) await build(version);
    assert.deepEqual(turns, [
      { requests: ['GET /f 200'], states: ['DONE'] },
      { requests: ['GET /f 304'], states: ['CACHED'] },
      { requests: ['GET /f 200'], states: ['DONE'] },
      { requests: ['GET /f 200'], states: ['CACHED'] },
    ]);
  });

  test('with a checksum a known file is not asked for at all', async () => {
    await using server = await FileServer.start();
    await using rig = new Rig();
    server.files.set('/f', { body: HELLO });
    const file = `FROM scratch\nADD --checksum=sha256:${HELLO_SHA} ${server.url('/f')} /f\n`;
    rig.write('app/Dockerfile', file);
    const requests: unknown[] = [];
    for (let turn = 0; turn < 2; turn++) {
      assert.equal((await rig.varve(['build', 'app'])).status, 0);
      requests.push(server.seen());
    }
    assert.deepEqual(requests, [['GET /f 200'], []]);
  });

  test('failures name the address without its secrets, what was expected and what to do', async () => {
    await using server = await FileServer.start();
    await using rig = new Rig();
    server.files.set('/f', { body: HELLO });
    const secret = server.url('/gone?token=hidden').replace('//', '//user:hidden@');
    const said: unknown[] = [];
    for (const add of [
      `ADD --checksum=sha256:${OTHER_SHA} ${server.url('/f')} /f`,
      `ADD ${server.url('/gone')} /f`,
    ]) {
      rig.write('app/Dockerfile', `FROM scratch\n${add}\n`);
      const run = await rig.varve(['build', '-q', 'app']);
      said.push({ ...run, stderr: run.stderr.replaceAll(server.url(''), 'http://server') });
    }
    const context = await rig.varve(['build', secret]);
    said.push({ ...context, stderr: context.stderr.replaceAll(server.url(''), 'http://server') });
    assert.deepEqual(said, [
      {
        status: 3,
        stdout: '',
        stderr: `error[SR004]: digest mismatch for http://server/f: sha256:${HELLO_SHA} (expected: sha256:${OTHER_SHA})
help: the file is another one: check it, and the checksum
`,
      },
      {
        status: 3,
        stdout: '',
        stderr: `error[SR001]: GET http://server/gone: invalid response status 404
help: check the address
`,
      },
      {
        status: 3,
        stdout: '',
        stderr: `#1 [internal] load remote build context http://server/gone
#1 ERROR: GET http://server/gone: invalid response status 404
error[SR001]: GET http://server/gone: invalid response status 404
help: check the address
`,
      },
    ]);
  });

  test('credentials in an address are sent, and appear neither in the progress nor in the image', async () => {
    await using server = await FileServer.start();
    await using rig = new Rig();
    server.files.set('/f', { body: HELLO });
    const address = server.url('/f').replace('//', '//robot:hide-me@');
    rig.write('app/Dockerfile', `FROM scratch\nADD ${address} /f\n`);
    const run = await rig.varve([
      'build',
      '--progress=rawjson',
      '-o',
      'type=oci,dest=out.tar',
      'app',
    ]);
    assert.equal(run.status, 0, run.stderr);
    const shown = server.url('/f').replace('//', '//xxxxx:xxxxx@');
    assert.deepEqual(statesOf(run.stderr), { [`[1/1] ADD ${shown} /f`]: 'DONE' });
    const image = readFileSync(join(rig.work, 'out.tar'));
    assert.deepEqual([image.includes('hide-me'), image.includes(`ADD ${shown} /f`)], [false, true]);
  });

  test('a server that is busy is asked again', async () => {
    await using server = await FileServer.start();
    await using rig = new Rig();
    server.files.set('/f', { failures: 1, then: { body: HELLO } });
    rig.write('app/Dockerfile', `FROM scratch\nADD ${server.url('/f')} /f\n`);
    const run = await rig.varve(['build', 'app']);
    assert.equal(run.status, 0, run.stderr);
    assert.deepEqual(server.seen(), ['GET /f 503', 'GET /f 200']);
  });
});

/** A tar with one directory and files, all of one time. */
function archive(files: Readonly<Record<string, string>>): Buffer {
  const mtimeNs = 1_706_933_106n * 1_000_000_000n;
  const parts = Object.entries(files).flatMap(([name, text]) => {
    const data = Buffer.from(text);
    const base = { mode: 0o644, uid: 5, gid: 6, mtimeNs, xattrs: new Map() };
    const header = tarHeader({ ...base, name, type: 'file', size: data.length });
    return [header, data, Buffer.alloc((512 - (data.length % 512)) % 512)];
  });
  return gzipSync(Buffer.concat([...parts, Buffer.alloc(1024)]));
}

describe('a context at an address', { skip: needsSteps }, () => {
  test('an archive is the context, and its newest member its time', async () => {
    await using server = await FileServer.start();
    await using rig = new Rig();
    const body = archive({
      Dockerfile: 'FROM scratch\nCOPY a /x/\n',
      a: HELLO,
      '.dockerignore': '*',
    });
    server.files.set('/context.tar.gz', { body, etag: '"1"' });
    const address = server.url('/context.tar.gz');
    const turns: unknown[] = [];
    for (let turn = 0; turn < 2; turn++) {
      const output = ['-o', 'type=tar,dest=out.tar', '--build-arg', 'SOURCE_DATE_EPOCH=context'];
      const run = await rig.varve(['build', '--progress=rawjson', ...output, address]);
      assert.equal(run.status, 0, run.stderr);
      turns.push({ requests: server.seen(), states: statesOf(run.stderr) });
    }
    assert.deepEqual(turns, [
      { requests: ['GET /context.tar.gz 200'], states: { '[1/1] COPY a /x/': 'DONE' } },
      { requests: ['GET /context.tar.gz 304'], states: { '[1/1] COPY a /x/': 'CACHED' } },
    ]);
    assert.deepEqual(listTar(join(rig.work, 'out.tar')), [
      'drwxr-xr-x 0/0 2024-02-03 04:05:06 x/ 0',
      '-rw-r--r-- 5/6 2024-02-03 04:05:06 x/a 6',
    ]);
  });

  test('anything else is the Dockerfile', async () => {
    await using server = await FileServer.start();
    await using rig = new Rig();
    server.files.set('/app.docker', {
      body: 'FROM scratch\nCOPY context /it\n',
      lastModified: DATE,
    });
    const output = ['-o', 'type=tar,dest=out.tar'];
    const run = await rig.varve(['build', ...output, server.url('/app.docker')]);
    assert.equal(run.status, 0, run.stderr);
    assert.deepEqual(listTar(join(rig.work, 'out.tar')), [
      '-rw------- 0/0 2024-02-03 04:05:06 it 30',
    ]);
  });

  test('a plan opens the context at an address as a build does', async () => {
    await using server = await FileServer.start();
    await using rig = new Rig();
    server.files.set('/app.docker', { body: 'FROM scratch\nCOPY context /it\n' });
    const plans: string[] = [];
    for (const args of [['--plan'], ['-q', '-t', 'app'], ['--plan']]) {
      const run = await rig.varve(['build', ...args, server.url('/app.docker')]);
      assert.equal(run.status, 0, run.stderr);
      if (args[0] === '--plan')
        plans.push(run.stdout.split('\n').find((line) => line.includes('COPY context /it')) ?? '');
    }
    assert.deepEqual(
      plans.map((line) => line.trim().split(/\s+/)[0]),
      ['RUN', 'CACHED'],
    );
  });
});

describe('archives and standard input', { skip: needsSteps }, () => {
  test('--unpack takes an archive at an address apart, and without it the archive is a file', async () => {
    await using server = await FileServer.start();
    await using rig = new Rig();
    server.files.set('/a.tar.gz', { body: archive({ 'd/f': HELLO, g: 'g' }), lastModified: DATE });
    const address = server.url('/a.tar.gz');
    const listed: unknown[] = [];
    for (const flag of ['--unpack=true ', '--unpack=false ', '']) {
      rig.write('app/Dockerfile', `FROM scratch\nADD ${flag}${address} /x/\n`);
      const run = await rig.varve(['build', '-q', '-o', 'type=tar,dest=out.tar', 'app']);
      assert.equal(run.status, 0, run.stderr);
      listed.push(listTar(join(rig.work, 'out.tar')).map((line) => line.split(' ').slice(-2)[0]));
    }
    assert.deepEqual(listed, [
      ['x/', 'x/d/', 'x/d/f', 'x/g'],
      ['x/', 'x/a.tar.gz'],
      ['x/', 'x/a.tar.gz'],
    ]);
  });

  test('the Dockerfile of a context at an address may come on standard input, or be another of its files', async () => {
    await using server = await FileServer.start();
    await using rig = new Rig();
    const body = archive({
      Dockerfile: 'FROM nothing\n',
      'sub/Other': 'FROM scratch\nCOPY a /other\n',
      a: 'a\n',
    });
    server.files.set('/context.tar.gz', { body });
    const address = server.url('/context.tar.gz');
    const input = 'FROM scratch\nCOPY a /typed\n';
    assert.deepEqual(
      [
        (await buildFiles(rig, ['-f', '-', address], { input })).files,
        (await buildFiles(rig, ['-f', 'sub/Other', address])).files,
      ],
      [{ typed: 'a\n' }, { other: 'a\n' }],
    );
  });
});
