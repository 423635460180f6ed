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
      ...(lowered.baseImage === undefined ? {} : { baseHistory: lowered.baseImage.history }),
      platform,
    },
    ...(lowered.epoch === undefined ? {} : { epoch: lowered.epoch }),
  };
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
