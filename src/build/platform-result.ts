import { type Digest, type Failure, isRecord, parseJson, type SourceFile } from '../base/index.ts';
import type { Definition } from '../llb/index.ts';
import { ociPlatform } from '../ops/index.ts';
import type { LayerChain } from '../ports/index.ts';
import type { Lowered } from './lower-rounds.ts';
import type { PlatformResult } from './outputs.ts';

/** The result of one platform in the form that outputs are made of. */
export function platformResult(lowered: Lowered, chain: LayerChain): PlatformResult {
  const config = parseJson(lowered.imageText);
  if (!config.ok || !isRecord(config.value)) throw new Error('the front end made no configuration');
  const platform = ociPlatform(lowered.image.platform);
  return {
    chain,
    platform,
    parts: {
      chain,
      config: config.value,
      history: lowered.image.history,
      ...(lowered.baseImage === undefined ? {} : baseOf(lowered.baseImage)),
      platform,
    },
    ...(lowered.epoch === undefined ? {} : { epoch: lowered.epoch }),
  };
}

/** A template's configuration says nothing of its layers; its history does. */
function baseOf({
  history,
  rootfs,
}: NonNullable<Lowered['baseImage']>): Pick<PlatformResult['parts'], 'baseHistory' | 'baseLayers'> {
  const layers = rootfs.diff_ids?.length ?? 0;
  return { baseHistory: history, ...(layers === 0 ? {} : { baseLayers: layers }) };
}

/** The failure of a step with the place in the Dockerfile that asked for it. */
export function locate(
  failed: Failure,
  definition: Definition,
  vertex: Digest | undefined,
  file: SourceFile,
): Failure {
  if (failed.places !== undefined || vertex === undefined) return failed;
  const spans = definition.vertices.get(vertex)?.metadata.spans ?? [];
  const [span] = spans;
  return span === undefined ? failed : { ...failed, places: [{ file, span }] };
}
