import assert from 'node:assert/strict';
import { test } from 'node:test';
import { AptConfig, readAptConf } from '../../../src/packages/apt-conf.ts';

const read = (...texts: readonly string[]): AptConfig => {
  const config = new AptConfig();
  for (const text of texts) readAptConf(text, config);
  return config;
};

test('scopes, full paths, lists and comments are understood', () => {
  const config = read(`// a comment
# another; with "a string";
Acquire::http::Proxy "http://proxy.example:3128"; /* and
one more */
Acquire { http { Timeout "10"; Proxy::mirror.example "DIRECT"; }; Retries "3"; };
APT::Architectures:: "amd64";
APT::Architectures { "arm64"; };
DPkg::Post-Invoke { "echo \\"a;b\\""; };
`);
  assert.deepEqual(
    {
      proxy: config.get('acquire::HTTP::proxy'),
      own: config.get('Acquire::http::Proxy::mirror.example'),
      timeout: config.get('Acquire::http::Timeout'),
      retries: config.get('Acquire::Retries'),
      architectures: config.list('APT::Architectures'),
      invoke: config.list('DPkg::Post-Invoke'),
      absent: config.get('Acquire::https::Proxy'),
    },
    {
      proxy: 'http://proxy.example:3128',
      own: 'DIRECT',
      timeout: '10',
      retries: '3',
      architectures: ['amd64', 'arm64'],
      invoke: ['echo "a;b"'],
      absent: undefined,
    },
  );
});

test('a later file replaces what an earlier one set, and #clear removes it', () => {
  const config = read('A::B "1"; A::C "2"; A::L:: "x"; D "4";', 'A::B "3";\n#clear A::C A::L;\n');
  assert.deepEqual(
    [config.get('A::B'), config.get('A::C'), config.list('A::L'), config.get('D')],
    ['3', undefined, [], '4'],
  );
});

test('yes and no are read in all their spellings', () => {
  const config = read('A "false"; B "0"; C "yes"; D "1"; E "perhaps"; F "No";');
  assert.deepEqual(
    ['A', 'B', 'C', 'D', 'E', 'F', 'G'].map((name) => config.flag(name, true)),
    [false, false, true, true, true, false, true],
  );
});

test('text that is cut off does no harm', () => {
  const config = read('A "1"; B { C "2"', '}}}; "', 'D "3";');
  assert.deepEqual([config.get('A'), config.get('D')], ['1', '3']);
});
