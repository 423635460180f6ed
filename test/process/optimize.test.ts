import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { note } from '../rig/golden.ts';
import { varveHere } from '../rig/in-process.ts';
import { optimize } from '../rig/optimize.ts';
import { executed } from '../rig/results.ts';
import { needsSteps, Rig } from '../rig/rig.ts';

/** Stands in for pip: half a megabyte for each package of the requirements. */
const PIP = `#!/bin/sh
busybox mkdir -p /usr/lib/packages
busybox grep -E '^[a-z]' requirements.txt | while read -r name; do
  busybox dd if=/dev/zero of="/usr/lib/packages/$name" bs=1024 count=512 2>/dev/null
done
`;

const BASE = `FROM scratch AS base
COPY busybox /bin/sh
COPY busybox /bin/busybox
COPY --chmod=755 pip3 /bin/pip3
RUN busybox mkdir -p /etc && echo 'f5tts:x:1000:1000::/app:/bin/sh' > /etc/passwd
WORKDIR /app
`;

/** A speech service as it was before somebody looked at its order: models below code, and an owner set at the end. */
const SERVICE = `${BASE}
FROM base
# The packages.
COPY requirements.txt ./
RUN pip3 install --no-cache-dir -r requirements.txt
# The code.
COPY src/ ./src/
COPY models/ ./models/
COPY docker-entrypoint.sh ./
RUN busybox chown -R f5tts /app
USER f5tts
ENTRYPOINT ["/app/docker-entrypoint.sh"]
`;

/** Bytes that do not compress, the same in every run. */
function noise(seed: string, bytes: number): string {
  const parts: string[] = [];
  for (let n = 0; parts.length * 64 < bytes; n++)
    parts.push(createHash('sha256').update(`${seed} ${n}`).digest('hex'));
  return parts.join('');
}

function service(rig: Rig, dockerfile = SERVICE): void {
  rig.context('app', {
    Dockerfile: dockerfile,
    pip3: PIP,
    'requirements.txt': 'torch\nfastapi\n',
    'docker-entrypoint.sh': '#!/bin/sh\nexec true\n',
    'models/vocos.bin': noise('vocos', 2 << 20),
    'models/whisper.bin': noise('whisper', 3 << 20),
  });
  for (let i = 0; i < 200; i++) rig.write(`app/src/m${i}.py`, `print(${i})\n`);
}

/** Steps of the last stage: the layers that the service itself adds. */
const own = (names: readonly string[]): number =>
  names.filter((name) => name.startsWith('[stage-1 ')).length;

describe('varve optimize', { skip: needsSteps }, () => {
  test('a changed source file makes one layer of the service again instead of four, and the image is the same', async () => {
    await using rig = new Rig();
    service(rig);
    const report = await optimize(rig);
    assert.deepEqual(report.refused, []);
    assert.equal(report.proof.equal, true);
    assert.deepEqual(report.kept.map(({ kind }) => kind).sort(), [
      'cache-mount',
      'copy-chown',
      'copy-link',
      'large-first',
      'large-first',
    ]);
    assert.equal(
      report.dockerfile.slice(report.dockerfile.indexOf('FROM base')),
      `FROM base
# The packages.
COPY requirements.txt ./
RUN --mount=type=cache,target=/root/.cache/pip pip3 install -r requirements.txt
RUN busybox chown -R f5tts /app
COPY --chown=f5tts:0 models/ ./models/
COPY --chown=f5tts:0 docker-entrypoint.sh ./
# The code.
COPY --chown=f5tts:0 src/ ./src/
USER f5tts
ENTRYPOINT ["/app/docker-entrypoint.sh"]
`,
    );
    const counts = Object.fromEntries(
      report.scenarios.map(({ name, before, after }) => [
        name,
        [own(before.names), own(after.names)],
      ]),
    );
    assert.deepEqual(counts, {
      'no change': [0, 0],
      code: [4, 1],
      dependency: [6, 6],
      model: [3, 3],
      base: [6, 6],
    });
    const code = report.scenarios.find(({ name }) => name === 'code');
    assert.ok(code !== undefined && code.after.bytes * 4 < code.before.bytes);
    note(
      `one source file changed: 4 of 6 layers before, 1 of 6 after; ${code.before.bytes} bytes written before, ${code.after.bytes} after; ${report.proof.paths} paths equal`,
    );
  });

  test('a rewrite that changes the image is refused, with what would differ, and the others are kept', async () => {
    await using rig = new Rig();
    // The install notes whether the sources are there: it cannot move above them.
    service(
      rig,
      `${BASE}
FROM base
COPY src/ ./src/
RUN pip3 install --no-cache-dir tool && busybox ls src | busybox wc -l > /count || true
COPY docker-entrypoint.sh ./
RUN busybox chmod +x docker-entrypoint.sh
`,
    );
    const report = await optimize(rig, '--no-measure', '--without', 'cache-mount,copy-link');
    assert.deepEqual(
      report.kept.map(({ kind }) => kind),
      ['copy-chmod'],
    );
    assert.deepEqual(
      report.refused.map(({ kind, why }) => [kind, why.replace(/\(.*\)/, '(…)')]),
      [['install-first', 'the images differ: /count (…)']],
    );
    assert.match(report.dockerfile, /COPY --chmod=0755 docker-entrypoint\.sh \.\/\n$/);
  });

  test('a variable and an install that stand in the way are moved, proven also with another value of the variable', async () => {
    await using rig = new Rig();
    service(
      rig,
      `${BASE}
FROM base
ARG GIT_SHA=none
COPY . .
RUN pip3 install --no-cache-dir -r requirements.txt
RUN echo $GIT_SHA > /version
`,
    );
    const report = await optimize(rig, '--without', 'cache-mount,copy-link,ignore-file');
    assert.deepEqual(report.refused, []);
    assert.equal(
      report.dockerfile.slice(report.dockerfile.indexOf('FROM base')),
      `FROM base
COPY requirements.txt ./
RUN pip3 install --no-cache-dir -r requirements.txt
COPY . .
ARG GIT_SHA=none
RUN echo $GIT_SHA > /version
`,
    );
    const code = report.scenarios.find(({ name }) => name === 'code');
    assert.deepEqual([own(code?.before.names ?? []), own(code?.after.names ?? [])], [3, 2]);
  });

  test('--write changes the Dockerfile, and nothing is left to change after it', async () => {
    await using rig = new Rig();
    service(rig);
    const { dockerfile } = await optimize(rig, '--no-measure', '--write');
    assert.equal(readFileSync(join(rig.work, 'app/Dockerfile'), 'utf8'), dockerfile);
    const again = await optimize(rig, '--no-measure');
    assert.deepEqual([again.kept, again.refused], [[], []]);
  });

  test('what commits are predicted to execute is what building them executes', async () => {
    await using rig = new Rig();
    service(rig);
    const app = join(rig.work, 'app');
    const git = (...args: readonly string[]): string =>
      execFileSync('git', ['-c', 'user.name=t', '-c', 'user.email=t@example.org', ...args], {
        cwd: app,
        encoding: 'utf8',
        env: { PATH: process.env['PATH'], HOME: rig.root, GIT_CONFIG_NOSYSTEM: '1' },
      });
    const edits: readonly (readonly [path: string, text: string])[] = [
      ['src/m1.py', 'print("one")\n'],
      ['README.md', 'nothing that is copied\n'],
      ['requirements.txt', 'torch\nfastapi\nnumpy\n'],
      ['src/m2.py', 'print("two")\n'],
      ['docker-entrypoint.sh', '#!/bin/sh\nexec false\n'],
      ['requirements.txt', 'torch\nfastapi\n'],
      ['models/vocos.bin', noise('other', 1 << 20)],
      ['src/m1.py', 'print(1)\n'],
    ];
    git('init', '-q', '-b', 'main');
    git('add', '.');
    git('commit', '-qm', 'first');
    for (const [path, text] of edits) {
      rig.write(join('app', path), text);
      git('add', '.');
      git('commit', '-qm', path);
    }
    const commits = git('log', '--reverse', '--format=%H').trim().split('\n');
    const report = await optimize(
      rig,
      ...['--no-measure', '--what-if', String(commits.length)],
      ...['--price-per-hour', '36', '--price-per-gb', '0.1'],
    );
    const actual: Record<string, number> = { before: 0, after: 0 };
    for (const [variant, text] of [
      ['before', SERVICE],
      ['after', report.dockerfile],
    ] as const) {
      // A store of its own: nothing that the other builds made is found.
      rmSync(rig.store, { recursive: true, force: true });
      for (const [i, commit] of commits.entries()) {
        git('checkout', '-q', '-f', commit);
        rig.write('Other', text);
        const run = await varveHere(rig, rig.work, [
          ...['build', '--progress=rawjson', '-f', 'Other', 'app'],
        ]);
        assert.equal(run.status, 0, run.stderr);
        const steps = executed(run.stderr).filter((name) => !name.includes('] LINK '));
        if (i > 0) actual[variant] = (actual[variant] ?? 0) + steps.length;
      }
    }
    const predicted = {
      before: report.whatIf?.before.executed,
      after: report.whatIf?.after.executed,
    };
    note(
      `${commits.length - 1} commits: predicted ${predicted.before} and ${predicted.after} executions, replayed ${actual['before']} and ${actual['after']}`,
    );
    assert.deepEqual(predicted, actual);
    const [before, after] = [report.whatIf?.before, report.whatIf?.after];
    assert.ok(before !== undefined && after !== undefined);
    assert.ok(after.moneyPerWeek < before.moneyPerWeek);
  });
});
