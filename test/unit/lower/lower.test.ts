import assert from 'node:assert/strict';
import { test } from 'node:test';
import { renderFailure, sha256 } from '../../../src/base/index.ts';
import {
  imageQuestionKey,
  type LowerOutcome,
  lower,
  NO_ANSWERS,
} from '../../../src/lower/index.ts';
import { config, digest, host, request, settle } from '../../rig/lowering.ts';

const names = (outcome: LowerOutcome): unknown =>
  outcome.kind === 'lowered'
    ? [...outcome.definition.vertices.values()].map((v) => v.metadata.description['llb.customname'])
    : outcome;

const identifiers = (outcome: LowerOutcome): unknown =>
  outcome.kind === 'lowered'
    ? [...outcome.definition.vertices.values()].flatMap(({ op }) =>
        op.body.kind === 'source' ? [[op.body.source.identifier, op.body.source.attrs]] : [],
      )
    : outcome;

const printed = (outcome: LowerOutcome): string =>
  outcome.kind === 'failed' ? renderFailure(outcome.failure) : outcome.kind;

test('the first round asks for the images of needed stages and the ignore file, and for nothing else', () => {
  const text = 'FROM unused AS u\nFROM alpine:3 AS a\nFROM busybox\nCOPY --from=a /x /y\n';
  assert.deepEqual(lower(request(text), NO_ANSWERS), {
    kind: 'needs',
    images: ['alpine:3', 'busybox:latest'].map((name) => ({
      ref: `docker.io/library/${name}`,
      platform: host,
      store: 'registry',
      name: `[internal] load metadata for docker.io/library/${name}`,
    })),
    ignoreFiles: ['context'],
    templates: [],
    times: [],
  });
});

test('a file becomes named steps and a configuration in the order of Go', () => {
  const outcome = settle(
    request('FROM alpine\nENV A=1\nARG B=2\nRUN echo $A\nWORKDIR /w\nCMD ["x"]\n', {
      labels: { k: 'v' },
    }),
  );
  assert.deepEqual(names(outcome), [
    `[1/3] FROM docker.io/library/alpine:latest@${digest}`,
    '[2/3] RUN echo 1',
    '[3/3] WORKDIR /w',
  ]);
  assert.equal(
    outcome.kind === 'lowered' && outcome.imageText,
    `{"architecture":"amd64","os":"linux","rootfs":{"type":"layers","diff_ids":["${sha256('layer')}"]},` +
      '"history":[{"created_by":"ENV A=1","comment":"buildkit.dockerfile.v0","empty_layer":true},' +
      '{"created_by":"ARG B=2","comment":"buildkit.dockerfile.v0","empty_layer":true},' +
      '{"created_by":"RUN |1 B=2 /bin/sh -c echo $A # buildkit","comment":"buildkit.dockerfile.v0"},' +
      '{"created_by":"WORKDIR /w","comment":"buildkit.dockerfile.v0"},' +
      '{"created_by":"CMD [\\"x\\"]","comment":"buildkit.dockerfile.v0","empty_layer":true}],' +
      '"config":{"Env":["PATH=/bin","LANG=C","A=1"],"Cmd":["x"],"WorkingDir":"/w","Labels":{"k":"v"},"ArgsEscaped":true}}',
  );
});

test('the same request and answers give the same outcome', () => {
  const asked = request('FROM alpine\nCOPY --link a b\nRUN x\n');
  assert.deepEqual(settle(asked), settle(asked));
});

test('triggers of a base run in front of the instructions and are not passed on', () => {
  const base = { ...config, config: { ...config.config, OnBuild: ['RUN trigger', 'ENV T=1'] } };
  const outcome = settle(request('FROM base\nRUN own $T\n'), base);
  assert.deepEqual(names(outcome), [
    `[1/2] FROM docker.io/library/base:latest@${digest}`,
    '[2/4] ONBUILD RUN trigger',
    '[3/4] RUN own 1',
  ]);
  assert.deepEqual(outcome.kind === 'lowered' && outcome.image.config.OnBuild, []);
});

test('named contexts stand in for images, stages and --from', () => {
  const text =
    'FROM base AS b\nRUN x\nFROM tools AS t\nFROM b\nCOPY --from=t / /t\nCOPY --from=src / /s\n';
  const contexts = {
    base: 'docker-image://debian:12',
    t: 'template:os.yml',
    src: 'local:src',
  };
  assert.deepEqual(identifiers(settle(request(text, { contexts }))), [
    [`docker-image://docker.io/library/debian:12@${digest}`, {}],
    ['varve-template://os.yml', { 'template.lock': 'x' }],
    ['local://src', { 'local.sharedkeyhint': 'src' }],
  ]);
});

test('only the paths that instructions name are asked of the context', () => {
  const paths = (text: string): unknown => identifiers(settle(request(text)));
  assert.deepEqual(paths('FROM scratch\nCOPY b/c a /x/\nADD *.txt /y/\n'), [
    [
      'local://context',
      { 'local.sharedkeyhint': 'context', 'local.followpaths': '["*.txt","a","b/c"]' },
    ],
  ]);
  assert.deepEqual(paths('FROM scratch\nCOPY a /\nCOPY . /\n'), [
    ['local://context', { 'local.sharedkeyhint': 'context' }],
  ]);
});

test('a failure points at the instruction in the file', () => {
  assert.equal(
    printed(settle(request('FROM alpine\nRUN x\nCOPY --chmod=999 a /b\n'))),
    [
      "error[DF024]: invalid chmod parameter: '999'. it should be octal string and between 0 and 07777",
      ' --> Dockerfile:3:1',
      '  |',
      '3 | COPY --chmod=999 a /b',
      '  | ^^^^^^^^^^^^^^^^^^^^^',
    ].join('\n'),
  );
  assert.equal(
    printed(settle(request('FROM alpine AS x\nCOPY --from=x a b\n'))).split('\n')[0],
    'error[DF022]: circular dependency detected on stage: x',
  );
});

test('an image that cannot be resolved fails at its FROM with the reason of the registry', () => {
  const asked = request('FROM alpine\n');
  const needs = lower(asked, NO_ANSWERS);
  const [question] = needs.kind === 'needs' ? needs.images : [];
  if (question === undefined) throw new Error('no image was asked for');
  const failure = { code: 'RG004', exit: 3, message: 'alpine: not found' } as const;
  const images = new Map([[imageQuestionKey(question), { ok: false, failure } as const]]);
  const outcome = lower(asked, { images, ignoreFiles: new Map([['context', undefined]]) });
  assert.equal(printed(outcome).split('\n')[0], 'error[RG004]: alpine: not found');
  assert.match(printed(outcome), /Dockerfile:1:1/);
});

test('an ignored source of COPY is reported', () => {
  const ignoreFiles = new Map([['context', 'secret\n']]);
  const outcome = lower(request('FROM scratch\nCOPY secret/key /k\n'), {
    images: new Map(),
    ignoreFiles,
  });
  assert.deepEqual(outcome.kind === 'lowered' && outcome.warnings.map((w) => [w.rule, w.message]), [
    ['CopyIgnoredFile', 'Attempting to Copy file "secret/key" that is excluded by .dockerignore'],
  ]);
});

test('a file of three thousand steps is lowered', () => {
  const text = `FROM scratch\n${'RUN x\nENV A=1\n'.repeat(1500)}RUN y\n`;
  const outcome = settle(request(text));
  assert.equal(outcome.kind === 'lowered' && outcome.definition.vertices.size, 1501);
});

test('SOURCE_DATE_EPOCH is the time of new history, unset for a local context, and must be a number', () => {
  const created = (buildArgs: Record<string, string>): unknown => {
    const outcome = settle(request('FROM alpine\nENV A=1\n', { buildArgs }));
    return outcome.kind === 'lowered' ? outcome.image.history.at(-1)?.created : printed(outcome);
  };
  assert.deepEqual(
    ['1700000000', 'context', '', 'soon'].map((value) => created({ SOURCE_DATE_EPOCH: value })),
    ['2023-11-14T22:13:20Z', undefined, undefined, 'error[DF029]: invalid SOURCE_DATE_EPOCH: soon'],
  );
});

test('a context may have a name that is no image reference', () => {
  const contexts = { SRC: 'local:SRC' };
  const text = 'FROM scratch\nCOPY --from=SRC a /\n';
  assert.deepEqual(identifiers(settle(request(text, { contexts }))), [
    ['local://SRC', { 'local.followpaths': '["a"]', 'local.sharedkeyhint': 'SRC' }],
  ]);
  assert.equal(
    printed(settle(request(text))).split('\n')[0],
    'error[DF032]: failed to parse stage name "SRC": invalid reference format: repository name (library/SRC) must be lowercase',
  );
});

test('of a named directory only what instructions read is wanted, and all of it below a step or as result', () => {
  const contexts = { src: 'local:src' };
  const wanted = (text: string): unknown => {
    const outcome = settle(request(text, { contexts }));
    if (outcome.kind !== 'lowered') return printed(outcome);
    return [...outcome.definition.vertices.values()].flatMap(({ op: { body } }) =>
      body.kind === 'source' && body.source.identifier === 'local://src'
        ? [body.source.attrs['local.followpaths']]
        : [],
    );
  };
  assert.deepEqual(
    [
      wanted('FROM scratch\nCOPY --from=src b/c a* /\nRUN --mount=from=src,source=d,target=/d x\n'),
      wanted('FROM scratch\nCOPY --from=src . /\n'),
      wanted('FROM src AS one\nCOPY e /\nFROM scratch\nCOPY --from=one b /\n'),
      wanted('FROM src AS one\nRUN x\nFROM scratch\nCOPY --from=one b /\n'),
      wanted('FROM src\nCOPY --from=src b /c\n'),
    ],
    [['["a*","b/c"]', '["d"]'], [undefined], ['["b"]'], [undefined], [undefined, '["b"]']],
  );
});

test('what the address of a repository asks for must be known, given once and agree', () => {
  const url = 'https://example.invalid/r.git';
  const error = (line: string): string =>
    printed(settle(request(`FROM scratch\nADD ${line} /\n`))).split('\n', 1)[0] ?? '';
  const said = [
    `${url}?foo=1`,
    `${url}?ref=a&ref=b`,
    `${url}?ref=`,
    `${url}?keep-git-dir=maybe`,
    `${url}?submodules=maybe`,
    `${url}?mtime=x`,
    `${url}?branch=a&tag=b`,
    `${url}?ref=a#b`,
    `${url}?subdir=a#b:c`,
    `${url}?tag=a#b`,
    `--keep-git-dir=true ${url}?keep-git-dir=false`,
    `--checksum=${'1'.repeat(40)} ${url}?checksum=${'2'.repeat(40)}`,
  ].map(error);
  assert.deepEqual(said, [
    'error[DF025]: unexpected query "foo"',
    'error[DF025]: query "ref" has multiple values',
    'error[DF025]: query "ref" has no value',
    'error[DF025]: invalid keep-git-dir value: "maybe"',
    'error[DF025]: invalid submodules value: "maybe"',
    'error[DF025]: invalid mtime value: "x" (must be "checkout" or "commit")',
    'error[DF025]: branch conflicts with tag',
    'error[DF025]: ref conflicts: "b" vs "a"',
    'error[DF025]: subdir conflicts: "c" vs "a"',
    'error[DF025]: ref conflicts: "b" vs "refs/tags/a"',
    'error[DF025]: inconsistent keep-git-dir configuration',
    `error[DF023]: checksum mismatch "${'1'.repeat(40)}" != "${'2'.repeat(40)}"`,
  ]);
});

test('values that double with each ENV end with a message, not with the memory of the machine', () => {
  const doubling = Array.from({ length: 40 }, (_, i) => `ENV A${i + 1}=$A${i}$A${i}\n`).join('');
  const outcome = settle(request(`FROM scratch\nENV A0=0123456789\n${doubling}`));
  assert.equal(
    printed(outcome).split('\n', 1)[0],
    'error[DF021]: failed to process "$A18$A18": variables stand for more than 4194304 characters',
  );
});

test('ten thousand stages that copy from one another are lowered, and so are as many based on one another', () => {
  const copies = Array.from(
    { length: 9999 },
    (_, i) => `FROM scratch AS s${i + 1}\nCOPY --from=s${i} a /\n`,
  );
  const bases = Array.from({ length: 9999 }, (_, i) => `FROM s${i} AS s${i + 1}\n`);
  const sizes = [copies, bases].map((lines) => {
    const outcome = settle(request(`FROM scratch AS s0\nCOPY a /\n${lines.join('')}`));
    return outcome.kind === 'lowered' ? outcome.definition.vertices.size : printed(outcome);
  });
  assert.deepEqual(sizes, [10_001, 2]);
});

test('a name that only says where a secret is, or which version it has, is not warned of', () => {
  const text = 'FROM alpine\nARG DB_PASSWORD_FILE\nENV KEY_VERSION=1 PUBLIC_KEY=x\nARG API_KEY\n';
  const outcome = settle(request(text));
  assert.deepEqual(
    outcome.kind === 'lowered' && outcome.warnings.map(({ rule, message }) => [rule, message]),
    [
      [
        'SecretsUsedInArgOrEnv',
        'Do not use ARG or ENV instructions for sensitive data (ARG "API_KEY")',
      ],
    ],
  );
});
