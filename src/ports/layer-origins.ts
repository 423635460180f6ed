import type { Result } from '../base/index.ts';
import type { Descriptor } from '../oci/index.ts';
import type { TransferProgress } from './registry.ts';

/** Brings blobs of layers from caches in services, by what `LayerRef.origin` says. */
export interface LayerOrigins {
  /** Into the content store; undefined when the origin is none of a service. */
  pull(
    origin: string,
    blob: Descriptor,
    options: { readonly signal: AbortSignal; readonly progress?: TransferProgress },
  ): Promise<Result<void>> | undefined;
}
