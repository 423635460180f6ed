import type { Failure } from '../base/index.ts';
import type { Decision, Event, SourceAnswer } from '../events/index.ts';
import type { CacheRemote, LayerRef, RecordId } from '../ports/index.ts';
import { type Imported, noClaims, resultName } from '../remotes/index.ts';
import { type CacheSources, type Candidate, LOCAL_SOURCE } from '../solve/index.ts';
import type { CachePlace } from './request.ts';

/** The name of a cache in decisions and reports: its type and where it is; the same in every build. */
export function sourceName(place: CachePlace, remote: Pick<CacheRemote, 'name'>): string {
  const name = remote.name.startsWith(`${place.kind}:`)
    ? remote.name
    : `${place.kind}:${remote.name}`;
  return place.kind === 'local' && place.tag !== 'latest' ? `${name}@${place.tag}` : name;
}

/** What one cache of a build came to. */
export interface SourceReport {
  readonly source: string;
  readonly state: 'read' | 'unread' | 'refused';
  /** Why it was not used. */
  readonly why?: string;
  /** Steps that were looked up while it was at hand. */
  readonly asked: number;
  /** Steps that it had a result of. */
  readonly answered: number;
  /** Steps whose result was taken from it. */
  readonly used: number;
  /** Bytes that came from it: manifests, configs and layers. */
  readonly bytes: number;
}

interface Source {
  readonly name: string;
  /** Only what was verified in this build is taken. */
  signed: boolean;
  state: SourceReport['state'];
  why?: string;
  readonly known: Map<RecordId, 'result' | 'key'>;
  bytes: number;
}

/** The caches of one build in the order in which they were given: what they know, and what they served. */
export class ImportedSources implements CacheSources {
  readonly claims = noClaims();
  readonly #sources = new Map<string, Source>();
  #signed = false;
  readonly #decisions = new Map<string, Decision>();

  get given(): boolean {
    return this.#sources.size > 0;
  }

  /** Takes a cache up at the next place of the order. */
  add(name: string, { signed }: { readonly signed: boolean }): void {
    this.#signed ||= signed;
    const known = this.#sources.get(name);
    if (known !== undefined) known.signed ||= signed;
    else this.#sources.set(name, { name, signed, state: 'unread', known: new Map(), bytes: 0 });
  }

  /** Notes what a cache gave. */
  entered(name: string, { known }: Pick<Imported, 'known'>): void {
    const source = this.#of(name);
    source.state = 'read';
    for (const [record, what] of known)
      if (what === 'result' || !source.known.has(record)) source.known.set(record, what);
  }

  /** Notes that a cache is not used; one whose origin is not trusted gives nothing of what earlier builds took from it either. */
  unused(name: string, state: 'unread' | 'refused', why: Failure): void {
    const source = this.#of(name);
    source.state = state;
    source.why = why.message;
  }

  /** Notes bytes that came from a cache before any layer did. */
  read(name: string, bytes: number): void {
    this.#of(name).bytes += bytes;
  }

  /** Notes a layer that was fetched. */
  readonly fetched = (layer: LayerRef, bytes: number): void => {
    const claim = this.claims.layers.get(layer.id);
    if (claim === undefined) return;
    const other = claim.elsewhere.find((each) => each.layer.origin === layer.origin);
    this.#of(
      claim.origin === layer.origin ? claim.source : (other?.source ?? claim.source),
    ).bytes += bytes;
  };

  /** Where a layer can be had besides its first place. */
  readonly elsewhere = (layer: LayerRef): readonly LayerRef[] =>
    this.claims.layers.get(layer.id)?.elsewhere.map((each) => each.layer) ?? [];

  rank({ record, result }: Candidate): number | undefined {
    if (result.source === undefined) return 0;
    const at = [...this.#sources.keys()].indexOf(result.source);
    const source = this.#sources.get(result.source);
    // Where signatures are required, what earlier builds took from elsewhere without asking for one is not taken.
    if (source === undefined) return this.#signed ? undefined : this.#sources.size + 1;
    const verified = this.claims.results.has(resultName(record, result.chain));
    return source.signed && !verified ? undefined : at + 1;
  }

  answers(records: Iterable<RecordId>): readonly SourceAnswer[] {
    const all = [...records];
    return [...this.#sources.values()].map(({ name, state, known }) => {
      if (state !== 'read') return { source: name, answer: state };
      const found = all.map((record) => known.get(record));
      const answer = found.includes('result')
        ? 'result'
        : found.includes('key')
          ? 'key'
          : 'nothing';
      return { source: name, answer };
    });
  }

  /** Follows the decisions of the build; of a step that is decided again the last one counts. */
  readonly accept = (event: Event): void => {
    if (event.type === 'decision') this.#decisions.set(event.vertex, event.decision);
  };

  /** What every cache came to, in their order. */
  report(): readonly SourceReport[] {
    const decisions = [...this.#decisions.values()].filter((each) => each.outcome !== 'forced');
    return [...this.#sources.values()].map(({ name, state, why, bytes }) => ({
      source: name,
      state,
      ...(why === undefined ? {} : { why }),
      asked: decisions.length,
      answered: decisions.filter((each) =>
        each.asked?.some(({ source, answer }) => source === name && answer === 'result'),
      ).length,
      used: decisions.filter((each) => each.outcome === 'hit' && each.source === name).length,
      bytes,
    }));
  }

  /** Steps by the source that served them; steps that were executed are not among them. */
  served(): ReadonlyMap<string, string> {
    const hits = [...this.#decisions].filter(([, each]) => each.outcome === 'hit');
    return new Map(hits.map(([vertex, { source }]) => [vertex, source]));
  }

  /** Steps that the store itself had. */
  get local(): number {
    return [...this.served().values()].filter((source) => source === LOCAL_SOURCE).length;
  }

  #of(name: string): Source {
    const source = this.#sources.get(name);
    if (source === undefined) throw new Error(`no cache ${name} in this build`);
    return source;
  }
}
