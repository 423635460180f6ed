import { type ChildProcess, spawn } from 'node:child_process';
import {
  copyFileSync,
  existsSync,
  lchownSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { parseJson } from '../../src/base/index.ts';

const VARVE = join(import.meta.dirname, '../../bin/varve');

/** What one run of the program said. */
export interface Run {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Options of one run. */
export interface RunOptions {
  readonly env?: Readonly<Record<string, string>>;
  readonly input?: string | Uint8Array;
  /** Runs as this user; the world must be the user's (`Rig.giveTo`). */
  readonly as?: { readonly uid: number; readonly gid: number };
  /** What is run in the place of the program as developers run it. */
  readonly program?: readonly string[];
  /** Runs in this network namespace (a file below `/run/netns`). */
  readonly network?: string;
}

/** Why tests that run steps cannot run here; false when they can. */
export const needsSteps: string | false =
  process.getuid?.() !== 0
    ? 'needs root (runs steps)'
    : existsSync('/bin/busybox')
      ? false
      : 'needs busybox-static';

/** The first lines of a Dockerfile with a shell of its own: no base image, no network. */
export const BUSYBOX = 'FROM scratch\nCOPY busybox /bin/sh\nCOPY busybox /bin/busybox\n';

/** The environment of a world: its store is not trimmed, however small the disk is that tests run on. */
export function worldOf(rig: Pick<Rig, 'root' | 'store'>): Record<string, string | undefined> {
  return {
    PATH: process.env['PATH'],
    HOME: rig.root,
    VARVE_ROOT: rig.store,
    VARVE_GC_PRESET: 'none',
    // `VARVE_SNAPSHOTS=directories npm test` runs all of it with layers that are extracted.
    VARVE_SNAPSHOTS: process.env['VARVE_SNAPSHOTS'],
    // With another runtime.
    VARVE_RUNTIME: process.env['VARVE_RUNTIME'],
  };
}

/** A temporary world: a store and a working directory of its own, removed when disposed. */
export class Rig implements AsyncDisposable {
  readonly root = mkdtempSync(join(tmpdir(), 'varve-rig-'));
  readonly store = join(this.root, 'store');
  readonly work = join(this.root, 'work');
  readonly #running = new Set<ChildProcess>();

  constructor() {
    mkdirSync(this.work);
  }

  /** Writes a file below the working directory. */
  write(path: string, content: string | Uint8Array): void {
    mkdirSync(dirname(join(this.work, path)), { recursive: true });
    writeFileSync(join(this.work, path), content);
  }

  /** Makes the whole world another user's. */
  giveTo(user: { readonly uid: number; readonly gid: number }): void {
    for (const entry of readdirSync(this.root, { recursive: true }))
      lchownSync(join(this.root, String(entry)), user.uid, user.gid);
    lchownSync(this.root, user.uid, user.gid);
  }

  /** A context directory with a static shell. */
  context(name: string, files: Readonly<Record<string, string>>): void {
    mkdirSync(join(this.work, name), { recursive: true });
    copyFileSync('/bin/busybox', join(this.work, name, 'busybox'));
    for (const [path, content] of Object.entries(files)) this.write(join(name, path), content);
  }

  /** Runs the program to its end. */
  async varve(args: readonly string[], options: RunOptions = {}): Promise<Run> {
    const { child, done } = this.start(args, options);
    child.stdin?.end(options.input);
    return await done;
  }

  /** Starts the program. */
  start(
    args: readonly string[],
    options: RunOptions = {},
  ): { readonly child: ChildProcess; readonly done: Promise<Run> } {
    const { network, program = [VARVE] } = options;
    const inside = network === undefined ? [] : ['nsenter', `--net=${network}`];
    const [command = VARVE, ...before] = [...inside, ...program];
    const child = spawn(command, [...before, ...args], {
      cwd: this.work,
      env: { ...worldOf(this), ...options.env },
      detached: true,
      ...options.as,
    });
    this.#running.add(child);
    let [stdout, stderr] = ['', ''];
    child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
    child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
    const done = new Promise<Run>((resolve, reject) => {
      child.once('error', reject);
      child.once('close', (status) => {
        this.#running.delete(child);
        resolve({ status, stdout, stderr });
      });
    });
    return { child, done };
  }

  /** Every file below a directory with its bytes. */
  *files(dir: string): Generator<readonly [string, Buffer]> {
    for (const entry of readdirSync(dir, { recursive: true, withFileTypes: true })) {
      const path = join(entry.parentPath, entry.name);
      if (entry.isFile()) yield [path, readFileSync(path)];
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const child of this.#running) {
      const { promise, resolve } = Promise.withResolvers<undefined>();
      child.once('close', () => resolve(undefined));
      child.kill('SIGKILL');
      await promise;
    }
    rmSync(this.root, { recursive: true, force: true });
  }
}

/** Plain progress without what differs from run to run: times and digests. */
export function normalised(text: string): string {
  return text
    .replace(/sha256:[0-9a-f]{64}/g, 'sha256:D')
    .replace(/(transferring context:) \d+\.\d+MB/g, '$1 SIZE')
    .replace(/^(#\d+) \d+\.\d+ /gm, '$1 T ')
    .replace(/ \d+\.\d+s( done)?$/gm, ' T$1')
    .replace(/ T done$/gm, ' done');
}

/** The last state of each step in a stream of `--progress=rawjson`. */
export function statesOf(stream: string): Readonly<Record<string, string>> {
  const states: Record<string, string> = {};
  for (const line of stream.split('\n')) {
    const parsed = parseJson(line);
    if (!parsed.ok) continue;
    // The shape of BuildKit's status messages.
    const { vertexes = [] } = parsed.value as {
      readonly vertexes?: readonly {
        readonly name: string;
        readonly completed?: string;
        readonly cached?: boolean;
        readonly error?: string;
      }[];
    };
    for (const v of vertexes) {
      if (v.name.startsWith('[internal]') || v.name.startsWith('exporting')) continue;
      if (v.completed === undefined) states[v.name] ??= 'STARTED';
      else states[v.name] = v.error !== undefined ? 'ERROR' : v.cached === true ? 'CACHED' : 'DONE';
    }
  }
  return states;
}
