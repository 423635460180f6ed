import type { Failure } from '../base/index.ts';
import type { LayerChain, LayerRef, MemoDb } from '../ports/index.ts';
import { suspectBlobs } from '../remotes/index.ts';

const MEMO = 'cache-origin.v1';
/** Failures that say nothing of the bytes: nobody answered, or nobody was let in. */
const UNREACHED: ReadonlySet<string> = new Set(['RG001', 'RG002', 'RC011', 'RC012', 'RC014']);

/** Notes that an origin is a cache: what it promised and lost can be made again. */
export function rememberCacheOrigin(memo: MemoDb, origin: string): void {
  if (memo.get(MEMO, origin) === undefined) memo.set(MEMO, origin, new Uint8Array([1]));
}

/**
 * Layers of imported caches that turned out not to be had, or not to be what their cache said. Results with them are no
 * results any more, so that the next look makes their steps run.
 */
export class LostLayers {
  readonly #memo: MemoDb;
  readonly #report: (layer: LayerRef, why: Failure) => void;
  readonly #lost = new Set<string>();

  constructor(memo: MemoDb, report: (layer: LayerRef, why: Failure) => void) {
    this.#memo = memo;
    this.#report = report;
  }

  /** How many are lost so far. */
  get count(): number {
    return this.#lost.size;
  }

  /** Takes note of a layer, once; layers of images from elsewhere are not this one's business. */
  readonly add = (layer: LayerRef, why: Failure): void => {
    const { origin } = layer;
    if (origin === undefined || this.#memo.get(MEMO, origin) === undefined) return;
    if (this.#lost.has(nameOf(layer))) return;
    if (layer.blob !== undefined && !UNREACHED.has(why.code))
      suspectBlobs(this.#memo).add(origin, layer.blob.digest);
    this.#lost.add(nameOf(layer));
    this.#report(layer, why);
  };

  /** Whether a result needs one of them. */
  among(chain: LayerChain): boolean {
    return this.#lost.size > 0 && chain.some((layer) => this.#lost.has(nameOf(layer)));
  }
}

const nameOf = (layer: LayerRef): string => `${layer.id} ${layer.origin ?? ''}`;
