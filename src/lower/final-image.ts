import { normalisePlatform, type OpPlatform } from '../llb/index.ts';
import { cloneImage, type ImageConfig } from './image-config.ts';
import type { LowerRequest } from './request.ts';
import type { StageState } from './stage-state.ts';

/** The configuration of the result: that of the target with the labels of the build and the platform that was asked for. */
export function finalImage(
  target: StageState,
  request: LowerRequest,
  targetPlatform: OpPlatform,
): ImageConfig {
  const image = cloneImage(target.image);
  const labels = Object.entries(request.labels ?? {});
  if (labels.length > 0) image.config.Labels = new Map([...image.config.Labels, ...labels]);
  if (request.platform !== undefined) image.platform = withTarget(image.platform, targetPlatform);
  image.platform = normalisePlatform(image.platform);
  return image;
}

/** The platform of an image whose target was asked for: variant and version of a base for the same system stay where none is asked for. */
function withTarget(own: OpPlatform, target: OpPlatform): OpPlatform {
  const isSame = own.OS === target.OS && own.Architecture === target.Architecture;
  const kept = isSame ? own : { OSFeatures: own.OSFeatures ?? [] };
  return { ...kept, ...target };
}
