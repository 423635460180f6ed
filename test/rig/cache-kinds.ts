import { ok } from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { err, failure, isRecord, Secret, sha256 } from '../../src/base/index.ts';
import { openCacheRemote } from '../../src/build/cache-remotes.ts';
import type { CachePlace } from '../../src/build/index.ts';
import { createContentStore } from '../../src/content/index.ts';
import { MEDIA } from '../../src/oci/index.ts';
import { createRegistry } from '../../src/registry/index.ts';
import {
  CACHE_CONFIG_MEDIA_TYPE,
  createCacheServices,
  DIRECTORY_RULES,
} from '../../src/remotes/index.ts';
import { actionsToken, startActionsCache } from './actions-cache.ts';
import { readJson } from './cache-graph.ts';
import type { CacheParts, HostileCache, Named } from './hostile-caches.ts';
import { Recorder } from './recorder.ts';
import type { Rig } from './rig.ts';
import { S3_KEY, startS3 } from './s3.ts';

const { signal } = new AbortController();
const MAIN = 'refs/heads/main';

/** A kind of place that caches are read from: where row `name` is, and how it is named in a flag. */
export interface Kind {
  readonly form: 'manifest' | 'config';
  readonly from: (name: string) => string;
  readonly env: Readonly<Record<string, string>>;
  /** Puts blobs and the document of a row there. */
  readonly put: (name: string, blobs: readonly Uint8Array[], document: Uint8Array) => Promise<void>;
}

/** All kinds, each a service or directory of its own. */
export async function startKinds(
  rig: Rig,
  stack: AsyncDisposableStack,
): Promise<Readonly<Record<string, Kind>>> {
  const content = createContentStore(join(rig.root, 'blobs'));
  const clock = { now: () => performance.timeOrigin + performance.now() };
  const origins = stack.use(createCacheServices({ content, clock }));
  const registry = stack.use(createRegistry({ content, clock }));
  const memo = {
    get: () => undefined,
    set: () => undefined,
    setAll: () => undefined,
    remove: () => undefined,
  };
  const deps = { content, registry, origins, openLayout: createContentStore, memo };
  const through =
    (place: (name: string) => CachePlace): Kind['put'] =>
    async (name, blobs, document) => {
      // The stand-in for a memory has what is asked of it here.
      const remote = openCacheRemote(deps, place(name));
      ok(remote.ok);
      for (const bytes of blobs) {
        const blob = {
          mediaType: 'application/octet-stream',
          digest: await content.put(bytes),
          size: bytes.length,
        };
        const obtain = (): Promise<ReturnType<typeof err>> =>
          Promise.resolve(err(failure('XX000', 3, 'it is there')));
        const written = await remote.value.write(blob, { signal, obtain: obtain as never });
        ok(written.ok);
      }
      const done = await remote.value.publish(document, MEDIA.ociManifest, { signal });
      ok(done.ok);
    };
  const served = new Map<string, Uint8Array>();
  const server = stack.use(
    await Recorder.start({}, ({ path }) => {
      const body = served.get(path.split('/').at(-1) ?? '');
      return body === undefined
        ? { status: 404 }
        : { status: 200, headers: { 'content-type': MEDIA.ociManifest }, body };
    }),
  );
  const s3 = stack.use(await startS3());
  const actions = stack.use(await startActionsCache());
  const token = actionsToken({ [MAIN]: 3 });
  const [local, shared] = [join(rig.root, 'local'), join(rig.root, 'shared')];
  const bucket = `type=s3,bucket=cache,region=us-east-1,endpoint_url=${s3.url},use_path_style=true,access_key_id=${S3_KEY},secret_access_key=${S3_KEY}`;
  return {
    local: {
      form: 'manifest',
      from: (name) => `type=local,src=${local},tag=${name}`,
      env: {},
      put: through((tag) => ({ kind: 'local', dir: local, tag })),
    },
    dir: {
      form: 'manifest',
      from: (scope) => `type=dir,path=${shared},scope=${scope}`,
      env: {},
      put: through((scope) => ({ kind: 'dir', dir: shared, scope, rules: DIRECTORY_RULES })),
    },
    registry: {
      form: 'manifest',
      from: (tag) => `type=registry,ref=${server.host}/cache:${tag}`,
      env: {},
      put: (name, blobs, document) => {
        for (const bytes of blobs) served.set(sha256(bytes), bytes);
        served.set(name, document);
        return Promise.resolve();
      },
    },
    s3: {
      form: 'config',
      from: (name) => `${bucket},name=${name}`,
      env: {},
      put: through((name) => ({
        ...{
          kind: 's3',
          bucket: 'cache',
          region: 'us-east-1',
          names: [name],
          prefix: '',
          blobsPrefix: 'blobs/',
        },
        ...{
          manifestsPrefix: 'manifests/',
          endpoint: s3.url,
          pathStyle: true,
          parallel: 4,
          touchRefreshMs: 0,
        },
        credentials: { accessKeyId: new Secret(S3_KEY), secretAccessKey: new Secret(S3_KEY) },
        attempts: 1,
      })),
    },
    gha: {
      form: 'config',
      from: (scope) => `type=gha,scope=${scope}`,
      env: { ACTIONS_RESULTS_URL: actions.url, ACTIONS_RUNTIME_TOKEN: token },
      put: through((scope) => ({
        ...{ kind: 'gha', scope, branch: MAIN, pack: false },
        account: { url: actions.url, token: new Secret(token), timeoutMs: 20_000 },
      })),
    },
  };
}

/** The parts of a cache in a directory, and its blobs. */
export function partsOf(dir: string): {
  readonly parts: CacheParts;
  readonly blobs: readonly Uint8Array[];
} {
  const path = (digest: unknown): string => join(dir, 'blobs', String(digest).replace(':', '/'));
  const index = readJson<{ readonly manifests: readonly Named[] }>(join(dir, 'index.json'));
  const manifest = readJson<{ readonly config: Named; readonly layers: readonly Named[] }>(
    path(index.manifests[0]?.['digest']),
  );
  const config = readJson<CacheParts['config']>(path(manifest.config['digest']));
  const used = new Set(config.layers.map(({ blob }) => blob));
  const layers = manifest.layers
    .filter(({ digest }) => used.has(digest))
    .map(({ annotations, ...layer }) => ({
      ...layer,
      diffId: isRecord(annotations) ? annotations['containerd.io/uncompressed'] : undefined,
    }));
  return {
    parts: { layers, config },
    blobs: layers.map((layer) => readFileSync(path((layer as Named)['digest']))),
  };
}

/** The document of a hostile cache in the form of a place, and the blobs it needs besides the layers. */
export function documentOf(
  row: HostileCache,
  parts: CacheParts,
  form: Kind['form'],
): { readonly document: Uint8Array; readonly blobs: readonly Uint8Array[] } | undefined {
  const { layers = parts.layers, config = parts.config } = row.change?.(parts) ?? {};
  if (row.document !== undefined) return { document: row.document, blobs: [] };
  const listed = (Array.isArray(layers) ? layers : []) as readonly Named[];
  if (form === 'config') {
    if (row.manifest !== undefined) return undefined;
    const facts = new Map(
      listed.map(({ digest, diffId, mediaType, size }) => [
        digest,
        { mediaType, diffID: diffId, size, createdAt: '0001-01-01T00:00:00Z' },
      ]),
    );
    const rows =
      isRecord(config) && Array.isArray(config['layers'])
        ? (config['layers'] as Named[])
        : undefined;
    const annotated = rows?.map((each) => ({ ...each, annotations: facts.get(each['blob']) }));
    const whole = annotated === undefined ? config : { ...(config as Named), layers: annotated };
    return { document: Buffer.from(JSON.stringify(whole)), blobs: [] };
  }
  const bytes = Buffer.from(JSON.stringify(config));
  const named = listed.map(({ diffId, ...each }) => ({
    ...each,
    annotations: { 'containerd.io/uncompressed': diffId },
  }));
  const manifest = {
    schemaVersion: 2,
    mediaType: MEDIA.ociManifest,
    config: { mediaType: CACHE_CONFIG_MEDIA_TYPE, digest: sha256(bytes), size: bytes.length },
    layers: Array.isArray(layers) ? named : layers,
  };
  return {
    document: Buffer.from(JSON.stringify(row.manifest?.(manifest) ?? manifest)),
    blobs: [bytes],
  };
}
