import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ok } from '../../../src/base/index.ts';
import {
  cleanPath,
  detectSyntax,
  isOwnSyntax,
  parseDevice,
  parseDuration,
  parseHeredocWord,
  parseMount,
  quoteGo,
  suggest,
} from '../../../src/dockerfile/index.ts';

const syntaxOf = (text: string): unknown => {
  const found = detectSyntax({ path: 'Dockerfile', text });
  return found === undefined ? undefined : [found.image, found.commandLine, found.line];
};

test('the syntax is found in comments, behind a shebang, and in JSON, but only at the top', () => {
  assert.deepEqual(
    [
      '# syntax = docker/dockerfile:1 --flag \nFROM a',
      '\ufeff#syntax=a\n',
      '#!/usr/bin/env x\n# escape=`\n# syntax=b',
      '// syntax=c\n{}',
      '{"syntax": "d e"}',
      '#!x\n{"syntax": "f"}',
      '# comment\n# syntax=a',
      '\n# syntax=a',
      '{"syntax": 1}',
      '["syntax"]',
      '',
    ].map(syntaxOf),
    [
      ['docker/dockerfile:1', 'docker/dockerfile:1 --flag', 1],
      ['a', 'a', 1],
      ['b', 'b', 3],
      ['c', 'c', 1],
      ['d e', 'd e', 0],
      ['f', 'f', 1],
      ...[undefined, undefined, undefined, undefined, undefined],
    ],
  );
});

test('durations are read as Go reads them', () => {
  const read = (text: string): unknown => {
    const duration = parseDuration(text);
    return duration.ok ? duration.value : duration.error;
  };
  assert.deepEqual(
    ['1h15m30.918s', '-1.5h', '0', '.5ms', '1us2\u00b5s3\u03bcs', '9223372036854775807ns'].map(
      read,
    ),
    [4_530_918_000_000n, -5_400_000_000_000n, 0n, 500_000n, 6_000n, 9_223_372_036_854_775_807n],
  );
  assert.deepEqual(
    ['', '3', '1x', '.s', '+', '9223372036854775808ns', '1h2', '1\u00b5"'].map(read),
    [
      'time: invalid duration ""',
      'time: missing unit in duration "3"',
      'time: unknown unit "x" in duration "1x"',
      'time: invalid duration ".s"',
      'time: invalid duration "+"',
      'time: invalid duration "9223372036854775808ns"',
      'time: missing unit in duration "1h2"',
      'time: unknown unit "\\xc2\\xb5\\"" in duration "1\\xc2\\xb5\\""',
    ],
  );
});

test('options of a mount are expanded, and contradictions are refused', () => {
  const upper = (word: string) => ok(word.toUpperCase());
  const mount = parseMount('type=cache,target=/$x,"id=a,b",sharing=locked,mode=0700', upper);
  assert.deepEqual(mount.ok && [mount.value.target, mount.value.id, mount.value.mode], [
    '/$X',
    'A,B',
    0o700,
  ]);
  const message = (csv: string): string => {
    const parsed = parseMount(csv, ok);
    return parsed.ok ? 'ok' : parsed.error;
  };
  assert.deepEqual(
    [
      'type=secret,id=a,source=b',
      'type=secret',
      'type=secret,id=a,from=b',
      'type=ssh,id=a,sharing=shared',
      'type=tmpfs,uid=1',
      'required',
      'type=secret,id=a,required=perhaps',
      'type=cach',
      'tpye=bind',
      'type=tmpfs,size=1.5kib',
      'type=tmpfs,size=-1',
      'a"b',
      '"a',
    ].map(message),
    [
      "both source and id can't be set",
      'invalid secret mount. one of source, target required',
      'secret mount should not have a from',
      'invalid cache sharing set for ssh mount',
      'uid not allowed for "tmpfs" type mounts',
      "unexpected key 'required' for mount type 'bind'",
      'invalid value for required: perhaps',
      'unsupported mount type "cach" (did you mean cache?)',
      "unexpected key 'tpye' in 'tpye=bind' (did you mean type?)",
      'ok',
      'invalid value for size: -1',
      'failed to parse csv mounts: parse error on line 1, column 2: bare " in non-quoted-field',
      'failed to parse csv mounts: parse error on line 1, column 2: extraneous or missing " in quoted-field',
    ],
  );
});

test('a device is named bare or with a key, once', () => {
  assert.deepEqual(
    ['vendor.com/x=y,required', 'name=a,required=false', 'a,b', 'a,c=d', 'a,name=b'].map((csv) => {
      const device = parseDevice(csv);
      return device.ok ? device.value : device.error;
    }),
    [
      { name: 'vendor.com/x=y', required: true },
      { name: 'a', required: false },
      "invalid field 'b' must be a key=value pair",
      "unexpected key 'c' in 'c=d'",
      'device name already set to a',
    ],
  );
});

test('here-document words are told from here-strings and redirections', () => {
  const read = (word: string): unknown => {
    const start = parseHeredocWord(word);
    return start.ok ? start.value : start.error;
  };
  assert.deepEqual(['<<EOF', '3<<-"A B"', "<<'E'F", '<<<a', '<<', 'a<<b', '<<a b'].map(read), [
    { name: 'EOF', fd: 0, expand: true, chomp: false },
    { name: 'A B', fd: 3, expand: false, chomp: true },
    { name: 'EF', fd: 0, expand: false, chomp: false },
    ...[undefined, undefined, undefined, undefined],
  ]);
});

test('a suggestion is at most two edits away and never the word itself', () => {
  const options = ['from', 'copy', 'run'];
  assert.deepEqual(
    ['RUNN', 'cpoy', 'FROM', 'workdir', 'Fron'].map((word) =>
      suggest(word, options, { caseSensitive: false }),
    ),
    ['RUN', 'copy', undefined, undefined, 'from'],
  );
  assert.equal(suggest('FROM', options, { caseSensitive: true }), undefined);
});

test('paths are cleaned as Go cleans them', () => {
  assert.deepEqual(
    ['', '.', '/', 'a//b/', './a/../../b', '/../a', 'a/..', '../..'].map(cleanPath),
    ['.', '.', '/', 'a/b', '../b', '/a', '.', '../..'],
  );
});

test('texts are quoted as Go quotes them', () => {
  assert.equal(
    quoteGo('a"\\\n\u0001\u007f\u00a0é😀\u200b'),
    '"a\\"\\\\\\n\\x01\\x7f\\u00a0é😀\\u200b"',
  );
});

test('releases of the official frontend image are the built-in language, other images are not', () => {
  const images = [
    'docker/dockerfile',
    'docker/dockerfile:1.7-labs',
    'docker.io/docker/dockerfile-upstream:master@sha256:00',
    'dockerfile.v0',
    'docker/dockerfile-next',
    'example.com/docker/dockerfile:1',
    'tonistiigi/copy',
  ];
  assert.deepEqual(images.filter(isOwnSyntax), images.slice(0, 4));
});
