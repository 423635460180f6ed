import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { varveHere } from '../rig/in-process.ts';
import { json } from '../rig/results.ts';
import { Rig, type Run } from '../rig/rig.ts';

const PARAMETERS = `# BASE says what to build on
ARG BASE=scratch
ARG UNUSED=1
# VERSION is compared
ARG VERSION=$BASE-1
# tools has the tools
FROM $BASE AS tools
# LOCAL is of this stage
ARG LOCAL=x VERSION
RUN --mount=type=secret,id=tok,required --mount=type=ssh echo
FROM scratch AS other
ARG HIDDEN
RUN --mount=type=secret,id=never --security=insecure x
# app is what runs
FROM scratch AS app
COPY --from=tools /a /a
RUN --mount=type=ssh,id=git,required --mount=type=secret,target=/etc/pw y
`;

async function ask(
  dockerfile: string,
  ...args: readonly string[]
): Promise<Pick<Run, 'status' | 'stdout'> & { readonly error: string }> {
  await using rig = new Rig();
  rig.write('app/Dockerfile', dockerfile);
  const run = await varveHere(rig, join(rig.work, 'app'), ['build', '-q', ...args, '.']);
  const { status, stdout } = run;
  return { status, stdout, error: run.stderr.split('\n', 1)[0] ?? '' };
}

test('an outline lists what the target and the stages below it take, and nothing else', async () => {
  assert.deepEqual(await ask(PARAMETERS, '--call=outline'), {
    status: 0,
    stdout: `BUILD ARG   VALUE       DESCRIPTION
BASE        scratch     says what to build on
VERSION     scratch-1   is compared
LOCAL       x           is of this stage

SECRET   REQUIRED
tok      true
pw       

SSH       REQUIRED
default   
git       true

`,
    error: '',
  });
});

test('an outline takes the values of build arguments, and is of the stage that is asked for', async () => {
  const flags = ['--build-arg=LOCAL=y', '--build-arg=HIDDEN=h', '--target=other'];
  assert.deepEqual(await ask(PARAMETERS, '--call=outline', ...flags), {
    status: 0,
    stdout:
      'BUILD ARG   VALUE   DESCRIPTION\nHIDDEN      h       \n\nSECRET   REQUIRED\nnever    \n\n',
    error: '',
  });
});

test('answers come as JSON, places as lines', async () => {
  const at = (line: number): unknown => ({
    ranges: [{ start: { line }, end: { line } }],
  });
  const text = '# A is\nARG A=1\nFROM scratch AS one\nARG A\nFROM scratch\n';
  const sources = [Buffer.from(text).toString('base64')];
  const answers: unknown[] = [];
  for (const flags of [
    ['--call=outline,format=json', '--target=one'],
    ['--call=targets', '--json'],
    ['--call=targets,format=json'],
  ])
    answers.push(json((await ask(text, ...flags)).stdout));
  const targets = {
    targets: [
      { name: 'one', base: 'scratch', location: at(3) },
      { default: true, base: 'scratch', location: at(5) },
    ],
    sources,
  };
  assert.deepEqual(answers, [
    { args: [{ name: 'A', description: 'is', value: '1', location: at(2) }], sources },
    targets,
    targets,
  ]);
});

test('targets are listed with their descriptions', async () => {
  assert.deepEqual(await ask(PARAMETERS, '--call=targets'), {
    status: 0,
    stdout:
      'TARGET        DESCRIPTION\ntools         has the tools\nother         \napp (default) is what runs\n',
    error: '',
  });
});

test('a check exits with 1 when it found something, unless the status is to be ignored', async () => {
  const text = 'FROM scratch\nMAINTAINER x\n';
  const found = `Check complete, 1 warning has been found!

WARNING: MaintainerDeprecated - https://docs.docker.com/go/dockerfile/rule/maintainer-deprecated/
Maintainer instruction is deprecated in favor of using label
Dockerfile:2
--------------------
   1 |     FROM scratch
   2 | >>> MAINTAINER x
   3 |     
--------------------
`;
  const nothing = 'Check complete, no warnings found.\n';
  assert.deepEqual(
    [
      await ask(text, '--check'),
      await ask(text, '--call=check,ignorestatus=true'),
      await ask(text, '--call=lint', '--build-arg=BUILDKIT_DOCKERFILE_CHECK=skip=all'),
      await ask(`# check=skip=MaintainerDeprecated\n${text}`, '--check'),
    ],
    [
      { status: 1, stdout: found, error: '' },
      { status: 0, stdout: found, error: '' },
      { status: 0, stdout: nothing, error: '' },
      { status: 0, stdout: nothing, error: '' },
    ],
  );
});

test('a check looks at every stage, but only at the target where one is named', async () => {
  const text = 'FROM scratch AS one\nCOPY --from=nowhere$X / /\nFROM scratch AS two\n';
  const whole = await ask(text.replace('nowhere$X', 'one$X'), '--check');
  assert.deepEqual([whole.status, whole.stdout], [1, '']);
  const unset = 'FROM scratch AS one\nENV A=$B\nFROM scratch AS two\n';
  assert.deepEqual(
    [(await ask(unset, '--check')).status, (await ask(unset, '--check', '--target=two')).status],
    [1, 0],
  );
});

test('a file that does not convert fails the check with the reason, and in JSON as its buildError', async () => {
  const text = 'FROM scratch\nRUN --foo x\n';
  const failed = await ask(text, '--check');
  assert.deepEqual(failed, {
    status: 1,
    stdout: '',
    error: 'error[DF012]: dockerfile parse error on line 2: unknown flag: --foo',
  });
  const run = await ask(text, '--call=check,format=json');
  assert.deepEqual(
    [run.status, json(run.stdout)],
    [
      1,
      {
        warnings: null,
        sources: [
          {
            filename: 'Dockerfile',
            data: Buffer.from(text).toString('base64'),
            language: 'Dockerfile',
          },
        ],
        buildError: {
          message: 'dockerfile parse error on line 2: unknown flag: --foo',
          location: { ranges: [{ start: { line: 2 }, end: { line: 2 } }] },
        },
      },
    ],
  );
});

test('warnings are errors where the file says so: the build stops, the check says why', async () => {
  const text = '# check=error=true\nFROM scratch\nMAINTAINER x\n';
  const message = 'error[DF030]: lint violation found for rules: MaintainerDeprecated';
  const built = await ask(text);
  const skipped = await ask(text.replace('error=true', 'skip=MaintainerDeprecated;error=true'));
  assert.deepEqual([built.status, built.error, skipped.status], [2, message, 0]);
});

test('methods, formats and fields that do not exist are refused', async () => {
  const text = 'FROM scratch\n';
  const errors: string[] = [];
  for (const value of [
    'foo',
    'check,format=xml',
    'check,foo=1',
    'check,outline',
    'check,ignorestatus=x',
  ])
    errors.push((await ask(text, `--call=${value}`)).error);
  assert.deepEqual(errors, [
    'error[CL002]: --call "foo": unknown method "foo"',
    'error[CL002]: --call "check,format=xml": unknown format "xml"',
    'error[CL002]: --call "check,foo=1": unknown field "foo"',
    'error[CL002]: --call "check,outline": more than one method',
    'error[CL002]: --call "check,ignorestatus=x": "x" is neither true nor false',
  ]);
});
