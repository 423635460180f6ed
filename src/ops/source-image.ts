import { err, failure, ok, type Result } from '../base/index.ts';
import { imageChainKey, imageManifestKey, sourceKey } from '../cachekey/index.ts';
import type { OpPlatform, SourceOp } from '../llb/index.ts';
import { decodeImageConfig, type Platform } from '../oci/index.ts';
import type {
  CacheMap,
  Clock,
  LayerChain,
  LayerId,
  MemoDb,
  OpContext,
  OpDriver,
  OpResult,
  Snapshotter,
} from '../ports/index.ts';
import { withLocalLayers } from './source-image-local.ts';
import type { FoundImage, ImageResolver, ResolveOptions } from './source-image-resolver.ts';

/** What the driver of image sources needs. */
export interface ImageDriverDeps {
  readonly images: ImageResolver;
  readonly clock: Clock;
  readonly memo: MemoDb;
  readonly snapshotter: Pick<Snapshotter, 'has'>;
  readonly mode: ResolveOptions['mode'];
  /** Directory of the OCI layout that a reference of `oci-layout://` means. */
  readonly layoutDir: (ref: string) => string | undefined;
}

const IMAGE = 'docker-image://';
const LAYOUT = 'oci-layout://';

/** Whether a source op is an image. */
export function isImageSource(source: SourceOp): boolean {
  return source.identifier.startsWith(IMAGE) || source.identifier.startsWith(LAYOUT);
}

/**
 * The driver of `docker-image://` and `oci-layout://`. Its result names the layers; no byte of them is fetched before a
 * step needs it. Known by manifest and platform, and by the chain of its layers (BuildKit source/containerimage).
 */
export function createImageDriver(source: SourceOp, deps: ImageDriverDeps): OpDriver {
  return {
    cacheMap: async (context): Promise<Result<CacheMap>> => {
      const platform = platformOf(context);
      if (!platform.ok) return platform;
      const image = await find(source, platform.value, context.signal, deps);
      if (!image.ok) return image;
      const chain = imageChainKey(image.value.diffIds);
      return ok({
        digest: sourceKey(imageManifestKey(image.value.top.digest, platform.value)),
        deps: [],
        ...(chain === undefined ? {} : { alternatives: [sourceKey(chain)] }),
        describes: image.value.top.digest,
      });
    },
    contentKey: () => {
      throw new Error('a source has no inputs');
    },
    run: async (context): Promise<Result<readonly OpResult[]>> => {
      const platform = platformOf(context);
      if (!platform.ok) return platform;
      const image = await find(source, platform.value, context.signal, deps);
      if (!image.ok) return image;
      return ok([await withLocalLayers(deps, imageChain(image.value, deps.clock.now()))]);
    },
  };
}

function platformOf(context: OpContext): Result<OpPlatform> {
  const { platform } = context.vertex.op;
  return platform === undefined
    ? err(failure('GR011', 2, 'an image source names no platform'))
    : ok(platform);
}

async function find(
  source: SourceOp,
  platform: OpPlatform,
  signal: AbortSignal,
  deps: ImageDriverDeps,
): Promise<Result<FoundImage>> {
  const options = { platform: ociPlatform(platform), signal, mode: deps.mode };
  if (source.identifier.startsWith(IMAGE)) {
    const mode = source.attrs['image.resolvemode'] === 'pull' ? 'registry' : deps.mode;
    return await deps.images.image(source.identifier.slice(IMAGE.length), { ...options, mode });
  }
  const ref = source.identifier.slice(LAYOUT.length);
  const dir = deps.layoutDir(ref);
  return dir === undefined
    ? err(failure('GR011', 2, `no OCI layout was given for ${ref}`))
    : await deps.images.layout(dir, ref, options);
}

/** An op's platform in the form of OCI documents. */
export function ociPlatform(p: OpPlatform): Platform {
  return {
    architecture: p.Architecture,
    os: p.OS,
    ...(p.Variant === undefined || p.Variant === '' ? {} : { variant: p.Variant }),
    ...(p.OSVersion === undefined || p.OSVersion === '' ? {} : { 'os.version': p.OSVersion }),
    ...(p.OSFeatures === undefined ? {} : { 'os.features': p.OSFeatures }),
  };
}

/** The layers of an image as a result, with the times of its history; `createdAt` is for images that name none. */
export function imageChain(image: FoundImage, createdAt: number): LayerChain {
  const config = decodeImageConfig(image.config, image.top.digest);
  const history = config.ok ? config.value.history.filter((h) => h.empty_layer !== true) : [];
  const created = config.ok ? config.value.created : undefined;
  return image.layers.map((blob, i) => {
    const time = Date.parse(history[i]?.created ?? created ?? '');
    const diffId = image.diffIds[i];
    if (diffId === undefined) throw new Error('an image has as many diffIDs as layers');
    const origin = image.origins?.[i] ?? image.origin;
    return {
      // A layer from outside is known by its diffID.
      id: diffId as string as LayerId,
      diffId,
      blob,
      ...(origin === undefined ? {} : { origin }),
      createdAt: Number.isNaN(time) ? createdAt : time,
    };
  });
}
