import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Result } from '../../../src/base/index.ts';
import { csvFields } from '../../../src/cli/flags/csv.ts';
import { outputFlag } from '../../../src/cli/flags/output.ts';
import { secretFlag, sshFlag } from '../../../src/cli/flags/secrets.ts';
import { byteSize, extraHost, keyValues, ulimit } from '../../../src/cli/flags/values.ts';
import { proxyFor } from '../../../src/cli/proxies.ts';

const answer = <T>(result: Result<T>): T | string =>
  result.ok ? result.value : result.error.message;

describe('values of flags', () => {
  test('CSV fields may be quoted', () => {
    assert.deepEqual(
      ['a,b', '"a,b",c', '"say ""x""",y', '"open', 'a,'].map((t) => csvFields(t)),
      [
        { ok: true, value: ['a', 'b'] },
        { ok: true, value: ['a,b', 'c'] },
        { ok: true, value: ['say "x"', 'y'] },
        { ok: false, error: 'a quote is not closed' },
        { ok: true, value: ['a', ''] },
      ],
    );
  });

  test('a build argument without a value is taken from the environment, if it is there', () => {
    assert.deepEqual(answer(keyValues('--build-arg', ['A=1=2', 'B', 'C'], { B: 'b' })), {
      A: '1=2',
      B: 'b',
    });
    assert.equal(
      answer(keyValues('--build-arg', ['=x'], {})),
      '--build-arg "=x": the name is empty',
    );
  });

  test('sizes have binary units', () => {
    assert.deepEqual(
      ['64m', '1.5g', '512', '2KB', '1MiB', 'x'].map((t) => answer(byteSize('-m', t))),
      [64 << 20, 1.5 * 2 ** 30, 512, 2048, 1 << 20, '-m "x": not a size'],
    );
  });

  test('limits and hosts are checked', () => {
    assert.deepEqual(
      ['nofile=1024:2048', 'core=0', 'nofile=9:1', 'what=1'].map((t) =>
        answer(ulimit('--ulimit', t)),
      ),
      [
        { name: 'nofile', soft: 1024, hard: 2048 },
        { name: 'core', soft: 0, hard: 0 },
        '--ulimit "nofile=9:1": the soft limit is above the hard limit',
        '--ulimit "what=1": unknown limit "what"',
      ],
    );
    assert.deepEqual(
      ['db:10.0.0.1', 'six=[::1]', 'db', 'db:nowhere'].map((t) =>
        answer(extraHost('--add-host', t)),
      ),
      [
        { host: 'db', ip: '10.0.0.1' },
        { host: 'six', ip: '::1' },
        '--add-host "db": not a host and an address',
        '--add-host "db:nowhere": "nowhere" is not an IP address',
      ],
    );
  });

  test('secrets come from a file, a variable, or what has their name', () => {
    assert.deepEqual(
      [
        'id=a,src=f',
        'id=a,env=V',
        'id=HERE',
        'id=gone',
        'src=x',
        'id=a,type=env',
        'id=a,foo=b',
      ].map((t) => answer(secretFlag(t, { HERE: '1' }))),
      [
        { id: 'a', kind: 'file', path: 'f' },
        { id: 'a', kind: 'env', name: 'V' },
        { id: 'HERE', kind: 'env', name: 'HERE' },
        { id: 'gone', kind: 'file', path: 'gone' },
        '--secret "src=x": id is missing',
        { id: 'a', kind: 'env', name: 'a' },
        '--secret "id=a,foo=b": unknown key "foo"',
      ],
    );
    assert.deepEqual(
      ['default', 'x=/a,/b', ''].map((t) => answer(sshFlag(t))),
      [{ id: 'default', paths: [] }, { id: 'x', paths: ['/a', '/b'] }, '--ssh "": the id is empty'],
    );
  });

  test('outputs are a type with a destination, a directory, or a tar on standard output', () => {
    assert.deepEqual(
      ['-', 'out', 'type=oci,dest=x.tar,compression=zstd', 'type=local', 'type=zip'].map((t) =>
        answer(outputFlag(t, '/cwd')),
      ),
      [
        { type: 'tar', dest: '-', attrs: new Map() },
        { type: 'local', dest: '/cwd/out', attrs: new Map() },
        { type: 'oci', dest: '/cwd/x.tar', attrs: new Map([['compression', 'zstd']]) },
        '--output "type=local": type=local needs dest',
        '--output "type=zip": unknown type "zip"',
      ],
    );
  });

  test('a proxy is used unless the host is excepted', () => {
    const proxy = proxyFor({ HTTPS_PROXY: 'http://p:1', no_proxy: 'localhost,.inner,host:8443' });
    assert.deepEqual(
      [
        'https://a.example/',
        'http://a.example/',
        'https://localhost/',
        'https://x.inner/',
        'https://host:8443/',
        'https://host/',
      ].map((url) => proxy(new URL(url))),
      ['http://p:1', undefined, undefined, undefined, undefined, 'http://p:1'],
    );
  });
});
