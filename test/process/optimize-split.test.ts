import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { note } from '../rig/golden.ts';
import { varveHere } from '../rig/in-process.ts';
import { optimize } from '../rig/optimize.ts';
import { needsSteps, Rig } from '../rig/rig.ts';

const ONLY = ['--no-measure', '--without', 'copy-link,ignore-file,install-first,large-first'];

/** Stands in for apk: a package is a program, a library and a line in the database. */
const APK = `#!/bin/sh
for name; do
  case "$name" in add|-*) continue;; esac
  busybox mkdir -p /usr/lib/$name /usr/bin
  echo "$name" > /usr/lib/$name/lib$name.so.1
  printf '#!/bin/sh\\nbusybox cat "$@"\\n' > /usr/bin/$name
  busybox chmod 755 /usr/bin/$name
  echo "$name" >> /etc/installed
done
`;

const BASE = `FROM scratch AS base
COPY busybox /bin/sh
COPY busybox /bin/busybox
COPY --chmod=755 apk /sbin/apk
RUN busybox mkdir -p /etc /opt
`;

const APP = `${BASE}
FROM base AS app
WORKDIR /src
# Compilers.
RUN apk add --no-cache curl gcc \\
    make
ENV MODE=fast
# The work.
COPY src/ ./
RUN gcc a.c > /opt/tool && busybox chmod 755 /opt/tool \\
 && busybox mkdir -p /srv/data/x && make a.c b.c > /srv/data/x/all && busybox chown -R 5:6 /srv/data
USER 5
# How it starts.
CMD ["/opt/tool"]
`;

const SPLIT = `${BASE}
FROM base AS build-base
WORKDIR /src

FROM build-base AS build
# Compilers.
RUN apk add --no-cache curl gcc \\
    make
ENV MODE=fast
# The work.
COPY src/ ./
RUN gcc a.c > /opt/tool && busybox chmod 755 /opt/tool \\
 && busybox mkdir -p /srv/data/x && make a.c b.c > /srv/data/x/all && busybox chown -R 5:6 /srv/data
USER 5

FROM build-base AS app
# Compilers.
RUN apk add --no-cache curl
ENV MODE=fast
COPY --from=build /opt/tool /opt/
COPY --from=build /src/a.c /src/b.c /src/
COPY --from=build /srv /srv
USER 5
# How it starts.
CMD ["/opt/tool"]
`;

function project(rig: Rig, dockerfile: string): void {
  const files = { apk: APK, 'src/a.c': '#!/bin/sh\necho a\n', 'src/b.c': 'b\n' };
  rig.context('app', { Dockerfile: dockerfile, ...files });
}

describe('varve optimize: work in a stage of its own', { skip: needsSteps }, () => {
  test('the image is equal but for the build tools, which are listed, and runs', async () => {
    await using rig = new Rig();
    project(rig, APP);
    const asked = await optimize(rig, ...ONLY);
    assert.deepEqual(
      [asked.kept, asked.refused],
      [
        [],
        [
          {
            kind: 'stage-split',
            title: 'a stage of its own for the work with gcc, make',
            why: 'it takes files out of the image; --allow-removals permits that',
          },
        ],
      ],
    );
    const report = await optimize(rig, '--allow-removals', '--write', ...ONLY);
    assert.deepEqual(
      [report.refused, report.kept.map(({ kind }) => kind), report.proof.dropped],
      [
        [],
        ['stage-split'],
        [
          '/etc/installed',
          ...['/usr/bin/gcc', '/usr/bin/make', '/usr/lib/gcc', '/usr/lib/gcc/libgcc.so.1'],
          ...['/usr/lib/make', '/usr/lib/make/libmake.so.1'],
        ],
      ],
    );
    assert.equal(report.dockerfile, SPLIT);
    const again = await optimize(rig, '--allow-removals', ...ONLY);
    assert.deepEqual([again.kept, again.refused], [[], []]);
    note(
      `build tools left in the image: ${report.proof.dropped.length} paths less, ${report.proof.paths} paths equal`,
    );
  });

  test('a program that starts only with what the tools bring keeps them in the image', async () => {
    await using rig = new Rig();
    project(rig, APP.replace('gcc a.c > /opt/tool', "printf '#!/usr/bin/gcc -x\\n' > /opt/tool"));
    const report = await optimize(rig, '--allow-removals', ...ONLY);
    assert.deepEqual(
      [report.kept, report.refused.map(({ why }) => why)],
      [[], ['programs would not start: /opt/tool needs /usr/bin/gcc']],
    );
  });

  test('a step that changes what the tools wrote, or removes what was there, keeps them too', async () => {
    await using rig = new Rig();
    const whys: (readonly string[])[] = [];
    for (const more of ['busybox rm -r /opt', 'busybox rm /sbin/apk']) {
      project(rig, APP.replace('RUN gcc a.c', `RUN ${more} && busybox mkdir -p /opt && gcc a.c`));
      const report = await optimize(rig, '--allow-removals', ...ONLY);
      whys.push(report.refused.map(({ why }) => why));
    }
    assert.deepEqual(whys, [[], ['a step removes /sbin/apk, which cannot be copied']]);
  });

  test('a stage of the same name, and an install of tools alone, are no obstacle', async () => {
    await using rig = new Rig();
    project(
      rig,
      `${BASE.replaceAll('base', 'build')}
FROM build
RUN apk add gcc
COPY src/ /src/
RUN gcc /src/a.c > /opt/tool
`,
    );
    const report = await optimize(rig, '--allow-removals', ...ONLY);
    assert.deepEqual(report.refused, []);
    assert.equal(
      report.dockerfile.slice(report.dockerfile.indexOf('FROM build')),
      `FROM build AS build-2
RUN apk add gcc
COPY src/ /src/
RUN gcc /src/a.c > /opt/tool

FROM build
COPY --from=build-2 /opt/tool /opt/
COPY --from=build-2 /src /src
`,
    );
    const run = await varveHere(rig, rig.work, ['build', '-q', 'app']);
    assert.equal(run.status, 0, run.stderr);
  });
});
