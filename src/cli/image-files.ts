import { FailureError } from '../base/index.ts';
import {
  type ImageFiles,
  imageFiles,
  type LayerFile,
  layerListing,
  type StoredImage,
} from '../image/index.ts';
import type { Store } from './store.ts';

/** The files of an image of the store, layer by layer and laid over each other. */
export async function readImageFiles(
  store: Store,
  image: StoredImage,
  options: { readonly signal: AbortSignal; readonly keep?: ReadonlySet<string> },
): Promise<ImageFiles & { readonly layers: readonly (readonly LayerFile[])[] }> {
  const layers: (readonly LayerFile[])[] = [];
  for (const layer of image.manifest.layers) {
    const listing = await layerListing(store.content, layer, options);
    if (!listing.ok) throw new FailureError(listing.error);
    layers.push(listing.value);
  }
  return { ...imageFiles(layers), layers };
}
