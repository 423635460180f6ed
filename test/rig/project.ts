import assert from 'node:assert/strict';
import { cpSync, readFileSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseJson } from '../../src/base/index.ts';
import { type RegistryProcess, startRegistry } from './registry.ts';
import { Rig, type Run } from './rig.ts';

const EXAMPLES = join(import.meta.dirname, '../../examples');

/** A line of the report of `varve bake --json`. */
export interface LayerRow {
  readonly layer: string;
  readonly platform: string;
  readonly key: string;
  readonly ref: string;
  readonly state: string;
  readonly bytes: number;
  readonly ms: number;
  readonly pulled: number;
  readonly pushed: number;
  readonly startedMs?: number;
  readonly cause?: {
    readonly kind: string;
    readonly layer: string;
    readonly changes: readonly { readonly kind: string; readonly name: string }[];
  };
}

/** The report of `varve bake --json`. */
export interface BakeReport {
  readonly hits: number;
  readonly ms: number;
  readonly movedByImages: number;
  readonly layers: readonly LayerRow[];
  readonly images: readonly {
    readonly image: string;
    readonly digest?: string;
    readonly moved: number;
    readonly overlaps: readonly { readonly path: string; readonly layers: readonly string[] }[];
    readonly notCompared: readonly string[];
  }[];
}

/** A project in a world of its own, with a registry and a base image made of busybox. */
export class ProjectRig implements AsyncDisposable {
  readonly #stack = new AsyncDisposableStack();
  readonly rig = this.#stack.use(new Rig());
  registry!: RegistryProcess; // Set by `open`, the only constructor that tests use.
  #stores = 0;
  #store = this.rig.store;

  /** Opens a world with an example as its project, or with an empty one. */
  static async open(example?: string): Promise<ProjectRig> {
    const made = new ProjectRig();
    if (example !== undefined)
      cpSync(join(EXAMPLES, example), join(made.rig.work, 'app'), { recursive: true });
    made.registry = made.#stack.use(await startRegistry());
    await made.base('first');
    return made;
  }

  get env(): Readonly<Record<string, string>> {
    const { host } = this.registry;
    const base = `${host}/base:1`;
    return {
      VARVE_ROOT: this.#store,
      VARVE_INSECURE_REGISTRIES: host,
      ...{ BASE: base, BUILD_BASE: base, RUNTIME_BASE: base },
      LAYERS: `${host}/layers`,
      IMAGE: `${host}/image`,
    };
  }

  /** Makes and pushes the base image; another text gives it another digest. */
  async base(text: string): Promise<void> {
    const dockerfile = `FROM scratch
COPY busybox /bin/busybox
RUN ["/bin/busybox", "--install", "-s", "/bin"]
ENV PATH=/bin
COPY version /etc/version
`;
    this.rig.context('base', { Dockerfile: dockerfile, version: text });
    const tag = `${this.registry.host}/base:1`;
    const run = await this.rig.varve(['build', '-q', '-t', tag, '--push', 'base'], {
      env: this.env,
    });
    assert.equal(run.status, 0, run.stderr);
  }

  /** From now on an empty store: another machine. */
  otherMachine(): void {
    this.#store = join(this.rig.root, `store-${++this.#stores}`);
  }

  async varve(args: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<Run> {
    const words = args[0] === 'advise' ? 2 : 1;
    return await this.rig.varve(
      [...args.slice(0, words), '-f', 'app/varve.yml', ...args.slice(words)],
      {
        env: { ...this.env, ...env },
      },
    );
  }

  /** Bakes and pushes; the answer is the report. */
  async bake(
    names: readonly string[] = [],
    env: Readonly<Record<string, string>> = {},
  ): Promise<BakeReport> {
    const run = await this.varve(['bake', '--push', '--json', ...names], env);
    assert.equal(run.status, 0, `${run.stderr}\n${run.stdout}`);
    const parsed = parseJson(run.stdout);
    assert.ok(parsed.ok, run.stdout);
    // The shape that `--json` documents.
    return parsed.value as BakeReport;
  }

  edit(path: string, change: (text: string) => string): void {
    const full = join(this.rig.work, 'app', path);
    writeFileSync(full, change(readFileSync(full, 'utf8')));
  }

  touch(path: string): void {
    utimesSync(join(this.rig.work, 'app', path), 1, 1);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stack[Symbol.asyncDispose]();
  }
}

/** What was not found, with the reason: `layer: kind name, … in layer`. */
export function builtOf(report: BakeReport): Readonly<Record<string, string>> {
  return Object.fromEntries(
    report.layers
      .filter(({ state }) => state !== 'here' && state !== 'registry')
      .map(({ layer, state, cause }) => {
        const changes = cause?.changes.map(({ kind, name }) => `${kind} ${name}`).join(', ') ?? '';
        const where = cause === undefined || cause.layer === layer ? '' : ` in ${cause.layer}`;
        return [layer, `${state}: ${changes === '' ? (cause?.kind ?? '') : changes}${where}`];
      }),
  );
}

/** Hits of all layers. */
export const hitsOf = (report: BakeReport): string => `${report.hits}/${report.layers.length}`;
