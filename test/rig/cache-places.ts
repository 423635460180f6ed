import { createHash } from 'node:crypto';
import { type ActionsEntry, actionsToken, startActionsCache } from './actions-cache.ts';
import { type Fault, type SeenRequest, startFaultyProxy, startRegistry } from './registry.ts';
import { S3_KEY, startS3 } from './s3.ts';

/** What a request, or a file, of a cache is about. */
export type Part = 'name' | 'manifest' | 'config' | 'layer' | 'service';

/** One cache of one type behind something that can break it. */
export interface BreakablePlace extends AsyncDisposable {
  /** The settings behind `--cache-from` and `--cache-to`. */
  readonly from: string;
  readonly to: string;
  readonly env: Readonly<Record<string, string>>;
  readonly seen: readonly SeenRequest[];
}

/** Says what becomes of a request about a part; `writes` tells requests that change something. */
export type Break = (part: Part, request: SeenRequest) => Fault | undefined;

/** Servers that hold one cache each, which is read through as many broken places as a test wants. */
export interface CacheServers extends AsyncDisposable {
  /** A place with the cache in it; `empty` is one of the same kind with nothing in it. */
  open(
    type: ServerType,
    fault: Break,
    options?: { readonly empty?: string },
  ): Promise<BreakablePlace>;
  /** Where the cache is written for `open`, before anything is broken. */
  readonly good: Readonly<Record<ServerType, BreakablePlace>>;
}

/** Types of cache that are served over a network. */
export const SERVER_TYPES = ['registry', 's3', 'gha'] as const;
export type ServerType = (typeof SERVER_TYPES)[number];

const BRANCH = 'refs/heads/main';
const none = (): undefined => undefined;

/** Starts a registry, a bucket and a cache service. */
export async function startCacheServers(): Promise<CacheServers> {
  const stack = new AsyncDisposableStack();
  const registry = stack.use(await startRegistry());
  const s3 = stack.use(await startS3());
  const actions = stack.use(await startActionsCache());
  const good = {
    registry: await registryPlace(registry.url, 'good', none),
    s3: await s3Place(s3.url, 'good', none),
    gha: ghaPlaceAt(actions, 'good'),
  };
  stack.use(good.registry);
  stack.use(good.s3);
  return {
    good,
    open: async (type, fault, { empty } = {}) => {
      const name = empty ?? 'good';
      switch (type) {
        case 'registry':
          return await registryPlace(registry.url, name, fault);
        case 's3':
          return await s3Place(s3.url, name, fault);
        case 'gha':
          return await ghaPlace(empty === undefined ? actions.entries : [], name, fault);
      }
    },
    [Symbol.asyncDispose]: () => stack[Symbol.asyncDispose](),
  };
}

async function registryPlace(url: string, name: string, fault: Break): Promise<BreakablePlace> {
  const config = { digest: '' };
  const proxy = await startFaultyProxy(url, (request) => {
    const { path } = request;
    if (path.includes('/manifests/')) return fault('manifest', request);
    if (!path.includes('/blobs/')) return undefined;
    return fault(path.endsWith(config.digest) ? 'config' : 'layer', request);
  });
  const answer = await fetch(`${url}/v2/${name}/cache/manifests/main`, {
    headers: { accept: 'application/vnd.oci.image.manifest.v1+json' },
  });
  // A manifest of the image specification, or an error without a config.
  const manifest = (await answer.json()) as { readonly config?: { readonly digest: string } };
  config.digest = manifest.config?.digest ?? 'none';
  const spec = `type=registry,ref=${proxy.host}/${name}/cache:main`;
  return {
    ...{ from: spec, to: spec, env: {}, seen: proxy.seen },
    [Symbol.asyncDispose]: () => proxy[Symbol.asyncDispose](),
  };
}

async function s3Place(url: string, name: string, fault: Break): Promise<BreakablePlace> {
  const proxy = await startFaultyProxy(url, (request) =>
    fault(request.path.includes('/manifests/') ? 'manifest' : 'layer', request),
  );
  const spec = `type=s3,bucket=cache,region=us-east-1,endpoint_url=http://${proxy.host},use_path_style=true,access_key_id=${S3_KEY},secret_access_key=${S3_KEY},prefix=${name}/`;
  return {
    ...{ from: spec, to: spec, env: {}, seen: proxy.seen },
    [Symbol.asyncDispose]: () => proxy[Symbol.asyncDispose](),
  };
}

async function ghaPlace(
  entries: readonly ActionsEntry[],
  name: string,
  fault: Break,
): Promise<BreakablePlace> {
  const index = new Set(
    entries.filter((e) => e.key.startsWith('index-')).map((e) => `/blob/d-${addressOf(e)}`),
  );
  const cache = await startActionsCache({
    fault: (request) => {
      if (request.path.startsWith('/twirp/')) return fault('service', request);
      const path = request.path.split('?')[0] ?? '';
      const reads = request.method === 'GET';
      return fault(reads && index.has(path) ? 'manifest' : 'layer', request);
    },
  });
  cache.entries.push(...entries.map((entry) => ({ ...entry })));
  return { ...ghaPlaceAt(cache, name), [Symbol.asyncDispose]: () => cache[Symbol.asyncDispose]() };
}

/** The address of an entry as the server makes it. */
export function addressOf({ scope, key, version }: ActionsEntry): string {
  return createHash('sha256').update(`${scope}|${key}|${version}`).digest('hex');
}

function ghaPlaceAt(
  cache: Awaited<ReturnType<typeof startActionsCache>>,
  name: string,
): BreakablePlace {
  const spec = `type=gha,scope=${name}`;
  return {
    ...{ from: spec, to: spec, seen: cache.seen },
    env: {
      ACTIONS_RESULTS_URL: cache.url,
      ACTIONS_RUNTIME_TOKEN: actionsToken({ [BRANCH]: 3 }),
    },
    [Symbol.asyncDispose]: () => cache[Symbol.asyncDispose](),
  };
}
