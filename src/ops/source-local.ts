import {
  byCodeUnit,
  err,
  FailureError,
  failure,
  ok,
  parseJson,
  type Result,
  sha256,
} from '../base/index.ts';
import type { FileTree } from '../cachekey/index.ts';
import type { SourceOp } from '../llb/index.ts';
import {
  type CacheMap,
  type Clock,
  type LayerId,
  type LocalSource,
  localLayer,
  type OpContext,
  type OpDriver,
  type OpResult,
} from '../ports/index.ts';

/** The local directories of one build, and the trees read from them so far. */
export class LocalSources {
  readonly build: string;
  readonly #sources: ReadonlyMap<string, LocalSource>;
  readonly #trees = new Map<LayerId, FileTree>();

  constructor(build: string, sources: ReadonlyMap<string, LocalSource>) {
    this.build = build;
    this.#sources = sources;
  }

  source(name: string): LocalSource | undefined {
    return this.#sources.get(name);
  }

  /** The tree behind a reserved layer of this build. */
  tree(layer: LayerId): FileTree | undefined {
    return this.#trees.get(layer);
  }

  setTree(layer: LayerId, tree: FileTree): void {
    this.#trees.set(layer, tree);
  }
}

const SCHEME = 'local://';

/** Whether a source op reads a local directory. */
export function isLocalSource(source: SourceOp): boolean {
  return source.identifier.startsWith(SCHEME);
}

/**
 * The driver of `local://<name>`: its definition key is another one in each build, so that consumers are found by content
 * only (BuildKit gives local sources a random key).
 */
export function createLocalDriver(
  source: SourceOp,
  deps: { readonly locals: LocalSources; readonly clock: Clock },
): OpDriver {
  return new LocalDriver(source, deps);
}

class LocalDriver implements OpDriver {
  readonly #name: string;
  readonly #source: SourceOp;
  readonly #locals: LocalSources;
  readonly #clock: Clock;

  constructor(source: SourceOp, deps: { readonly locals: LocalSources; readonly clock: Clock }) {
    this.#name = source.identifier.slice(SCHEME.length);
    this.#source = source;
    this.#locals = deps.locals;
    this.#clock = deps.clock;
  }

  cacheMap(_context: OpContext): Promise<Result<CacheMap>> {
    const map: CacheMap = {
      digest: sha256(`varve.local.v1\0${this.#locals.build}\0${this.#identity()}`),
      deps: [],
      volatile: true,
      describes: this.#locals.source(this.#name)?.describes ?? this.#name,
    };
    return Promise.resolve(ok(map));
  }

  contentKey(): Promise<Result<never>> {
    throw new Error('a source has no inputs');
  }

  async run(context: OpContext): Promise<Result<readonly OpResult[]>> {
    const source = this.#locals.source(this.#name);
    if (source === undefined)
      return err(failure('CX007', 2, `no directory was given for the context "${this.#name}"`));
    const { signal, vertex } = context;
    const report = (bytes: number, completed: boolean): void => {
      context.emit({
        type: 'status',
        vertex: vertex.digest,
        id: 'transferring context:',
        at: this.#clock.now(),
        current: bytes,
        completed,
      });
    };
    let read = 0;
    let reported = this.#clock.now();
    const progress = (bytes: number): void => {
      read = bytes;
      if (this.#clock.now() - reported < REPORT_MS) return;
      reported = this.#clock.now();
      report(bytes, false);
    };
    report(0, false);
    const attrs = this.#source.attrs;
    const tree = await source.tree({
      excludes: listAttr(attrs['local.excludepatterns']),
      includes: listAttr(attrs['local.includepattern']),
      follow: listAttr(attrs['local.followpaths']),
      signal,
      progress,
    });
    if (!tree.ok) return tree;
    report(read, true);
    const name = `${this.#name}/${sha256(this.#identity()).slice(7, 23)}`;
    const layer = localLayer(this.#locals.build, name, this.#clock.now());
    this.#locals.setTree(layer.id, tree.value);
    return ok([[layer]]);
  }

  #identity(): string {
    const attrs = Object.entries(this.#source.attrs).sort(([a], [b]) => byCodeUnit(a, b));
    return `${this.#source.identifier}\0${JSON.stringify(attrs)}`;
  }
}

const REPORT_MS = 100;

/** An attribute that holds a JSON list of texts. */
function listAttr(text: string | undefined): readonly string[] {
  if (text === undefined || text === '') return [];
  const parsed = parseJson(text);
  if (parsed.ok && Array.isArray(parsed.value) && parsed.value.every((v) => typeof v === 'string'))
    return parsed.value;
  throw new FailureError(failure('GR010', 2, `local source: "${text}" is not a list of patterns`));
}
