/** Where torture happens: directories, a registry, a package repository, and commands run in it with faults. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { DebianRepo, REPO_TIME } from '../rig/debian-repo.ts';
import { DiskRepo } from '../rig/disk-repo.ts';
import { writeDiskTemplate } from '../rig/disk-template.ts';
import { type RegistryProcess, startRegistry } from '../rig/registry.ts';
import { FAULTS, type FaultPlan, TORTURE } from './fault-plan.ts';
import { Hosts } from './hosts.ts';

/** The program under test. */
export const VARVE = join(import.meta.dirname, '../../bin/varve');

/** One command: `varve` with arguments, or another program. */
export interface Command {
  readonly args: readonly string[];
  readonly program?: string;
}

/** How a command ended. */
export interface Ended {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** One attempt: a store and a directory for outputs of its own. */
export interface Place {
  readonly name: string;
  readonly store: string;
  readonly out: string;
  /** Commands run in processes that serve many of them. */
  readonly hosted?: true;
}

/** The first image is what all scenarios are about: a shell, steps that write, a cache mount, a file of the context. */
const DOCKERFILE = `FROM scratch AS tool
COPY busybox /bin/sh
RUN --mount=type=cache,target=/c echo made > /made; echo x >> /c/x
FROM tool
COPY --from=tool /made /copied
COPY files /files
RUN read a < /copied; echo $a twice > /twice
`;

/** Steps shared with the other variants, and one of its own. */
const VARIANT = `FROM scratch
COPY busybox /bin/sh
RUN echo shared > /shared
ARG VARIANT
RUN --mount=type=cache,target=/c echo $VARIANT > /own; echo x >> /c/x
COPY --link files /files
`;

/** The world; everything in it goes with it. */
export class World implements AsyncDisposable {
  readonly root = mkdtempSync(join(tmpdir(), 'varve-torture-'));
  readonly app = join(this.root, 'app');
  /** The making of what several scenarios import. */
  made: Promise<void> | undefined;
  readonly #running = new Set<ChildProcess>();
  readonly #resources = new AsyncDisposableStack();
  readonly #hosts = this.#resources.use(new Hosts());
  #registry: RegistryProcess | undefined;
  #repo: DebianRepo | undefined;
  #tiny: DiskRepo | undefined;
  #places = 0;

  constructor() {
    mkdirSync(this.app);
    copyFileSync('/bin/busybox', join(this.app, 'busybox'));
    for (let i = 0; i < 4; i++) this.write(`app/files/${i}`, `file ${i}\n`.repeat(100 * i + 1));
    this.write('app/files/large', Buffer.alloc(300_000, 'large file '));
    this.write('app/Dockerfile', DOCKERFILE);
    this.write('app/Dockerfile.variant', VARIANT);
  }

  write(path: string, data: string | Uint8Array): void {
    mkdirSync(dirname(join(this.root, path)), { recursive: true });
    writeFileSync(join(this.root, path), data);
  }

  /** The registry, started with its first use. */
  async registry(): Promise<RegistryProcess> {
    this.#registry ??= this.#resources.use(await startRegistry());
    return this.#registry;
  }

  /** A Debian repository, and a host whose apt trusts it. */
  async repository(): Promise<{ readonly host: string; readonly now: number }> {
    const host = join(this.root, 'host');
    if (this.#repo === undefined) {
      const repo = this.#resources.use(await DebianRepo.start());
      this.#repo = repo;
      repo.add(
        { name: 'base', fields: { Essential: 'yes', Depends: 'lib' }, files: { 'etc/base': 'b' } },
        { name: 'lib', files: { 'usr/lib/lib.so': 'x'.repeat(300_000) } },
        { name: 'tool', fields: { Depends: 'lib' }, files: { 'usr/bin/tool': '#!\n' } },
      );
      repo.publish('stable');
      this.write('host/etc/os-release', 'VERSION_CODENAME=stable\n');
      this.write('host/etc/apt/apt.conf', '');
      const source = `Types: deb\nURIs: ${repo.uri}/\nSuites: stable\nComponents: main\nSigned-By: ${repo.keyring()}\n`;
      this.write('host/etc/apt/sources.list.d/debian.sources', source);
    }
    return { host, now: (REPO_TIME + 3600) * 1000 };
  }

  /** The template of a disk, of packages of a tiny signed distribution. */
  async template(): Promise<string> {
    if (this.#tiny === undefined) {
      this.#tiny = this.#resources.use(await DiskRepo.start());
      const write = (path: string, data: string): void => this.write(`os/${path}`, data);
      writeDiskTemplate({ write }, this.#tiny);
    }
    return join(this.root, 'os/os.yml');
  }

  /** A number that was not given yet. */
  next(): number {
    return this.#places++;
  }

  /** A place whose store is a copy of another's, or empty. */
  place(from?: Place): Place {
    const name = `p${this.#places++}`;
    const dir = join(this.root, name);
    const place = { name, store: join(dir, 'store'), out: join(dir, 'out') };
    mkdirSync(place.out, { recursive: true });
    if (from !== undefined && existsSync(from.store))
      execFileSync('cp', ['-a', '--reflink=auto', from.store, place.store]);
    return place;
  }

  remove(place: Place): void {
    rmSync(dirname(place.store), { recursive: true, force: true });
  }

  /** Runs a command to its end: in a process of its own, or where none is to die and the place is `hosted`, in one that serves many. */
  async run(place: Place, command: Command, plan?: Partial<FaultPlan>): Promise<Ended> {
    const mild = plan?.kill === undefined && plan?.clockMs === undefined && !plan?.pause;
    if (place.hosted === true && mild && command.program === undefined) {
      const faults = plan === undefined ? {} : { plan: planOf(place, plan) };
      const { args } = command;
      return await this.#hosts.run({ args, cwd: place.out, env: this.#env(place), ...faults });
    }
    return await this.start(place, command, plan).done;
  }

  /** Starts a command. */
  start(
    place: Place,
    { program = VARVE, args }: Command,
    plan?: Partial<FaultPlan>,
  ): { readonly child: ChildProcess; readonly done: Promise<Ended> } {
    const faults = {
      NODE_OPTIONS: `--import=${FAULTS}`,
      [TORTURE]: JSON.stringify(planOf(place, plan ?? {})),
    };
    const child = spawn(program, args, {
      cwd: place.out,
      env: { ...this.#env(place), ...(plan === undefined ? {} : faults) },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.#running.add(child);
    let [stdout, stderr] = ['', ''];
    child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
    child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
    const done = new Promise<Ended>((resolve, reject) => {
      child.once('error', reject);
      child.once('exit', (status) => {
        this.#running.delete(child);
        const end = (): void => resolve({ status, stdout, stderr });
        // A killed command's step may hold its output open: what counts is that the command ended.
        child.once('close', end);
        setTimeout(end, 500).unref();
      });
    });
    return { child, done };
  }

  #env(place: Place): NodeJS.ProcessEnv {
    const { PATH, VARVE_SNAPSHOTS } = process.env;
    const form = VARVE_SNAPSHOTS === undefined ? {} : { VARVE_SNAPSHOTS };
    return { PATH, HOME: this.root, VARVE_ROOT: place.store, VARVE_GC_PRESET: 'none', ...form };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const ended = [...this.#running].map(async (child) => {
      const closed = once(child, 'close');
      child.kill('SIGKILL');
      await closed;
    });
    await Promise.all(ended);
    await this.#resources[Symbol.asyncDispose]();
    rmSync(this.root, { recursive: true, force: true });
  }
}

function planOf(place: Place, plan: Partial<FaultPlan>): FaultPlan {
  return { root: place.store, also: [place.out], ...plan };
}
