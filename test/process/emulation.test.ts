import assert from 'node:assert/strict';
import { copyFileSync, existsSync, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { executed, json, readFiles } from '../rig/results.ts';
import { needsSteps, Rig } from '../rig/rig.ts';

const FOREIGN = join(import.meta.dirname, '../../.tools/arm64/busybox');
const REGISTERED = '/proc/sys/fs/binfmt_misc/qemu-aarch64';

const needsEmulation: string | false =
  needsSteps !== false
    ? needsSteps
    : process.arch !== 'x64'
      ? 'is written for an x86-64 machine'
      : !existsSync(REGISTERED) || !readFileSync(REGISTERED, 'utf8').startsWith('enabled')
        ? 'needs qemu-aarch64 registered with binfmt_misc (scripts/debian-tools.sh; a kernel may not allow it)'
        : existsSync(FOREIGN)
          ? false
          : 'needs a static busybox of arm64 (scripts/debian-tools.sh)';

const DOCKERFILE = `FROM scratch AS base
ARG TARGETARCH
COPY bb/$TARGETARCH/busybox /bin/sh
COPY bb/$TARGETARCH/busybox /bin/busybox
FROM base AS made
ARG TARGETPLATFORM
RUN echo "$TARGETPLATFORM $(/bin/busybox uname -m)" > /out
FROM scratch
COPY --from=made /out /out
`;

function context(rig: Rig): void {
  rig.write('app/Dockerfile', DOCKERFILE);
  for (const [arch, file] of [
    ['amd64', '/bin/busybox'],
    ['arm64', FOREIGN],
  ] as const) {
    mkdirSync(join(rig.work, 'app/bb', arch), { recursive: true });
    copyFileSync(file, join(rig.work, 'app/bb', arch, 'busybox'));
  }
}

describe('steps of another architecture', { skip: needsEmulation }, () => {
  const PLATFORMS = '--platform=linux/amd64,linux/arm64';

  test('a RUN of arm64 runs through QEMU, and a second build runs nothing', async () => {
    await using rig = new Rig();
    context(rig);
    const turns: unknown[] = [];
    for (const dest of ['one', 'two']) {
      const args = ['build', '--progress=rawjson', PLATFORMS, '-o', `type=local,dest=${dest}`];
      const run = await rig.varve([...args, 'app']);
      assert.equal(run.status, 0, run.stderr);
      turns.push({
        ran: executed(run.stderr).filter((name) => name.includes('RUN')),
        files: readFiles(join(rig.work, dest)),
      });
    }
    const files = {
      'linux_amd64/out': 'linux/amd64 x86_64\n',
      'linux_arm64/out': 'linux/arm64 aarch64\n',
    };
    const run = (platform: string): string =>
      `[${platform} made 1/1] RUN echo "${platform} $(/bin/busybox uname -m)" > /out`;
    assert.deepEqual(turns, [
      { ran: [run('linux/amd64'), run('linux/arm64')], files },
      { ran: [], files },
    ]);
  });

  test('the image of several platforms is an index with a manifest of each, in the order asked for', async () => {
    await using rig = new Rig();
    context(rig);
    const output = ['-o', 'type=oci,dest=image,tar=false'];
    const run = await rig.varve(['build', '-q', PLATFORMS, ...output, 'app']);
    assert.equal(run.status, 0, run.stderr);
    const read = (path: string): { readonly manifests: readonly Record<string, unknown>[] } =>
      // The shape of an OCI index.
      json(readFileSync(join(rig.work, 'image', path), 'utf8')) as {
        readonly manifests: readonly Record<string, unknown>[];
      };
    const blob = (digest: unknown): string => `blobs/${String(digest).replace(':', '/')}`;
    const index = read(blob(read('index.json').manifests[0]?.['digest']));
    const found = index.manifests.map((m) => {
      const manifest = read(blob(m['digest'])) as unknown as {
        readonly config: { readonly digest: string };
      };
      const config = read(blob(manifest.config.digest)) as unknown as Record<string, unknown>;
      return { platform: m['platform'], config: [config['os'], config['architecture']] };
    });
    assert.deepEqual(found, [
      { platform: { architecture: 'amd64', os: 'linux' }, config: ['linux', 'amd64'] },
      { platform: { architecture: 'arm64', os: 'linux' }, config: ['linux', 'arm64'] },
    ]);
  });
});

test('a step that nothing here can emulate says what is missing and how to get it', {
  skip: needsSteps,
}, async () => {
  await using rig = new Rig();
  // A program of a processor that no test machine has: only the field of its header that says so is another.
  const program = readFileSync('/bin/busybox');
  program.writeUInt16LE(258, 18);
  rig.write('app/busybox', program);
  rig.write('app/Dockerfile', 'FROM scratch\nCOPY --chmod=755 busybox /bin/sh\nRUN echo hi\n');
  const run = await rig.varve(['build', '--progress=quiet', '--platform=linux/loong64', 'app']);
  assert.deepEqual(
    [run.status, run.stderr.replace(/^full log: .*$/m, 'full log: PATH')],
    [
      1,
      `error[SB010]: process "/bin/sh -c echo hi" did not complete successfully: exit code: 1
 --> app/Dockerfile:3:1
  |
3 | RUN echo hi
  | ^^^^^^^^^^^ help: /bin/sh is a program for loong64, and this machine has no emulator for it (/proc/sys/fs/binfmt_misc/qemu-loongarch64): install one with "apt-get install qemu-user-static binfmt-support", or "docker run --privileged --rm tonistiigi/binfmt --install loong64"
exec /bin/sh: exec format error
full log: PATH
`,
    ],
  );
});
