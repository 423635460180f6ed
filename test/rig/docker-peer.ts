import { type ChildProcess, execFile, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { type ImageContents, readSaved } from './image-tree.ts';

const execute = promisify(execFile);
/** Of Debian's package docker.io: a client that still has the protocol of the engine's own BuildKit. */
const CLIENT = '/usr/bin/docker';

/** Debian's Docker engine with the BuildKit inside it, started for one test: no network, no firewall rules, a root of its own. */
export class DockerPeer implements AsyncDisposable {
  readonly version: string;
  readonly #daemon: ChildProcess;
  readonly #root: string;

  private constructor(root: string, daemon: ChildProcess, version: string) {
    this.#root = root;
    this.#daemon = daemon;
    this.version = version;
  }

  /** Starts the engine below a directory, or says why it does not start here. */
  static async start(root: string): Promise<DockerPeer | string> {
    if (spawnSync(CLIENT, ['--version']).status !== 0) return 'docker.io is not installed';
    mkdirSync(root, { recursive: true });
    const log: string[] = [];
    const daemon = spawn(
      'dockerd',
      [
        ...['--iptables=false', '--ip6tables=false', '--bridge=none', '--storage-driver=overlay2'],
        ...['--data-root', join(root, 'data'), '--exec-root', join(root, 'exec')],
        ...['-H', `unix://${join(root, 's')}`, '--pidfile', join(root, 'pid')],
      ],
      { stdio: ['ignore', 'ignore', 'pipe'] },
    );
    const ready = new Promise<boolean>((resolve) => {
      daemon.once('error', () => resolve(false));
      daemon.once('close', () => resolve(false));
      daemon.stderr.setEncoding('utf8').on('data', (text: string) => {
        log.push(text);
        if (text.includes('API listen on')) resolve(true);
      });
    });
    if (!(await ready)) return log.join('').trim().split('\n').at(-1) ?? 'dockerd does not start';
    const peer = new DockerPeer(root, daemon, '');
    const version = await peer.#docker('version', '--format', '{{.Server.Version}}');
    return new DockerPeer(root, daemon, version.trim());
  }

  async #docker(...args: readonly string[]): Promise<string> {
    const env = { PATH: process.env['PATH'], HOME: this.#root, DOCKER_BUILDKIT: '1' };
    const socket = `unix://${join(this.#root, 's')}`;
    const done = await execute(CLIENT, ['-H', socket, ...args], { env, maxBuffer: 1 << 26 });
    return done.stdout;
  }

  /** Builds a directory under a name with its inline cache in it; the answer has the state of each step: `CACHED` or `DONE`. */
  async buildCached(
    context: string,
    name: string,
    flags: readonly string[] = [],
  ): Promise<Readonly<Record<string, string>>> {
    const env = { PATH: process.env['PATH'], HOME: this.#root, DOCKER_BUILDKIT: '1' };
    const inline = ['--build-arg', 'BUILDKIT_INLINE_CACHE=1', '--network=none'];
    const { stderr } = await execute(
      CLIENT,
      [
        ...['-H', `unix://${join(this.#root, 's')}`, 'build', '--progress=plain', '-t', name],
        ...[...inline, ...flags, context],
      ],
      { env, maxBuffer: 1 << 26 },
    );
    const names = new Map<string, string>();
    const states: Record<string, string> = {};
    for (const line of stderr.split('\n')) {
      const [, number = '', step] = /^(#\d+) (\[(?!internal).*\] .*)$/.exec(line) ?? [];
      if (step !== undefined) names.set(number, step);
      const [, ended = '', state] = /^(#\d+) (CACHED|DONE)/.exec(line) ?? [];
      const known = names.get(ended);
      if (state !== undefined && known !== undefined) states[known] = state;
    }
    return states;
  }

  /** Pushes an image. */
  async push(name: string): Promise<void> {
    await this.#docker('push', '-q', name);
  }

  /** Forgets every cached step, and the images that have their layers. */
  async forget(...names: readonly string[]): Promise<void> {
    await this.#docker('rmi', '-f', ...names);
    await this.#docker('builder', 'prune', '-af');
  }

  /** Makes an image of an OCI layout known under a name. */
  async load(layout: string, name: string): Promise<void> {
    const archive = join(this.#root, 'base.tar');
    await execute('skopeo', ['copy', '-q', `oci:${layout}`, `docker-archive:${archive}:${name}`]);
    await this.#docker('load', '-q', '-i', archive);
  }

  /** Builds a directory; the error of a build that fails is its last line. */
  async build(context: string, flags: readonly string[]): Promise<ImageContents | string> {
    const name = context.replace(/.*context-/, '').toLowerCase();
    try {
      const quiet = ['--network=none', '--progress=plain', '--no-cache', '-q'];
      await this.#docker('build', ...quiet, '-t', name, ...flags, context);
    } catch (e) {
      // A program that fails leaves what it wrote.
      const { stderr = '' } = e as { readonly stderr?: string };
      return stderr.trim().split('\n').at(-1) ?? '';
    }
    const [archive, dir] = [`${context}-docker.tar`, `${context}-docker`];
    await this.#docker('save', '-o', archive, name);
    mkdirSync(dir);
    await execute('tar', ['-xf', archive, '-C', dir]);
    return readSaved(dir);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const pid = Number(readFileSync(join(this.#root, 'pid'), 'utf8'));
    const closed = once(this.#daemon, 'close');
    process.kill(pid, 'SIGTERM');
    await closed;
  }
}
