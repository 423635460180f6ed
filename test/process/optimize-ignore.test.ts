import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { note } from '../rig/golden.ts';
import { optimize } from '../rig/optimize.ts';
import { BUSYBOX, needsSteps, Rig } from '../rig/rig.ts';

const KINDS = 'cache-mount,copy-link,install-first,large-first,stage-split';

/** A build stage takes everything; what it makes depends on the sources alone. */
const BUILT = `${BUSYBOX.replace('scratch', 'scratch AS build')}WORKDIR /src
COPY . .
RUN busybox cat src/a.c src/b.c > /out
FROM scratch
COPY --from=build /out /out
`;

function project(rig: Rig, dockerfile: string, files: Readonly<Record<string, string>> = {}): void {
  rig.context('app', {
    ...{ Dockerfile: dockerfile, 'README.md': '# app\n', 'src/a.c': 'a\n', 'src/b.c': 'b\n' },
    ...{ '.git/HEAD': 'ref: refs/heads/main\n', '.git/objects/pack': 'p'.repeat(5000) },
    ...files,
  });
}

describe('varve optimize writes the ignore file', { skip: needsSteps }, () => {
  test('of what no result depends on, measured in bytes and in steps that an edit of it runs', async () => {
    await using rig = new Rig();
    project(rig, BUILT);
    const report = await optimize(rig, '--without', KINDS, '--write');
    assert.deepEqual(
      { kept: report.kept, refused: report.refused, dockerfile: report.dockerfile },
      {
        kept: [
          { kind: 'ignore-file', title: '.git in .dockerignore: 2 files, 5021 bytes' },
          {
            kind: 'ignore-file',
            title: `Dockerfile* in .dockerignore: 1 file, ${BUILT.length} bytes`,
          },
          { kind: 'ignore-file', title: '*.md in .dockerignore: 1 file, 6 bytes' },
        ],
        refused: [],
        dockerfile: BUILT,
      },
    );
    assert.equal(report.ignore, '.dockerignore\n.git\nDockerfile*\n*.md\n');
    assert.equal(readFileSync(join(rig.work, 'app/.dockerignore'), 'utf8'), report.ignore);
    assert.equal(
      report.diff.replaceAll(/\t.*$/gm, ''),
      `--- a/app/.dockerignore
+++ b/app/.dockerignore
@@ -0,0 +1,4 @@
+.dockerignore
+.git
+Dockerfile*
+*.md
`,
    );
    const ignored = report.scenarios.find(({ name }) => name === 'ignored');
    assert.deepEqual(
      [ignored?.before.executed, ignored?.after.executed, ignored?.after.steps],
      [2, 0, 6],
    );
    note(
      `an edit of .git: ${ignored?.before.executed ?? ''} of ${ignored?.before.steps ?? ''} steps ran before, ${ignored?.after.executed ?? ''} after; ${report.proof.paths} paths equal`,
    );
    const again = await optimize(rig, '--no-measure', '--without', KINDS);
    assert.deepEqual([again.kept, again.refused, again.ignore], [[], [], undefined]);
  });

  test('never takes out what a copy, a bind mount or another target uses', async () => {
    await using rig = new Rig();
    const file = `${BUSYBOX.replace('scratch', 'scratch AS build')}COPY . /src
RUN --mount=type=bind,source=.git/HEAD,target=/head busybox cat /head /src/src/a.c > /out
FROM build AS docs
RUN busybox cp /src/README.md /README.html
FROM scratch
COPY --from=build /out /out
COPY debug.log /sample.log
`;
    project(rig, file, { 'debug.log': 'sample\n', 'src/x.log': 'noise\n' });
    const report = await optimize(rig, '--no-measure', '--without', KINDS);
    assert.deepEqual(
      {
        kept: report.kept.map(({ title }) => title),
        refused: report.refused,
        ignore: report.ignore,
      },
      {
        kept: [],
        refused: [
          {
            kind: 'ignore-file',
            title: `Dockerfile* in .dockerignore: 1 file, ${file.length} bytes`,
            why: 'the images of the target docs differ or cannot be built',
          },
          {
            kind: 'ignore-file',
            title: '*.md in .dockerignore: 1 file, 6 bytes',
            why: 'the images of the target docs differ or cannot be built',
          },
        ],
        ignore: undefined,
      },
    );
  });

  test('what the image holds is not taken out of it, and what is let in on purpose stays', async () => {
    await using rig = new Rig();
    project(rig, `${BUSYBOX}COPY . /app\n`, {
      '.dockerignore': '# nothing of git\n.git\n.dockerignore\n*.md\n!README.md\n',
      'debug.log': 'noise\n',
    });
    const report = await optimize(rig, '--no-measure', '--without', KINDS);
    const why = 'it takes files out of the image; --allow-removals permits that';
    assert.deepEqual(
      [report.kept, report.refused.map((each) => [each.title.replace(/:.*/, ''), each.why])],
      [
        [],
        [
          ['**/*.log in .dockerignore', why],
          ['Dockerfile* in .dockerignore', why],
        ],
      ],
    );
    const allowed = await optimize(rig, '--no-measure', '--allow-removals', '--without', KINDS);
    assert.deepEqual(
      [allowed.refused, allowed.proof.dropped, allowed.ignore],
      [
        [],
        ['/app/Dockerfile', '/app/debug.log'],
        '# nothing of git\n.git\n.dockerignore\n*.md\n!README.md\n**/*.log\nDockerfile*\n',
      ],
    );
  });
});
