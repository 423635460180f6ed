import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { SourceFile } from '../../../src/base/index.ts';
import {
  Linter,
  lintLines,
  lintResult,
  outlineResult,
  parseDockerfile,
  parseInstructions,
  sourceExcerpt,
  targetsResult,
} from '../../../src/dockerfile/index.ts';
import { goldenJson, goldenNames, needsGolden } from '../../rig/golden.ts';

const fileOf = (...lines: string[]): SourceFile => ({
  path: 'Dockerfile',
  text: lines.join('\n'),
});

test('targets are listed with descriptions, and the last one is the default', () => {
  const file = fileOf(
    '# build makes <it>',
    'FROM --platform=$P golang AS build',
    'FROM scratch \\',
    ' AS final',
  );
  const parsed = parseDockerfile(file);
  const instructions = parsed.ok ? parseInstructions(parsed.value) : parsed;
  assert.ok(instructions.ok);
  const line = (indent: string, number: number): string =>
    [
      `${indent}{`,
      `${indent}  "start": {`,
      `${indent}    "line": ${number}`,
      `${indent}  },`,
      `${indent}  "end": {`,
      `${indent}    "line": ${number}`,
      `${indent}  }`,
      `${indent}}`,
    ].join('\n');
  const at = ' '.repeat(10);
  assert.deepEqual(targetsResult(file, instructions.value), {
    json: `{
  "targets": [
    {
      "name": "build",
      "description": "makes \\u003cit\\u003e",
      "base": "golang",
      "platform": "$P",
      "location": {
        "ranges": [
${line(at, 2)}
        ]
      }
    },
    {
      "name": "final",
      "default": true,
      "base": "scratch",
      "location": {
        "ranges": [
${line(at, 3)},
${line(at, 4)}
        ]
      }
    }
  ],
  "sources": [
    "${Buffer.from(file.text).toString('base64')}"
  ]
}`,
    text: 'TARGET          DESCRIPTION\nbuild           makes <it>\nfinal (default) \n',
  });
});

test('lint results come with the page of the rule and the lines around it, in order of lines', () => {
  const file = fileOf('FROM a', 'RUN b \\', '', ' c', 'MAINTAINER d', 'RUN e', 'RUN f', 'RUN g');
  const parsed = parseDockerfile(file);
  assert.ok(parsed.ok);
  const linter = new Linter();
  const instructions = parseInstructions(parsed.value, { linter });
  assert.ok(instructions.ok);
  lintLines(parsed.value, linter);
  const result = lintResult(file, { warnings: linter.warnings });
  assert.equal(result.failed, true);
  assert.equal(
    result.text,
    `
WARNING: NoEmptyContinuation - https://docs.docker.com/go/dockerfile/rule/no-empty-continuation/
Empty continuation line
Dockerfile:4
--------------------
   2 |     RUN b \\
   3 |     
   4 | >>>  c
   5 |     MAINTAINER d
   6 |     RUN e
--------------------

WARNING: MaintainerDeprecated - https://docs.docker.com/go/dockerfile/rule/maintainer-deprecated/
Maintainer instruction is deprecated in favor of using label
Dockerfile:5
--------------------
   3 |     
   4 |      c
   5 | >>> MAINTAINER d
   6 |     RUN e
   7 |     RUN f
--------------------
`,
  );
  assert.match(result.json, /^\{\n {2}"warnings": \[\n {4}\{\n {6}"ruleName": "MaintainerDep/);
});

test('a clean file has no warnings, and a file that does not convert has an error', () => {
  const file = fileOf('FROM a');
  const clean = lintResult(file, { warnings: [] });
  assert.equal(clean.failed, false);
  assert.equal(clean.text, '');
  assert.equal(
    clean.json,
    `{\n  "warnings": null,\n  "sources": [\n    {\n      "filename": "Dockerfile",\n      "data": "RlJPTSBh",\n      "language": "Dockerfile"\n    }\n  ]\n}`,
  );
  const broken = lintResult(file, { warnings: [], failure: { message: 'no', lines: [[1, 1]] } });
  assert.equal(broken.failed, true);
  assert.match(broken.json, /"buildError": \{\n {4}"message": "no",\n {4}"location": \{/);
});

test('an outline lists arguments, secrets and sockets by line', () => {
  const result = outlineResult(fileOf('FROM a'), {
    name: '',
    description: 'the program',
    args: [
      { name: 'B', value: '', description: 'bee', lines: [3, 3] },
      { name: 'LONGER', value: '1', description: '', lines: [2, 2] },
    ],
    secrets: [{ name: 'token', required: true, lines: [5, 5] }],
    ssh: [{ name: 'default', required: false, lines: [6, 6] }],
  });
  assert.equal(
    result.text,
    [
      'TARGET:      (default)',
      'DESCRIPTION: the program',
      '',
      'BUILD ARG   VALUE   DESCRIPTION',
      'LONGER      1       ',
      'B                   bee',
      '',
      'SECRET   REQUIRED',
      'token    true',
      '',
      'SSH       REQUIRED',
      'default   ',
      '',
      '',
    ].join('\n'),
  );
});

test('excerpts below errors are those of BuildKit', needsGolden, () => {
  const names = goldenNames('cachekeys').filter((name) => name.includes('-error-'));
  for (const name of names) {
    const { source } = goldenJson<{ readonly source: string }>(`cachekeys/${name}/error.json`);
    const { entries } = goldenJson<{
      readonly entries: readonly { readonly path: string; readonly content?: string }[];
    }>(`cachekeys/${name}/case.json`);
    const text = entries.find(({ path }) => path === 'Dockerfile')?.content ?? '';
    const line = Number(/^Dockerfile:(\d+)/.exec(source)?.[1]);
    const excerpt = sourceExcerpt({ path: 'Dockerfile', text }, [[line, line]]);
    assert.equal(excerpt, source.slice(0, excerpt.length), name);
    assert.notEqual(excerpt, '', name);
  }
  assert.equal(names.length > 0, true);
});
