/**
 * `node bench/travel.ts [MIB [NAME]]`: what exports and a new machine cost, with a real registry on loopback. Workload T has sixty
 * RUN steps with a file of code behind them, F one layer of MIB mebibytes (2048 when absent, half of it random) with code behind it. Each
 * state is one measurement: with two gibibytes in each, interleaved rounds would take an hour. buildah is the peer where it has the same.
 */
import { spawnSync } from 'node:child_process';
import {
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { startRegistry } from '../test/rig/registry.ts';
import { measure } from './measure.ts';
import { large } from './workloads.ts';

const mib = Number(process.argv[2] ?? 2048);
/** Only workloads whose name begins so. */
const only = process.argv[3] ?? '';
const root = mkdtempSync(join(tmpdir(), 'varve-travel-'));
const program = join(import.meta.dirname, '../bin/varve');

interface Travel {
  readonly name: string;
  readonly context: string;
  change(): void;
}

function travel(name: string, dir: string, lines: readonly string[]): Travel {
  mkdirSync(dir, { recursive: true });
  copyFileSync('/bin/busybox', join(dir, 'busybox'));
  const text = ['FROM scratch', 'COPY busybox /bin/sh', ...lines, 'COPY code /code', ''];
  writeFileSync(join(dir, 'Dockerfile'), text.join('\n'));
  const change = (): void =>
    writeFileSync(join(dir, 'code'), `written at ${process.hrtime.bigint()}\n`);
  change();
  return { name, context: dir, change };
}

function travels(): Travel[] {
  const steps = Array.from({ length: 60 }, (_, i) => `RUN echo ${i} > /f${i}`);
  return [
    travel('T: 60 RUN steps', join(root, 'steps'), steps),
    travel(`F: ${mib} MiB in one COPY`, large(mib)(root).context, ['COPY a.bin b.bin /data/']),
  ];
}

/** Bytes of everything that a store fetched or made as blobs. */
function blobBytes(store: string): number {
  const dir = join(store, 'content/blobs/sha256');
  return readdirSync(dir).reduce((sum, name) => sum + statSync(join(dir, name)).size, 0);
}

/** What a command took. */
interface Cost {
  readonly seconds: number;
  readonly cpu: number;
  readonly peak: number;
}

async function varve(what: Travel, host: string, images: string): Promise<void> {
  const build = async (store: string, ...args: readonly string[]): Promise<Cost> => {
    const sample = await measure([
      {
        argv: [program, 'build', '--progress=plain', ...args, what.context],
        env: { VARVE_ROOT: join(root, store) },
      },
    ]);
    return { seconds: sample.seconds, cpu: sample.cpuSeconds, peak: sample.peakMiB };
  };
  const say = (title: string, { seconds, cpu, peak }: Cost): void =>
    console.log(
      `  varve    ${title.padEnd(64)} ${cpu.toFixed(2)} CPU s, ${seconds.toFixed(2)} s, peak ${peak.toFixed(0)} MiB`,
    );
  const cache = `type=registry,ref=${host}/bench/cache:${what.name[0]?.toLowerCase() ?? ''}`;
  const image = `${images}/bench/app:${what.name[0]?.toLowerCase() ?? ''}`;
  const max = ['--cache-to', `${cache},mode=max`];
  say('build, nothing exported', await build('a'));
  say('first cache export (zstd)', await build('a', ...max));
  say('cache export again, nothing changed', await build('a', ...max));
  what.change();
  say('one file changed, build alone', await build('a'));
  say('the same build again, with its cache export', await build('a', ...max));
  say(
    'OCI archive, zstd',
    await build('a', '-o', `type=oci,dest=${join(root, 'out.tar')},compression=zstd`),
  );
  rmSync(join(root, 'out.tar'), { force: true });
  say('first push, zstd', await build('a', '-o', `type=registry,name=${image},compression=zstd`));
  what.change();
  say(
    'one file changed and pushed',
    await build('a', '-o', `type=registry,name=${image},compression=zstd`),
  );
  say('cache export', await build('a', ...max));
  const from = ['--cache-from', cache];
  say('new machine, nothing changed', await build('b', ...from, '-t', 'bench'));
  console.log(`           bytes in its blob store: ${blobBytes(join(root, 'b'))}`);
  what.change();
  const push = ['-o', `type=registry,name=${image},compression=zstd`];
  say('new machine, one file changed and pushed', await build('b', ...from, ...push));
  console.log(`           bytes in its blob store: ${blobBytes(join(root, 'b'))}`);
}

async function buildah(what: Travel, host: string): Promise<void> {
  const storage = ['--root', join(root, 'buildah/root'), '--runroot', join(root, 'buildah/run')];
  const command = ['buildah', ...storage, '--storage-driver', 'overlay'];
  const run = async (title: string, ...args: readonly string[]): Promise<void> => {
    const { seconds, cpuSeconds } = await measure([{ argv: [...command, ...args] }]);
    console.log(
      `  buildah  ${title.padEnd(64)} ${cpuSeconds.toFixed(2)} CPU s, ${seconds.toFixed(2)} s`,
    );
  };
  const build = [
    'build',
    '--layers',
    '--isolation',
    'oci',
    '--runtime',
    'runc',
    '-t',
    'bench',
    what.context,
  ];
  const push = ['push', '--quiet', '--tls-verify=false', '--compression-format', 'zstd', 'bench'];
  const image = `docker://${host}/peer/app:${what.name[0]?.toLowerCase() ?? ''}`;
  await run('build, nothing exported', ...build);
  await run('first push, zstd', ...push, image);
  what.change();
  await run('one file changed, build alone', ...build);
  await run('push of it', ...push, image);
  await run(
    'OCI archive, its own compression',
    'push',
    '--quiet',
    'bench',
    `oci-archive:${join(root, 'peer.tar')}`,
  );
  rmSync(join(root, 'peer.tar'), { force: true });
  // The next workload starts from nothing.
  spawnSync('buildah', [...command.slice(1), 'rmi', '-a', '-f']);
}

try {
  await using registry = await startRegistry();
  // Of its own: what the cache's registry has would be mounted, not sent.
  await using images = await startRegistry();
  for (const each of travels().filter(({ name }) => name.startsWith(only))) {
    console.log(`${each.name} (load ${loadavg()[0]?.toFixed(1) ?? ''})`);
    await varve(each, registry.host, images.host);
    if (spawnSync('buildah', ['--version']).status === 0) await buildah(each, registry.host);
  }
} finally {
  // A build of buildah that failed leaves its mounts.
  const mounts = readFileSync('/proc/self/mounts', 'utf8').split('\n').reverse();
  for (const mount of mounts.map((line) => line.split(' ')[1] ?? ''))
    if (mount.startsWith(`${root}/`)) spawnSync('umount', [mount]);
  rmSync(root, { recursive: true, force: true });
}
