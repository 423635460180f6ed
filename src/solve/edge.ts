import { type Digest, err, ok, type Result, sha256 } from '../base/index.ts';
import { contentRecordDigest, type ListedEntries, recordDigest } from '../cachekey/index.ts';
import { type Listing, listingOf } from '../causes/index.ts';
import type { CacheDb, CachedResult, LayerChain, RecordId, RecordInput } from '../ports/index.ts';
import type { BuildRun } from './build-run.ts';
import { allOk } from './parallel.ts';
import { byPreference, type Candidate, LOCAL_SOURCE } from './sources.ts';
import type { VertexWork } from './vertex-work.ts';

/**
 * One output of one vertex in one solve. Its look-up goes in three steps, each only when somebody needs it:
 * `fast` (definition keys: the known keys of every input × this op), `slow` (content keys of the inputs where definition
 * keys found nothing: this may execute those inputs), and `complete` (a result: from a record, or by executing).
 * Longer than other files: the steps of one look-up share all of its state.
 */
export class Edge {
  readonly work: VertexWork;
  readonly output: number;
  readonly inputs: readonly Edge[];
  /** Records that are known to be this edge: what steps that use it can be found by. */
  readonly keys = new Set<RecordId>();
  /** Identity of the result for locks and traces, once complete. */
  identity = '';
  chain: LayerChain = [];
  /** Content digest of what this op selects of input i, once computed. */
  readonly contents: (Digest | undefined)[];
  /** The files behind the content digest of input i, while it is not known to be found; made when they are asked for. */
  readonly listings: ((() => Listing) | undefined)[];
  /** A record was known, but the layers of its result are gone. */
  evicted = false;
  /** When and why trimming removed them, as far as that is known. */
  eviction: ReturnType<NonNullable<CacheDb['eviction']>>;
  /** Name of the cache that the result came from; undefined for the store itself. */
  source: string | undefined;
  /** This solve only plans, and the step would run: there is no result. */
  unknown = false;
  readonly #build: BuildRun;
  /** Per input: records of this op reached through it. */
  readonly #matches: Set<RecordId>[];
  readonly #contentWork: (Promise<Result<Digest | undefined>> | undefined)[];
  #fast: Promise<Result<void>> | undefined;
  #slow: Promise<Result<void>> | undefined;
  #complete: Promise<Result<LayerChain>> | undefined;

  constructor(build: BuildRun, work: VertexWork, output: number, inputs: readonly Edge[]) {
    this.#build = build;
    this.work = work;
    this.output = output;
    this.inputs = inputs;
    this.contents = inputs.map(() => undefined);
    this.listings = inputs.map(() => undefined);
    this.#contentWork = inputs.map(() => undefined);
    this.#matches = inputs.map(() => new Set<RecordId>());
  }

  /** Digest of this edge's records. */
  get recordDigest(): Digest {
    return recordDigest(this.work.map.digest, this.output);
  }

  get forced(): boolean {
    return this.work.vertex.metadata.ignoreCache;
  }

  /** Finds the keys that need no result of any input. */
  fast(): Promise<Result<void>> {
    return (this.#fast ??= this.#findFast());
  }

  /** Finds keys by content as well; executes inputs only where their content is the only way to a key. */
  slow(): Promise<Result<void>> {
    return (this.#slow ??= this.#findSlow());
  }

  /** The result. */
  complete(): Promise<Result<LayerChain>> {
    return (this.#complete ??= this.#makeComplete());
  }

  /** Known keys of the inputs as alternatives of this op's record, content keys included. */
  recordInputs(): RecordInput[][] {
    return this.inputs.map((_, i) => {
      const inputs = this.#definitionInputs(i);
      const content = this.contents[i];
      if (content !== undefined) {
        inputs.push({ record: this.#build.deps.cache.ensureRoot(contentRecordDigest(content)) });
      }
      return inputs;
    });
  }

  /** Looks once more with all that is known of the inputs, then for a result. */
  async requery(): Promise<boolean> {
    this.#probeAll();
    return await this.#findResult(this.contents.some(Boolean) ? 'content' : 'definition');
  }

  /** Takes over a result that an execution or a record brought. */
  settle(chain: LayerChain, records: readonly RecordId[], identity: string): void {
    this.chain = chain;
    this.listings.fill(undefined);
    for (const record of records) this.keys.add(record);
    const first = Math.min(...this.keys);
    this.identity = Number.isFinite(first) ? `r${first}` : identity;
    this.#build.hold(chain);
  }

  async #findFast(): Promise<Result<void>> {
    const map = await this.work.cacheMap();
    if (!map.ok) return map;
    const inputs = await allOk(this.inputs.map((input) => input.fast()));
    if (!inputs.ok) return inputs;
    this.#probeAll();
    return ok(undefined);
  }

  async #findSlow(): Promise<Result<void>> {
    const fast = await this.fast();
    if (!fast.ok || this.keys.size > 0 || this.#isNew()) return fast;
    return await this.#deepen('until-key');
  }

  /**
   * No record was ever made of this op, whatever it stood on: nothing can be found, so no input is executed to find out
   * whether another one is needed. All of them are, at once.
   */
  #isNew(): boolean {
    const { cache } = this.#build.deps;
    return this.keys.size === 0 && this.inputs.length > 0 && !cache.knows(this.recordDigest);
  }

  /** Content look-up: inputs that matched nothing first; all others only when those leave no common record. */
  async #deepen(how: 'until-key' | 'all'): Promise<Result<void>> {
    if (this.inputs.length === 0 || this.forced) return ok(undefined);
    const all = this.inputs.map((_, i) => i);
    const byContent = (i: number): boolean => this.work.map.deps[i]?.hasContentKey === true;
    const unmatched = all.filter((i) => this.#matches[i]?.size === 0);
    const keys = await allOk(unmatched.map((i) => this.#slowKeys(i)));
    if (!keys.ok) return keys;
    // An input that can be found in no way makes a match impossible: nothing is executed to find out more.
    if (unmatched.some((i) => this.#matches[i]?.size === 0 && !byContent(i))) return ok(undefined);
    const still = unmatched.filter((i) => this.#matches[i]?.size === 0);
    const first = await allOk(still.map((i) => this.#content(i)));
    if (!first.ok) return first;
    const common = this.#intersect();
    if (still.some((i) => this.#matches[i]?.size === 0)) return ok(undefined);
    if (common && how === 'until-key') return ok(undefined);
    const rest = all.filter((i) => !still.includes(i));
    const more = await allOk<unknown>(
      rest.map((i) => (byContent(i) ? this.#content(i) : this.#slowKeys(i))),
    );
    if (!more.ok) return more;
    this.#intersect();
    return ok(undefined);
  }

  async #slowKeys(i: number): Promise<Result<void>> {
    const slow = await this.inputs[i]?.slow();
    if (slow?.ok === false) return slow;
    this.#probe(i);
    return ok(undefined);
  }

  async #makeComplete(): Promise<Result<LayerChain>> {
    const fast = await this.fast();
    if (!fast.ok) return fast;
    if (await this.#findResult('definition')) return ok(this.chain);
    if (!this.#isNew()) {
      const slow = await (this.keys.size > 0 ? this.#deepen('all') : this.slow());
      if (!slow.ok) return slow;
      if (await this.#findResult('content')) return ok(this.chain);
    }
    const inputs = await allOk(this.inputs.map((input) => input.complete()));
    if (!inputs.ok) return inputs;
    const { deps } = this.work.map;
    const contents = await allOk(
      this.inputs.flatMap((_, i) => (deps[i]?.hasContentKey === true ? [this.#content(i)] : [])),
    );
    if (!contents.ok) return contents;
    if (await this.requery()) return ok(this.chain);
    return await this.#build.execute(this);
  }

  /** Notes, when planning, that the step would run; keys that its record would have are there for others to be found by. */
  foresee(): void {
    this.unknown = true;
    if (!this.forced) return;
    this.inputs.forEach((_, i) => this.#probe(i));
    if (this.inputs.length === 0) this.#probeRoots();
    this.#intersect();
  }

  /** Undefined where planning ended without a result of the input. */
  #content(i: number): Promise<Result<Digest | undefined>> {
    return (this.#contentWork[i] ??= this.#computeContent(i));
  }

  async #computeContent(i: number): Promise<Result<Digest | undefined>> {
    const input = this.inputs[i];
    if (input === undefined) throw new Error(`"${this.work.name}" has no input ${i}`);
    const result = await input.complete();
    if (!result.ok) return result;
    if (input.unknown) return ok(undefined);
    this.#build.starts.throwIfAborted();
    const listed = (entries: ListedEntries): void => {
      let listing: Listing | undefined;
      this.listings[i] = () => (listing ??= listingOf(entries));
    };
    const context = { ...this.work.context(this.#build.work), listed };
    const digest = await this.#build.track(this.work.driver.contentKey(context, i, result.value));
    if (!digest.ok) {
      this.#build.fail(this.work.vertex, digest.error);
      return err(digest.error);
    }
    this.contents[i] = digest.value;
    if (!this.forced) this.#probe(i);
    return digest;
  }

  #probeAll(): void {
    if (this.forced || this.work.map.volatile === true) return;
    if (this.inputs.length === 0) this.#probeRoots();
    this.inputs.forEach((_, i) => this.#probe(i));
    this.#intersect();
  }

  #probeRoots(): void {
    for (const digest of this.#rootDigests()) {
      const root = this.#build.deps.cache.root(digest);
      if (root !== undefined) this.keys.add(root);
    }
  }

  #definitionInputs(i: number): RecordInput[] {
    const selector = this.work.map.deps[i]?.selector;
    return [...(this.inputs[i]?.keys ?? [])].map((record) =>
      selector === undefined ? { record } : { record, selector },
    );
  }

  /**
   * Finds the records below the known keys of input i. A record found by one of them is linked below the others: next
   * time any of them suffices (this is what makes a step found by content be found by definition later).
   */
  #probe(i: number): void {
    const { cache } = this.#build.deps;
    const parents = this.#definitionInputs(i);
    const content = this.contents[i];
    const root = content === undefined ? undefined : cache.root(contentRecordDigest(content));
    if (root !== undefined) parents.push({ record: root });
    const digest = this.recordDigest;
    const found = parents.map(({ record, selector }) =>
      cache.children([record], {
        input: i,
        digest,
        ...(selector === undefined ? {} : { selector }),
      }),
    );
    for (const child of new Set(found.flat())) {
      this.#matches[i]?.add(child);
      const missing = parents.filter((_, at) => found[at]?.includes(child) === false);
      if (missing.length > 0) cache.addInputs(child, i, missing);
    }
  }

  /** Adds the records that every input leads to; true when there are any. */
  #intersect(): boolean {
    const [first, ...others] = this.#matches;
    for (const record of first ?? []) {
      if (others.every((matches) => matches.has(record))) this.keys.add(record);
    }
    return this.keys.size > 0;
  }

  #rootDigests(): Digest[] {
    const { digest, alternatives = [] } = this.work.map;
    return [digest, ...alternatives].map((each) => recordDigest(each, this.output));
  }

  /** Takes the newest result of the known records whose layers can be had. */
  async #findResult(by: 'definition' | 'content'): Promise<boolean> {
    if (this.forced) return false;
    const { available, cache } = this.#build.deps;
    for (const { record, result } of this.#candidates()) {
      // Held before it is looked for: nobody can remove it in between.
      this.#build.hold(result.chain);
      if (await available(result.chain)) {
        this.#take(record, result, by);
        return true;
      }
    }
    this.evicted = this.keys.size > 0;
    for (const record of this.keys) this.eviction ??= cache.eviction?.(record);
    return false;
  }

  /** Results of the known records that this build may use, the preferred one first. */
  #candidates(): Candidate[] {
    const { cache, sources } = this.#build.deps;
    const results = [...this.keys].flatMap((record) =>
      cache.results(record).map((result) => ({ record, result })),
    );
    return byPreference(results, sources);
  }

  /** Where the result would be taken from, were it needed; undefined when the known records have none. */
  foundAt(): string | undefined {
    const [best] = this.forced ? [] : this.#candidates();
    return best === undefined ? undefined : (best.result.source ?? LOCAL_SOURCE);
  }

  #take(record: RecordId, result: CachedResult, by: 'definition' | 'content'): void {
    const { cache } = this.#build.deps;
    cache.used(record, result);
    this.source = result.source;
    if (this.inputs.length === 0) {
      // A source known by one of its names is known by all of them from now on.
      for (const digest of this.#rootDigests()) {
        if (cache.root(digest) !== undefined) continue;
        const root = cache.ensureRoot(digest);
        cache.addResult(root, result);
        this.keys.add(root);
      }
    }
    this.settle(result.chain, [record], '');
    this.#build.hit(this, by);
  }

  /** Names the work of executing this op with these inputs, the same in every process that shares the database. */
  workKey(): Digest {
    const inputs = this.inputs.map((input, i) => [this.contents[i] ?? input.identity, i]);
    return sha256(JSON.stringify([this.work.map.digest, this.work.map.volatile ?? false, inputs]));
  }
}
