import { type Digest, err, failure, type Result, redact } from '../base/index.ts';
import { HttpClient, type RetryPolicy } from '../http/index.ts';
import type { Descriptor } from '../oci/index.ts';
import type {
  CacheRemote,
  Clock,
  ContentStore,
  LayerOrigins,
  TransferProgress,
} from '../ports/index.ts';
import { Entries, type EntriesDeps } from './gha/entries.ts';
import { createGhaRemote, type GhaKnown, pullGha } from './gha/gha-remote.ts';
import type { GhaAccount, GhaPlace } from './gha/place.ts';
import { Bucket } from './s3/bucket.ts';
import { placeOfOrigin, type S3Place, s3Origin } from './s3/place.ts';
import { createS3Remote, pullS3, type S3Deps } from './s3/s3-remote.ts';
import type { SuspectBlobs } from './suspect-blobs.ts';
import { unusableRemote } from './unusable-remote.ts';

/** A cache in a service that is neither a registry nor a directory. */
export type ServicePlace = GhaPlace | S3Place;

/** Caches in services; nothing of them is loaded or asked before one is used. */
export interface CacheServices extends LayerOrigins, AsyncDisposable {
  open(place: ServicePlace): CacheRemote;
}

/** What caches in services work with. */
export interface CacheServicesDeps {
  readonly content: ContentStore;
  readonly clock: Clock;
  /** URL of the proxy for a target, or undefined for a direct connection. */
  readonly proxyFor?: (url: URL) => string | undefined;
  /** The run of GitHub Actions that this is, for blobs of caches that were met in an earlier command. */
  readonly actions?: GhaAccount;
  /** Tests make pauses short. */
  readonly retry?: Partial<RetryPolicy>;
  readonly stallMs?: number;
  readonly busyPauseMs?: number;
  readonly blockBytes?: number;
  readonly suspects?: SuspectBlobs;
}

const RETRY: RetryPolicy = { tries: 7, firstPauseMs: 1000, maxPauseMs: 60_000 };
const STALL_MS = 30_000;
const BUSY_PAUSE_MS = 2000;
const GHA = 'gha+';

/** Makes the caches in services. */
export function createCacheServices(deps: CacheServicesDeps): CacheServices {
  return new Services(deps);
}

class Services implements CacheServices {
  readonly #deps: CacheServicesDeps;
  readonly #http: HttpClient;
  readonly #retry: RetryPolicy;
  /** By origin. */
  readonly #s3 = new Map<string, S3Place>();
  readonly #gha = new Map<string, GhaKnown>();

  constructor(deps: CacheServicesDeps) {
    this.#deps = deps;
    this.#retry = { ...RETRY, ...deps.retry };
    const { proxyFor } = deps;
    this.#http = new HttpClient({
      stallMs: deps.stallMs ?? STALL_MS,
      ...(proxyFor === undefined ? {} : { proxyFor }),
    });
  }

  open(place: ServicePlace): CacheRemote {
    if (place.kind === 's3') return this.#openS3(place);
    const { account, branch } = place;
    if (account === undefined || branch === undefined) return unusableGha(place);
    return createGhaRemote(
      this.#ghaDeps(),
      this.#ghaKnown(account),
      { ...place, branch },
      ghaOrigin(account.url),
    );
  }

  pull(
    origin: string,
    blob: Descriptor,
    options: { readonly signal: AbortSignal; readonly progress?: TransferProgress },
  ): Promise<Result<void>> | undefined {
    const s3 = placeOfOrigin(origin);
    if (s3 !== undefined) {
      const place = this.#s3.get(origin) ?? s3;
      const deps = this.#serviceDeps();
      return pullS3(deps, new Bucket(deps, place), place, blob, options);
    }
    if (!origin.startsWith(GHA)) return undefined;
    const { actions } = this.#deps;
    const own = actions !== undefined && ghaOrigin(actions.url) === origin;
    const known = own ? this.#ghaKnown(actions) : this.#gha.get(origin);
    return known === undefined
      ? Promise.resolve(err(failure('RC014', 3, `${origin} is open to runs of its workflow only`)))
      : pullGha(known, blob, options);
  }

  #openS3(place: S3Place): CacheRemote {
    const missing = place.bucket === undefined ? 'bucket' : 'region';
    if (place.bucket === undefined || place.region === undefined)
      return unusableRemote(
        `s3:${place.bucket ?? ''}`,
        failure('RC014', 3, `type=s3 needs ${missing}`, {
          help: `give ${missing}=, or set AWS_${missing.toUpperCase()}`,
        }),
      );
    this.#s3.set(s3Origin(place), place);
    return createS3Remote(this.#serviceDeps(), place);
  }

  #serviceDeps(): S3Deps {
    const { content, clock, blockBytes, suspects } = this.#deps;
    return {
      ...{ content, clock, http: this.#http, retry: this.#retry },
      ...(suspects === undefined ? {} : { suspects }),
      ...(blockBytes === undefined ? {} : { partBytes: blockBytes }),
    };
  }

  /** One for all names: entries are found by their keys, whoever wrote them. */
  #ghaKnown(account: GhaAccount): GhaKnown {
    const origin = ghaOrigin(account.url);
    const known = this.#gha.get(origin) ?? {
      entries: new Entries(this.#ghaDeps(), account),
      packed: new Map<Digest, { readonly key: string; readonly offset: number }>(),
    };
    this.#gha.set(origin, known);
    return known;
  }

  #ghaDeps(): EntriesDeps {
    const { content, clock, busyPauseMs = BUSY_PAUSE_MS, blockBytes } = this.#deps;
    return {
      ...{ content, clock, busyPauseMs, http: this.#http, retry: this.#retry },
      ...(blockBytes === undefined ? {} : { blockBytes }),
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#http[Symbol.asyncDispose]();
  }
}

const ghaOrigin = (url: string): string => `${GHA}${redact(new URL('/', url))}`;

function unusableGha(place: GhaPlace): CacheRemote {
  const name = `gha:${place.scope}`;
  const why =
    place.account === undefined
      ? failure('RC014', 3, `${name}: this is no run of GitHub Actions`, {
          help: 'pass ACTIONS_RESULTS_URL and ACTIONS_RUNTIME_TOKEN to the step, or give url_v2 and token',
        })
      : failure('RC014', 3, `${name}: the token of the run gives no right to this`);
  return unusableRemote(name, why);
}
