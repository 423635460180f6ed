import { ok, type Result } from '../base/index.ts';
import { makeImage } from '../export/index.ts';
import type { BuiltImage } from '../image/index.ts';
import { MAX_CONFIG_BYTES } from '../oci/index.ts';
import { type FoundImage, rememberImageChain } from '../ops/index.ts';
import { type BuildEdge, type BuildOutcome, buildImage } from './build-image.ts';
import type { BuildDeps } from './deps.ts';
import { internalVertex } from './internal-step.ts';
import type { BuildRequest, StackImage } from './request.ts';

/** What came of a target, and its results where another build begins with them. */
export interface BuiltTarget {
  readonly outcome: BuildOutcome;
  /** One a platform; none where nothing was to be kept. */
  readonly images: readonly StackImage[];
}

/** Builds a target; `keep` makes its result a base for other targets. */
export async function buildTarget(
  request: BuildRequest,
  deps: BuildDeps,
  edge: BuildEdge & { readonly keep: boolean },
): Promise<Result<BuiltTarget>> {
  const images: StackImage[] = [];
  const done = await buildImage(request, deps, {
    ...edge,
    take: async (results, outputs) => {
      if (!edge.keep) return ok(undefined);
      const title = `keeping the result of ${request.name}`;
      return await internalVertex(deps, title, async (step) => {
        const context = { signal: edge.signal, emit: deps.emit, vertex: step.op };
        const options = { compression: 'gzip' as const, force: false, mediaTypes: 'oci' as const };
        const parts = results.map((result) => result.parts);
        const made = await makeImage(outputs, parts, { ...options, names: [] }, context);
        if (!made.ok) return made;
        for (const built of made.value.images) {
          const found = await foundImageOf(deps, built);
          if (!found.ok) return found;
          images.push({ image: found.value, platform: built.platform });
        }
        return ok(undefined);
      });
    },
  });
  return done.ok ? ok({ outcome: done.value, images }) : done;
}

/** An image that was made in this process in the form of one that was found. */
export async function foundImageOf(
  deps: Pick<BuildDeps, 'content' | 'memo'>,
  built: BuiltImage,
): Promise<Result<FoundImage>> {
  const config = await deps.content.read(built.config.digest, { maxBytes: MAX_CONFIG_BYTES });
  if (!config.ok) return config;
  const diffIds = built.layers.map(({ diffId }) => diffId);
  const chain = built.layers.map(({ layer }) => layer);
  rememberImageChain(deps.memo, chain, diffIds);
  return ok({
    top: built.manifest,
    manifest: { descriptor: built.manifest, bytes: new Uint8Array() },
    config: config.value,
    configDescriptor: built.config,
    layers: built.layers.map(({ blob }) => blob),
    diffIds,
    origins: chain.map(({ origin }) => origin),
  });
}
