import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { note } from '../rig/golden.ts';
import { varveHere } from '../rig/in-process.ts';
import { optimize } from '../rig/optimize.ts';
import { needsSteps, Rig } from '../rig/rig.ts';

/** Links and ignore files are other tests' subject. */
const ONLY = ['--without', 'copy-link,ignore-file'];

/** A package manager with its own cache, as far as a build can tell: what is not in the cache is fetched. */
interface Manager {
  readonly program: string;
  readonly manifest: string;
  readonly cache: string;
  /** The RUN as people write it, and as it becomes. */
  readonly run: string;
  readonly better: string;
}

const MANAGERS: readonly Manager[] = [
  {
    program: 'pip3',
    manifest: 'requirements.txt',
    cache: '/root/.cache/pip',
    run: 'RUN pip3 install --no-cache-dir -r requirements.txt',
    better: 'RUN --mount=type=cache,target=/root/.cache/pip pip3 install -r requirements.txt',
  },
  {
    program: 'npm',
    manifest: 'package.json',
    cache: '/root/.npm',
    run: 'RUN npm install \\\n && npm cache clean --force',
    better: 'RUN --mount=type=cache,target=/root/.npm npm install',
  },
  {
    program: 'go',
    manifest: 'go.mod',
    cache: '/go/pkg/mod',
    run: 'RUN go mod download',
    better:
      'RUN --mount=type=cache,target=/go/pkg/mod --mount=type=cache,target=/root/.cache/go-build go mod download',
  },
  {
    program: 'cargo',
    manifest: 'Cargo.toml',
    cache: '/usr/local/cargo/registry',
    run: 'RUN cargo fetch; rm -rf /usr/local/cargo/registry/* /tmp/x',
    better: 'RUN --mount=type=cache,target=/usr/local/cargo/registry cargo fetch; rm -rf /tmp/x',
  },
];

/** Installs each line of the manifest; fetches what is not in its cache, and says so. */
const fake = ({ manifest, cache }: Manager): string => `#!/bin/sh
case "$*" in *"cache clean"*) busybox rm -rf ${cache}; exit;; esac
case "$*" in *--no-cache-dir*) cache=/usr/lib/none;; *) cache=${cache};; esac
busybox mkdir -p $cache /usr/lib/packages
while read -r name; do
  if ! [ -e $cache/$name ]; then echo "fetched $name"; echo $name > $cache/$name; fi
  busybox cp $cache/$name /usr/lib/packages/$name
done < ${manifest}
busybox rm -rf /usr/lib/none
`;

const fileOf = ({ program, manifest }: Manager, run: string): string => `FROM scratch AS base
COPY busybox /bin/sh
COPY busybox /bin/busybox
COPY busybox /bin/rm
COPY --chmod=755 program /bin/${program}
WORKDIR /app

FROM base
COPY ${manifest} ./
# Packages.
${run}
`;

describe('varve optimize: cache mounts of language package managers', { skip: needsSteps }, () => {
  for (const manager of MANAGERS)
    test(`${manager.program} fetches each package once, and the image stays as it is but for what was cached in it`, async () => {
      await using rig = new Rig();
      const { manifest, cache } = manager;
      const files = { [manifest]: 'one\ntwo\n', program: fake(manager) };
      rig.context('app', { Dockerfile: fileOf(manager, manager.run), ...files });
      const report = await optimize(rig, '--no-measure', '--write', ...ONLY);
      assert.deepEqual(
        [
          report.refused,
          report.proof.equal,
          report.proof.dropped.filter((path) => !cache.startsWith(path) && !path.startsWith(cache)),
        ],
        [[], true, []],
      );
      assert.equal(report.dockerfile, fileOf(manager, manager.better));
      const fetched: (readonly string[])[] = [];
      for (const text of [fileOf(manager, manager.run), report.dockerfile]) {
        rig.write('app/Dockerfile', text);
        rig.write(`app/${manifest}`, 'one\ntwo\n');
        await varveHere(rig, rig.work, ['build', '-q', 'app']);
        rig.write(`app/${manifest}`, 'one\ntwo\nthree\n');
        const run = await varveHere(rig, rig.work, ['build', '--progress=plain', 'app']);
        assert.equal(run.status, 0, run.stderr);
        fetched.push([...run.stderr.matchAll(/fetched (\w+)/g)].map(([, name = '']) => name));
      }
      assert.deepEqual(fetched, [['one', 'two', 'three'], ['three']]);
      note(
        `${manager.program}: one package more fetches 3 before and 1 after; ${report.proof.paths} paths equal`,
      );
    });

  test('no mount where the manager would not use it: another user, or a variable that turns the cache off', async () => {
    await using rig = new Rig();
    const [pip] = MANAGERS;
    assert.ok(pip !== undefined);
    const files = { 'requirements.txt': 'one\n', program: fake(pip) };
    for (const line of [
      'ENV PIP_NO_CACHE_DIR=1\n',
      'USER 0:0\nENV PIP_CACHE_DIR=/x\n',
      'RUN busybox mkdir -p /usr/lib && busybox chmod 777 /app /usr/lib\nUSER 5\n',
    ]) {
      const text: string = fileOf(pip, pip.run).replace('# Packages.\n', line);
      rig.context('app', { Dockerfile: text, ...files });
      const report = await optimize(rig, '--no-measure', ...ONLY);
      assert.deepEqual([report.kept, report.refused, report.dockerfile], [[], [], text]);
    }
  });
});
