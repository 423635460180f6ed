/** Builders that are compared: Varve, and what of buildah, Debian's Docker and a given BuildKit is there. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { copyFileSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import type { Command } from './measure.ts';

/** One builder with a store of its own. */
export interface Peer {
  readonly name: string;
  readonly version: string;
  build(context: string, tag: string): Command;
  /** Throws away everything the builder has cached. */
  clear(): void;
  stop(): Promise<void>;
}

const repo = join(import.meta.dirname, '..');
const VARVE = join(repo, 'bin/varve');
const nothing = async (): Promise<void> => await Promise.resolve();

/** Runs a command that has to succeed and returns what it says. */
export function must(argv: readonly string[], env: Readonly<Record<string, string>> = {}): string {
  const [command = '', ...rest] = argv;
  const run = spawnSync(command, rest, { encoding: 'utf8', env: { ...process.env, ...env } });
  if (run.status !== 0) throw new Error(`${argv.join(' ')}: exit ${run.status}\n${run.stderr}`);
  return run.stdout.trim();
}

function isThere(name: string): boolean {
  return spawnSync('sh', ['-c', `command -v ${name}`]).status === 0;
}

/** An OCI layout `base` with one static busybox, made by Varve itself and read by every peer. */
export function makeBase(root: string): string {
  const dir = join(root, 'base');
  mkdirSync(dir, { recursive: true });
  copyFileSync('/bin/busybox', join(dir, 'busybox'));
  const applets = ['sh', 'echo', 'cat', 'seq', 'mkdir', 'chmod', 'chown', 'ls', 'true', 'rm'];
  const copies = applets.map((name) => `COPY busybox /bin/${name}`);
  const text = ['FROM scratch', ...copies, 'CMD ["/bin/sh"]', ''];
  writeFileSync(join(dir, 'Dockerfile'), text.join('\n'));
  const layout = join(root, 'base-layout');
  const out = ['-t', 'base:latest', '-o', `type=oci,dest=${layout},tar=false`, dir];
  must([VARVE, 'build', '--progress=plain', ...out], { VARVE_ROOT: join(root, 'base-store') });
  return layout;
}

/** The builders whose names are wanted, started. */
export async function startPeers(
  root: string,
  layout: string,
  wanted: (name: string) => boolean,
): Promise<Peer[]> {
  const makers = {
    varve: (at: string, base: string) => varve(at, base, 'varve'),
    plain: (at: string, base: string) => varve(at, base, 'plain'),
    buildah,
    docker,
    buildkit,
  };
  const peers: Peer[] = [];
  for (const [name, make] of Object.entries(makers)) {
    if (!wanted(name)) continue;
    const peer = await make(root, layout);
    if (typeof peer === 'string') console.log(`${name} is not compared: ${peer}`);
    else peers.push(peer);
  }
  return peers;
}

/**
 * Varve as it is called by default, and (`plain`) with layers that are not compressed: what Docker's engine and buildah make of
 * a build is an image whose layers nobody has compressed yet.
 */
function varve(root: string, layout: string, name: 'varve' | 'plain'): Peer {
  const store = join(root, name);
  const base = ['--build-context', `base=oci-layout://${layout}:latest`];
  return {
    name,
    version: must([VARVE, '--version']),
    build: (context, tag) => ({
      argv: [VARVE, 'build', '--progress=plain', ...base, ...imageOf(name, tag), context],
      env: { VARVE_ROOT: store },
    }),
    clear: () => rmSync(store, { recursive: true, force: true }),
    stop: nothing,
  };
}

function imageOf(name: 'varve' | 'plain', tag: string): string[] {
  return name === 'varve'
    ? ['-t', `${tag}:latest`]
    : ['-o', `type=image,name=${tag}:latest,compression=uncompressed`];
}

function buildah(root: string, layout: string): Peer | string {
  if (!isThere('buildah') || !isThere('skopeo')) return 'buildah or skopeo is not installed';
  const [graph, run] = [join(root, 'buildah/root'), join(root, 'buildah/run')];
  const storage = ['--root', graph, '--runroot', run, '--storage-driver', 'overlay'];
  const target = `containers-storage:[overlay@${graph}+${run}]localhost/base:latest`;
  const load = (): string => must(['skopeo', 'copy', '-q', `oci:${layout}:latest`, target]);
  const flags = [
    '--layers',
    '--jobs',
    '2',
    '--isolation',
    'oci',
    '--runtime',
    'runc',
    '--pull-never',
  ];
  return {
    name: 'buildah',
    version: must(['buildah', '--version']),
    build: (context, tag) => ({
      argv: ['buildah', ...storage, 'build', ...flags, '-t', tag, context],
    }),
    clear: () => {
      spawnSync('buildah', [...storage, 'rmi', '-a', '-f']);
      load();
    },
    stop: nothing,
  };
}

/** Waits until a daemon answers; what it wrote to standard error when it does not. */
async function answers(daemon: ChildProcess, ask: () => boolean): Promise<string | undefined> {
  let log = '';
  daemon.stderr?.setEncoding('utf8').on('data', (text: string) => {
    log = `${log}${text}`.slice(-2000);
  });
  daemon.on('error', () => undefined);
  for (let tries = 0; tries < 300 && daemon.exitCode === null; tries++) {
    if (ask()) return undefined;
    await wait(200);
  }
  return log.trim().split('\n').at(-1) ?? 'it does not answer';
}

async function ended(daemon: ChildProcess, pid: number): Promise<void> {
  const closed = once(daemon, 'close');
  process.kill(pid, 'SIGTERM');
  await closed;
}

/** BuildKit inside Debian's Docker engine: no network, no firewall rules, a root of its own. */
async function docker(root: string, layout: string): Promise<Peer | string> {
  const client = '/usr/bin/docker';
  if (!existsSync(client) || !isThere('dockerd')) return 'docker.io is not installed';
  const dir = join(root, 'docker');
  mkdirSync(dir);
  const socket = `unix://${join(dir, 's')}`;
  const network = ['--iptables=false', '--ip6tables=false', '--bridge=none'];
  const places = ['--data-root', join(dir, 'data'), '--exec-root', join(dir, 'exec')];
  const daemon = spawn(
    'dockerd',
    [
      ...network,
      ...places,
      '--storage-driver=overlay2',
      '-H',
      socket,
      '--pidfile',
      join(dir, 'pid'),
    ],
    { stdio: ['ignore', 'ignore', 'pipe'] },
  );
  const ask = [client, '-H', socket];
  const refused = await answers(
    daemon,
    () => spawnSync(client, [...ask.slice(1), 'version']).status === 0,
  );
  if (refused !== undefined) return refused;
  const pid = Number(readFileSync(join(dir, 'pid'), 'utf8'));
  const archive = join(dir, 'base.tar');
  must(['skopeo', 'copy', '-q', `oci:${layout}:latest`, `docker-archive:${archive}:base:latest`]);
  const env = { DOCKER_BUILDKIT: '1', HOME: dir };
  return {
    name: 'docker',
    version: must([...ask, 'version', '--format', 'Docker {{.Server.Version}}']),
    build: (context, tag) => ({
      argv: [...ask, 'build', '--network=none', '--progress=plain', '-t', tag, context],
      env,
      daemon: pid,
    }),
    clear: () => {
      const images = must([...ask, 'image', 'ls', '-q'])
        .split('\n')
        .filter(Boolean);
      if (images.length > 0) spawnSync(client, [...ask.slice(1), 'image', 'rm', '-f', ...images]);
      must([...ask, 'builder', 'prune', '-af'], env);
      must([...ask, 'load', '-q', '-i', archive]);
    },
    stop: async () => await ended(daemon, pid),
  };
}

/** `VARVE_BENCH_BUILDKIT` names a directory with `buildkitd` and `buildctl`. */
async function buildkit(root: string, layout: string): Promise<Peer | string> {
  const programs = process.env['VARVE_BENCH_BUILDKIT'];
  if (programs === undefined)
    return 'VARVE_BENCH_BUILDKIT names no directory with buildkitd and buildctl';
  const dir = join(root, 'buildkit');
  mkdirSync(dir);
  const socket = `unix://${join(dir, 's')}`;
  const client = [join(programs, 'buildctl'), '--addr', socket];
  const daemon = spawn(
    join(programs, 'buildkitd'),
    ['--root', join(dir, 'root'), '--addr', socket],
    {
      stdio: ['ignore', 'ignore', 'pipe'],
    },
  );
  const [command = '', ...args] = client;
  const refused = await answers(
    daemon,
    () => spawnSync(command, [...args, 'debug', 'workers']).status === 0,
  );
  const { pid } = daemon;
  if (refused !== undefined || pid === undefined) return refused ?? 'it does not start';
  const index = /"digest":"(sha256:[0-9a-f]+)"/.exec(
    readFileSync(join(layout, 'index.json'), 'utf8'),
  );
  const base = ['--oci-layout', `base=${layout}`];
  base.push('--opt', `context:base=oci-layout://base@${index?.[1] ?? ''}`);
  return {
    name: 'buildkit',
    version: must([...client, '--version']),
    build: (context, tag) => ({
      argv: [
        ...client,
        ...['build', '--progress=plain', '--frontend=dockerfile.v0'],
        ...['--local', `context=${context}`, '--local', `dockerfile=${context}`],
        ...base,
        ...['--output', `type=image,name=${tag}`],
      ],
      daemon: pid,
    }),
    clear: () => {
      must([...client, 'prune', '--all']);
    },
    stop: async () => await ended(daemon, pid),
  };
}
