import assert from 'node:assert/strict';
import { test } from 'node:test';
import { renderFailure } from '../../../src/base/index.ts';
import type { LowerOutcome } from '../../../src/lower/index.ts';
import { request, settle } from '../../rig/lowering.ts';

const lines = (count: number, line: (i: number) => string): string =>
  Array.from({ length: count }, (_, i) => `${line(i)}\n`).join('');

const lowered = (text: string): Extract<LowerOutcome, { kind: 'lowered' }> => {
  const outcome = settle(request(text));
  assert.ok(outcome.kind === 'lowered', JSON.stringify(outcome).slice(0, 300));
  return outcome;
};

const refused = (text: string): string => {
  const outcome = settle(request(text));
  return outcome.kind === 'failed' ? renderFailure(outcome.failure) : outcome.kind;
};

test('a thousand steps below a thousand arguments have one environment between them, and each the whole history text', () => {
  const text = `FROM scratch\n${lines(1000, (i) => `ARG A${i}=v`)}${lines(1000, (i) => `RUN ${i}`)}`;
  const outcome = lowered(text);
  const environments = [...outcome.definition.vertices.values()].flatMap(({ op }) =>
    op.body.kind === 'exec' ? [op.body.exec.meta.env] : [],
  );
  const prefix = `RUN |1000 ${Array.from({ length: 1000 }, (_, i) => `A${i}=v`).join(' ')}`;
  const { history } = outcome.image;
  assert.deepEqual(
    {
      steps: environments.length,
      environments: new Set(environments).size,
      variables: environments[0]?.length,
      last: history.at(-1)?.created_by === `${prefix} /bin/sh -c 999 # buildkit`,
      entries: history.length,
    },
    { steps: 1000, environments: 1, variables: 1001, last: true, entries: 2000 },
  );
});

test('a hundred thousand instructions that add to settings of the image are lowered', () => {
  const kinds = [
    (i: number) => `ENV E${i}=1`,
    (i: number) => `ARG A${i}=1`,
    (i: number) => `LABEL l${i}=1`,
    (i: number) => `EXPOSE ${i + 1}`,
    (i: number) => `VOLUME /v${i}`,
    (i: number) => `ONBUILD RUN ${i}`,
    (i: number) => `CMD ["${i}"]`,
    (i: number) => `USER u${i}`,
    (i: number) => `WORKDIR /w${i}`,
    (i: number) => `COPY f${i} /`,
  ];
  const count = 10_000;
  const { image, definition } = lowered(
    `FROM scratch\n${kinds.map((kind) => lines(count, kind)).join('')}`,
  );
  const { config, history } = image;
  assert.deepEqual(
    {
      env: config.Env.lines.length,
      labels: config.Labels.size,
      ports: config.ExposedPorts.size,
      volumes: config.Volumes.size,
      triggers: config.OnBuild.length,
      history: history.length,
      vertices: definition.vertices.size,
      last: [config.Cmd, config.User, config.WorkingDir],
    },
    {
      env: count + 1,
      labels: count,
      ports: count,
      volumes: count,
      triggers: count,
      // A trigger leaves no entry; the context is a vertex of its own.
      history: 9 * count,
      vertices: 2 * count + 1,
      last: [['9999'], 'u9999', '/w9999'],
    },
  );
});

test('arguments and steps that multiply to more than memory should hold end with a message at the step', () => {
  const value = 'x'.repeat(1000);
  const text = `FROM scratch\n${lines(200, (i) => `ARG A${i}=${value}`)}${lines(1000, (i) => `RUN ${i}`)}`;
  assert.equal(
    refused(text),
    [
      'error[DF037]: environments, history and inherited settings of all instructions have more than 134217728 characters',
      '   --> Dockerfile:535:1',
      '    |',
      '535 | RUN 333',
      '    | ^^^^^^^',
    ].join('\n'),
  );
});

test('so do stages that inherit what all stages below them set, and ranges of ports said again and again', () => {
  const stages = lines(
    10_000,
    (i) => `FROM ${i === 0 ? 'scratch' : `s${i - 1}`} AS s${i}\nENV A${i}=1`,
  );
  const ranges = `FROM scratch\n${lines(1000, () => 'EXPOSE 1-65535')}`;
  assert.deepEqual(
    [stages, ranges].map((text) => refused(text).split('\n', 1)[0]),
    [1, 2].map(
      () =>
        'error[DF037]: environments, history and inherited settings of all instructions have more than 134217728 characters',
    ),
  );
});

test('names that unknown variables are compared with for suggestions are counted, and after ten million none is suggested', () => {
  const text = `FROM scratch\n${lines(4000, (i) => `ENV NAME${i}X=1`)}${lines(3000, (i) => `USER $NAME${i}Y`)}`;
  const messages = lowered(text).warnings.map(({ message }) => message);
  const suggested = messages.filter((message) => message.includes('did you mean'));
  assert.deepEqual([messages.length, suggested.length], [3000, 2499]);
});
