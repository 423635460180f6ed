/** Builders that work in a daemon: Debian's Docker, and a BuildKit given by its path. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { isThere, must, type Peer } from './peer.ts';

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
export async function docker(root: string, layout: string): Promise<Peer | string> {
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

/**
 * BuildKit of its own: `VARVE_BENCH_BUILDKIT` names a directory with `buildkitd` and its clients. Each client has a daemon to itself,
 * since what one of them built would be cached for the other.
 */
export async function buildkit(root: string, layout: string): Promise<Peer | string> {
  const started = await startBuildkit(root, 'buildkit', 'buildctl');
  if (typeof started === 'string') return started;
  const { client, socket } = started;
  const buildctl = [client, '--addr', socket];
  const base = ['--oci-layout', `base=${layout}`];
  base.push('--opt', `context:base=oci-layout://base@${digestOf(layout)}`);
  return {
    name: 'buildkit',
    version: must([...buildctl, '--version']),
    build: (context, tag, { output = `type=image,name=${tag}`, cacheTo, cacheFrom } = {}) => ({
      argv: [
        ...buildctl,
        ...['build', '--progress=plain', '--frontend=dockerfile.v0'],
        ...['--local', `context=${context}`, '--local', `dockerfile=${context}`],
        ...base,
        ...['--output', output],
        ...(cacheTo === undefined ? [] : ['--export-cache', cacheTo]),
        ...(cacheFrom === undefined ? [] : ['--import-cache', cacheFrom]),
      ],
      daemon: started.pid(),
    }),
    clear: started.clear,
    stop: started.stop,
  };
}

/** The same daemon behind `docker buildx`, which is how most people call it. */
export async function buildx(root: string, layout: string): Promise<Peer | string> {
  const started = await startBuildkit(root, 'buildx', 'docker-buildx');
  if (typeof started === 'string') return started;
  const { client, socket, dir } = started;
  const env = { BUILDX_CONFIG: join(dir, 'config'), DOCKER_CONFIG: join(dir, 'docker') };
  must([client, 'create', '--name', 'bench', '--driver', 'remote', socket], env);
  const base = ['--build-context', `base=oci-layout://${layout}:latest`];
  return {
    name: 'buildx',
    version: must([client, 'version'], env),
    build: (context, tag, { output = `type=image,name=${tag}`, cacheTo, cacheFrom } = {}) => ({
      argv: [
        ...[client, 'build', '--builder', 'bench', '--progress=plain', '--provenance=false'],
        ...base,
        ...['--output', output],
        ...(cacheTo === undefined ? [] : ['--cache-to', cacheTo]),
        ...(cacheFrom === undefined ? [] : ['--cache-from', cacheFrom]),
        context,
      ],
      env,
      daemon: started.pid(),
    }),
    clear: started.clear,
    stop: started.stop,
  };
}

interface StartedBuildkit {
  readonly dir: string;
  readonly socket: string;
  readonly client: string;
  readonly pid: () => number;
  /** A daemon without anything: what is pruned leaves what builds of before are remembered with. */
  readonly clear: () => Promise<void>;
  readonly stop: () => Promise<void>;
}

async function startBuildkit(
  root: string,
  name: string,
  program: string,
): Promise<StartedBuildkit | string> {
  const programs = process.env['VARVE_BENCH_BUILDKIT'];
  const client = join(programs ?? '', program);
  if (programs === undefined || !existsSync(client))
    return `VARVE_BENCH_BUILDKIT names no directory with buildkitd and ${program}`;
  const dir = join(root, name);
  mkdirSync(dir);
  const path = join(dir, 's');
  const socket = `unix://${path}`;
  const state = join(dir, 'root');
  const start = async (): Promise<ChildProcess | string> => {
    rmSync(path, { force: true });
    const daemon = spawn(join(programs, 'buildkitd'), ['--root', state, '--addr', socket], {
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    return (await answers(daemon, () => existsSync(path))) ?? daemon;
  };
  let daemon = await start();
  if (typeof daemon === 'string') return daemon;
  const pid = (): number => (typeof daemon === 'string' ? 0 : (daemon.pid ?? 0));
  const stop = async (): Promise<void> => {
    if (typeof daemon !== 'string') await ended(daemon, pid());
  };
  const clear = async (): Promise<void> => {
    await stop();
    rmSync(state, { recursive: true });
    daemon = await start();
    if (typeof daemon === 'string') throw new Error(daemon);
  };
  return { dir, socket, client, pid, clear, stop };
}

/** The digest of the one image in an OCI layout. */
function digestOf(layout: string): string {
  const index = readFileSync(join(layout, 'index.json'), 'utf8');
  return /"digest":"(sha256:[0-9a-f]+)"/.exec(index)?.[1] ?? '';
}
