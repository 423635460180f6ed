import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { Ajv } from 'ajv';
import { varveHere } from '../rig/in-process.ts';
import { json } from '../rig/results.ts';
import { BUSYBOX, needsSteps, Rig } from '../rig/rig.ts';

const PIP = '#!/bin/sh\nbusybox cat requirements.txt > /installed\n';

const BAD = `${BUSYBOX}COPY --chmod=755 pip /bin/pip
WORKDIR /app
ARG GIT_SHA=none
COPY . .
RUN pip install --no-cache-dir -r requirements.txt
RUN busybox chown -R 1000:1000 /app
`;

const FILES = {
  Dockerfile: BAD,
  pip: PIP,
  'requirements.txt': 'flask\n',
  'src/a.py': 'print(1)\n',
  '.git/HEAD': 'ref: refs/heads/main\n',
};

/** The shape of lint --json. */
interface Report {
  readonly builds: number;
  readonly findings: readonly {
    readonly rule: string;
    readonly severity: string;
    readonly line: number;
    readonly cost?: { readonly builds: number; readonly misses: number; readonly bytes?: number };
  }[];
}

async function lint(
  rig: Rig,
  ...args: readonly string[]
): Promise<{ status: number | null; report: Report }> {
  const run = await varveHere(rig, rig.work, ['lint', '--json', ...args, 'app']);
  // Asserted by its use.
  return { status: run.status, report: json(run.stdout) as Report };
}

describe('varve lint', () => {
  test('a finding is shown with its place, its fix, and that nothing is known of its cost', async () => {
    await using rig = new Rig();
    rig.context('app', { Dockerfile: 'FROM busybox:1.36\nARG API_TOKEN\nRUN true\n' });
    const run = await varveHere(rig, rig.work, ['lint', 'app']);
    assert.deepEqual([run.status, run.stderr], [1, '']);
    assert.equal(
      run.stdout,
      `info[unpinned-base]: busybox:1.36 becomes another image when its tag is moved
 --> app/Dockerfile:1:6
  |
1 | FROM busybox:1.36
  |      ^^^^^^^^^^^^
  fix: add its digest: name:tag@sha256:…
  cost: not a matter of time

error[secret-in-variable]: API_TOKEN is named like a secret; its value stays readable in the image or its history
 --> app/Dockerfile:2:5
  |
2 | ARG API_TOKEN
  |     ^^^^^^^^^
  fix: use RUN --mount=type=secret,id=… and varve build --secret
  cost: not a matter of time

1 error, 1 info (no builds of this project are known here: nothing is measured)
`,
    );
  });

  test('--fail-on decides the exit code, and comments switch rules off', async () => {
    await using rig = new Rig();
    const text =
      'FROM busybox:1.36\n# varve:ignore=secret-in-variable\nARG API_TOKEN\nARG OTHER_TOKEN\n';
    rig.context('app', { Dockerfile: text });
    const seen = [];
    for (const severity of ['never', 'error', 'warning', 'info', 'nonsense'])
      seen.push((await varveHere(rig, rig.work, ['lint', '--fail-on', severity, 'app'])).status);
    assert.deepEqual(seen, [0, 1, 1, 1, 2]);
    const some = await lint(rig);
    assert.deepEqual(
      some.report.findings.map(({ rule, line }) => [rule, line]),
      [
        ['unpinned-base', 1],
        ['secret-in-variable', 4],
      ],
    );
    rig.write('app/Dockerfile', `# varve:ignore=all\n${text}`);
    assert.deepEqual([(await lint(rig)).report.findings, (await lint(rig)).status], [[], 0]);
  });

  test('the cost of each finding is counted in the builds that it is to blame for', {
    skip: needsSteps,
  }, async () => {
    await using rig = new Rig();
    rig.context('app', FILES);
    const build = async (...args: readonly string[]): Promise<void> => {
      const run = await varveHere(rig, rig.work, ['build', '-q', ...args, 'app']);
      assert.equal(run.status, 0, run.stderr);
    };
    await build();
    for (const text of ['print(2)\n', 'print(3)\n']) {
      rig.write('app/src/a.py', text);
      await build();
    }
    rig.write('app/requirements.txt', 'flask\ndjango\n');
    await build();
    rig.write('app/.git/HEAD', 'ref: refs/heads/other\n');
    await build();
    await build('--build-arg', 'GIT_SHA=one');
    const { status, report } = await lint(rig);
    assert.equal(status, 1);
    assert.equal(report.builds, 6);
    const costs = report.findings.map(({ rule, cost }) => [rule, cost?.builds, cost?.misses]);
    assert.deepEqual(costs, [
      ['changing-variable-above-work', 6, 2],
      ['context-before-install', 6, 3],
      ['ignore-file', 6, 1],
      ['no-cache-mount', 6, 6],
      ['recursive-rights', 6, 6],
    ]);
    const rights = report.findings.find(({ rule }) => rule === 'recursive-rights');
    assert.ok((rights?.cost?.bytes ?? 0) > 0);
  });

  test('--buildkit adds the findings of BuildKit with their lines', async () => {
    await using rig = new Rig();
    rig.context('app', { Dockerfile: 'FROM scratch\nCOPY busybox /bin/sh\nCMD /bin/sh\n' });
    const { report } = await lint(rig, '--buildkit');
    assert.deepEqual(
      report.findings.map(({ rule, severity, line }) => [rule, severity, line]),
      [['JSONArgsRecommended', 'warning', 3]],
    );
  });

  test('--sarif prints a log that the schema of SARIF 2.1.0 accepts', async () => {
    await using rig = new Rig();
    rig.context('app', FILES);
    const run = await varveHere(rig, rig.work, ['lint', '--sarif', 'app']);
    const log = json(run.stdout);
    const path = '../../node_modules/@microsoft/jest-sarif/lib/schemas/sarif-2.1.0-rtm.5.json';
    // A schema of draft 4, whose keywords but these two mean the same today.
    const {
      $schema: _draft,
      id: _id,
      ...schema
    } = json(readFileSync(join(import.meta.dirname, path), 'utf8')) as Readonly<
      Record<string, unknown>
    >;
    const ajv = new Ajv({ strict: false, validateFormats: false, unicodeRegExp: false });
    const isValid = ajv.compile(schema);
    assert.deepEqual([isValid(log), isValid.errors], [true, null]);
    assert.equal(isValid({ ...(log as object), version: 1 }), false);
    const { runs } = log as {
      readonly runs: readonly {
        readonly results: readonly { readonly ruleId: string; readonly level: string }[];
      }[];
    };
    assert.deepEqual(
      runs[0]?.results.map(({ ruleId, level }) => [ruleId, level]),
      [
        ['changing-variable-above-work', 'warning'],
        ['context-before-install', 'warning'],
        ['ignore-file', 'warning'],
        ['no-cache-mount', 'note'],
        ['recursive-rights', 'warning'],
      ],
    );
  });
});
