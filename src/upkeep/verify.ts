import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { byCodeUnit, type Digest, digestOfHex, FailureError, readIfThere } from '../base/index.ts';
import { type HashJob, hashFiles, isSoundStatIndex } from '../context/index.ts';
import { runGit } from '../fetch/index.ts';
import type { LayerChain, LayerRef } from '../ports/index.ts';
import { type LayerFault, verifyLayer } from '../snapshot/index.ts';
import type { UpkeepDeps } from './deps.ts';
import { type Facts, gatherFacts } from './facts.ts';
import { namesIn } from './names-in.ts';
import { packageDirs } from './package-dirs.ts';
import { Sizes } from './sizes.ts';

/** Something that is not what it should be. */
export interface Problem {
  readonly what:
    | 'blob'
    | 'layer'
    | 'layer-memo'
    | 'layer-image'
    | 'package'
    | 'git'
    | 'context'
    | 'image'
    | 'names'
    | 'database'
    | 'record';
  /** The entry or the file. */
  readonly id: string;
  readonly path?: string;
  readonly text: string;
  readonly digest?: Digest;
  /** The layer that is damaged. */
  readonly layer?: string;
}

/** What a verification went through. */
export interface Verified {
  readonly problems: readonly Problem[];
  readonly checked: Readonly<Record<string, { readonly count: number; readonly bytes: number }>>;
  /** Files of layers that nothing was known of; a later verification compares them with what they are now. */
  readonly recorded: number;
  /** Large files of packed layers, of which no digest is kept. */
  readonly unchecked: number;
}

/** How a verification is watched and stopped. */
export interface VerifyOptions {
  readonly signal: AbortSignal;
  /** Told after each thing that was read. */
  readonly onProgress?: (done: { readonly count: number; readonly bytes: number }) => void;
}

/**
 * Reads everything in the store and compares it with what is promised of it: blobs and packages with their digests, the
 * files of extracted layers with the digests remembered of them and with the layer's own (`diffID`), images with their
 * manifests, the database with itself. Nothing is changed, but for digests of files that were not known. Builds may run
 * meanwhile: what is removed under way is passed over.
 */
export async function verifyStore(deps: UpkeepDeps, options: VerifyOptions): Promise<Verified> {
  const facts = await gatherFacts(deps, new Sizes(deps.db.measured()));
  const run = new Verification(deps, facts, options);
  await run.blobs();
  await run.layers();
  await run.packages();
  await run.contexts();
  await run.repositories();
  await run.images();
  run.names();
  run.database();
  return run.result();
}

/** Threads that read and hash, one a processor. */
const MAX_THREADS = 32;

const NO_HEADER = new Uint8Array();

class Verification {
  readonly #deps: UpkeepDeps;
  readonly #facts: Facts;
  readonly #options: VerifyOptions;
  readonly #problems: Problem[] = [];
  readonly #checked: Record<string, { count: number; bytes: number }> = {};
  #done = { count: 0, bytes: 0 };
  #recorded = 0;
  #unchecked = 0;

  constructor(deps: UpkeepDeps, facts: Facts, options: VerifyOptions) {
    this.#deps = deps;
    this.#facts = facts;
    this.#options = options;
  }

  result(): Verified {
    return {
      problems: this.#problems,
      checked: this.#checked,
      recorded: this.#recorded,
      unchecked: this.#unchecked,
    };
  }

  async blobs(): Promise<void> {
    const { content } = this.#deps;
    const wrong = new Map<Digest, Digest>();
    const jobs: HashJob[] = [];
    for await (const { digest, size } of content.list())
      jobs.push({
        ...{ path: content.path(digest), header: NO_HEADER, size },
        // It never changes under its name; removed meanwhile, it is nobody's.
        isSame: () => true,
        done: (actual) => {
          if (actual === undefined) return;
          this.#note('blobs', size);
          if (actual !== digest) wrong.set(digest, actual);
        },
      });
    await this.#hashAll(jobs);
    for (const [digest, actual] of [...wrong].sort(([a], [b]) => byCodeUnit(a, b))) {
      const text = `its bytes have the digest ${actual}`;
      const id = `blob:${digest}`;
      this.#problems.push({ what: 'blob', id, path: content.path(digest), text, digest });
    }
  }

  async #hashAll(jobs: readonly HashJob[]): Promise<void> {
    await hashFiles(jobs, { signal: this.#options.signal, threads: MAX_THREADS });
  }

  async layers(): Promise<void> {
    const { paths } = this.#deps;
    const root = join(paths.snapshots, 'layers');
    const ids = new Map<string, string>();
    for await (const { dir, id } of this.#deps.layers.directories()) ids.set(dir, id);
    for (const name of namesIn(root)) {
      const dir = join(root, name);
      const id = ids.get(dir);
      const report = await verifyLayer(dir, {
        signal: this.#options.signal,
        hash: async (files) => await this.#hashAll(files),
      });
      if (!existsSync(dir)) continue;
      // Not whole: a crash of the machine tore it, or it was removed just now; the next build sweeps it.
      if (id === undefined && report.faults.every((fault) => fault.what !== 'meta')) continue;
      this.#note('layers', report.bytes);
      this.#recorded += report.recorded;
      this.#unchecked += report.unchecked;
      for (const fault of report.faults) this.#layerFault(fault, { dir, id });
      if (id !== undefined && report.faults.length === 0) await this.#ownDigest(dir, id);
    }
  }

  #layerFault(
    fault: LayerFault,
    { dir, id }: { readonly dir: string; readonly id: string | undefined },
  ): void {
    const [what, path] =
      fault.what === 'memo'
        ? (['layer-memo', join(dir, 'digests')] as const)
        : fault.what === 'image'
          ? (['layer-image', join(dir, 'erofs')] as const)
          : (['layer', dir] as const);
    this.#problems.push({
      ...{ what, path, text: fault.text },
      id: id === undefined ? dir : `layer:${id}`,
      ...(id === undefined ? {} : { layer: id }),
    });
  }

  /** A layer made here whose diffID is known must still give that tar; it needs the layers below it. */
  async #ownDigest(dir: string, id: string): Promise<void> {
    const diffId = this.#facts.layers.get(id)?.diffId;
    const chain = id.startsWith('new:') ? this.#chainOf(id) : undefined;
    if (diffId === undefined || chain === undefined) return;
    for (let depth = 1; depth <= chain.length; depth++)
      if (!(await this.#deps.layers.has(chain.slice(0, depth)))) return;
    const actual = await this.#hash(this.#deps.layers.tar(chain, { signal: this.#options.signal }));
    if (actual === undefined || actual.digest === diffId) return;
    const text = `it is read as ${actual.digest}, not as its diffID ${diffId}`;
    this.#problems.push({ what: 'layer', id: `layer:${id}`, path: dir, text, layer: id });
  }

  #chainOf(id: string): LayerChain | undefined {
    const { chains, layers } = this.#facts;
    const top = [...chains.values()].find((node) => node.layer === id);
    const chain: LayerRef[] = [];
    for (let at = top; at !== undefined; at = chains.get(at.parent)) {
      const createdAt = layers.get(at.layer)?.createdAt ?? 0;
      chain.unshift({ id: at.layer, createdAt });
    }
    return top === undefined ? undefined : chain;
  }

  async packages(): Promise<void> {
    for (const { path } of packageDirs(this.#deps.paths))
      if (namesIn(path).length > 0) await this.#packagesIn(path);
  }

  async #packagesIn(root: string): Promise<void> {
    const { paths } = this.#deps;
    // Its libraries are large, and looking at a store or trimming it needs none of them.
    const { verifyPackages } = await import('../packages/index.ts');
    for await (const { path, bytes, fault } of verifyPackages(root, {
      signal: this.#options.signal,
      hash: async (files) => await this.#hashAll(files),
    })) {
      this.#note('packages', bytes);
      if (fault === undefined) continue;
      const id = root === paths.packages ? `packages/${path.slice(root.length + 1)}` : path;
      this.#problems.push({ what: 'package', id, path, text: fault });
    }
  }

  async contexts(): Promise<void> {
    const { contexts } = this.#deps.paths;
    for (const name of namesIn(contexts)) {
      if (!name.endsWith('.idx')) continue;
      const path = join(contexts, name);
      const bytes = await readIfThere(path);
      if (bytes === undefined) continue;
      this.#note('contexts', bytes.length);
      if (!isSoundStatIndex(bytes))
        this.#problems.push({
          ...{ what: 'context', id: `context:${name.replace(/\.idx$/, '')}`, path },
          text: 'its checksum does not hold',
        });
    }
  }

  /** Repositories check themselves. */
  async repositories(): Promise<void> {
    const { gitEnv, paths } = this.#deps;
    const { signal } = this.#options;
    for (const name of namesIn(paths.git)) {
      const cwd = join(paths.git, name);
      const args = ['--git-dir=.', 'fsck', '--no-dangling', '--no-progress'];
      const run = await runGit({ env: gitEnv }, { doing: `git fsck ${cwd}`, args, cwd, signal });
      this.#note('repositories', 0);
      if (run.ok && run.value.code === 0) continue;
      const said = run.ok ? run.value.stderr || run.value.stdout : run.error.message;
      const text = `git fsck: ${said.trim().split('\n')[0] ?? ''}`;
      this.#problems.push({ what: 'git', id: `git:${name}`, path: cwd, text });
    }
  }

  /** A layer of an image may be elsewhere, or be made again from its extracted copy. */
  async images(): Promise<void> {
    const rows = [...this.#facts.layers.values()];
    for (const { row, familiar, missing, blobs } of this.#facts.images) {
      this.#note('images', 0);
      const gone: Digest[] = [...missing];
      for (const [digest, what] of blobs) {
        if (what !== 'layer' || (await this.#deps.content.size(digest)) !== undefined) continue;
        const layer = rows.find((each) => each.blobs.some((b) => b.digest === digest));
        const extracted =
          layer !== undefined && (await this.#deps.layers.usage(layer.id)) !== undefined;
        if (layer?.origin === undefined && !extracted) gone.push(digest);
      }
      for (const digest of gone)
        this.#problems.push({
          ...{ what: 'image', id: `image:${row.name}`, digest },
          text: `${familiar} names ${digest}, which is missing or damaged`,
        });
    }
  }

  /** The names outside the database are what a lost database is rebuilt from. */
  names(): void {
    const path = join(this.#deps.paths.content, 'index.json');
    const state = (rows: readonly { name: string; target: { digest: string } }[]): string =>
      rows
        .map(({ name, target }) => `${name} ${target.digest}`)
        .sort()
        .join('\n');
    if (state(this.#deps.names.load()) === state(this.#deps.images.list())) return;
    this.#problems.push({
      ...{ what: 'names', id: 'store:content/index.json', path },
      text: 'it does not name the same images as the database',
    });
  }

  database(): void {
    this.#note('database', 0);
    for (const { what, text } of this.#deps.db.check())
      this.#problems.push({
        what: what === 'broken-result' ? 'record' : 'database',
        id: 'store:state.db',
        path: this.#deps.paths.db,
        text,
      });
  }

  #note(kind: string, bytes: number): void {
    const sum = (this.#checked[kind] ??= { count: 0, bytes: 0 });
    sum.count++;
    sum.bytes += bytes;
    this.#done = { count: this.#done.count + 1, bytes: this.#done.bytes + bytes };
    this.#options.onProgress?.(this.#done);
  }

  /** Digest of a stream; undefined when what it reads was removed meanwhile. */
  async #hash(
    data: AsyncIterable<Uint8Array>,
  ): Promise<{ readonly digest: Digest; readonly bytes: number } | undefined> {
    const hash = createHash('sha256');
    let bytes = 0;
    try {
      for await (const chunk of data) {
        hash.update(chunk);
        bytes += chunk.length;
      }
    } catch (e) {
      if (e instanceof FailureError && e.failure.code === 'ST013') return undefined;
      throw e;
    }
    return { digest: digestOfHex(hash.digest('hex')), bytes };
  }
}
