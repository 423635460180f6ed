import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { aptRoot, needsAptRoot } from '../rig/apt-root.ts';
import { note } from '../rig/golden.ts';
import { varveHere } from '../rig/in-process.ts';
import { optimize } from '../rig/optimize.ts';
import { needsSteps, Rig } from '../rig/rig.ts';

const tool = (name: string): { name: string; files: Record<string, string> } => ({
  name,
  files: { [`usr/share/${name}`]: `${name}\n` },
});

const FILE = `FROM scratch AS debian
COPY debian/ /

FROM debian
# What it needs.
RUN apt-get update && apt-get install -y hello \\
 && apt-get clean \\
 && rm -rf /var/lib/apt/lists/* /tmp/*
RUN cat /usr/share/hello > /out
`;

function project(rig: Rig, dockerClean: boolean): void {
  rig.write('app/Dockerfile', FILE);
  mkdirSync(join(rig.work, 'app/debian'));
  aptRoot(join(rig.work, 'app/debian'), [tool('hello'), tool('world')], { dockerClean });
}

const downloads = (log: string): string | undefined =>
  /Need to get (.*) of archives/.exec(log)?.[1];

describe('varve optimize with the apt of this machine', {
  skip: needsSteps || needsAptRoot,
}, () => {
  for (const dockerClean of [true, false])
    test(`keeps packages and lists in cache mounts, and the image ${dockerClean ? 'that has docker-clean ' : ''}stays as it is`, async () => {
      await using rig = new Rig();
      project(rig, dockerClean);
      const before = await varveHere(rig, rig.work, ['build', '--progress=plain', 'app']);
      assert.equal(before.status, 0, before.stderr);
      const report = await optimize(rig, '--no-measure', '--write', '--without', 'ignore-file');
      assert.deepEqual(
        [
          report.refused,
          report.kept.map(({ title }) => title),
          [report.proof.equal, report.proof.dropped],
          // Logs with the time of day.
          report.proof.unstable.filter((path) => !path.startsWith('/var/log/')),
        ],
        [
          [],
          ['a cache mount for the packages of apt', 'a cache mount for the package lists of apt'],
          [true, []],
          [],
        ],
      );
      assert.equal(
        report.dockerfile,
        `FROM scratch AS apt-keep
# While packages are installed this stands in for docker-clean, which would empty the cache mount.
COPY <<EOF /keep-downloads
Binary::apt::APT::Keep-Downloaded-Packages "true";
APT::Keep-Downloaded-Packages "true";
EOF

FROM scratch AS debian
COPY debian/ /

FROM debian
# What it needs.
RUN --mount=type=cache,target=/var/lib/apt/lists,sharing=locked --mount=type=cache,target=/var/cache/apt,sharing=locked --mount=type=bind,from=apt-keep,source=/keep-downloads,target=/etc/apt/apt.conf.d/docker-clean apt-get update && apt-get install -y hello \\
 && rm -rf /tmp/*
RUN cat /usr/share/hello > /out
`,
      );
      // One package more: the other one is not fetched again.
      const more = (text: string): void => {
        rig.write('app/Dockerfile', text.replace('install -y hello', 'install -y hello world'));
      };
      const logs: (string | undefined)[] = [];
      for (const text of [FILE, report.dockerfile]) {
        more(text);
        const run = await varveHere(rig, rig.work, ['build', '--progress=plain', 'app']);
        assert.equal(run.status, 0, run.stderr);
        logs.push(downloads(run.stderr)?.replaceAll(/\d[\d.]* k?B/g, 'N'));
      }
      assert.deepEqual(logs, ['N', 'N/N']);
      note(
        `one package more ${dockerClean ? 'with' : 'without'} docker-clean: the other came from the cache mount; ${report.proof.paths} paths equal`,
      );
    });
});
