import type { Digest, Span } from '../base/index.ts';
import type { Op, OpInput } from './op.ts';

/** `pb.OpMetadata` and where the op came from; never part of a digest or key. */
export interface OpMetadata {
  /** `description`, among it `llb.customname`. */
  readonly description: Readonly<Record<string, string>>;
  readonly ignoreCache: boolean;
  /** Capabilities the op needs (`pb.OpMetadata.caps`). */
  readonly caps: readonly string[];
  readonly progressGroup?: { readonly id: string; readonly name: string; readonly weak: boolean };
  /** Where in the Dockerfile (or template) the op was asked for; empty for generated ops. */
  readonly spans: readonly Span[];
}

/** One vertex of a definition. */
export interface Vertex {
  /** SHA-256 of `pb`. */
  readonly digest: Digest;
  readonly op: Op;
  /** The deterministic protobuf encoding of the op. */
  readonly pb: Uint8Array;
  readonly metadata: OpMetadata;
}

/** A graph of ops in topological order (inputs first). `result` undefined means scratch (an empty tree). */
export interface Definition {
  readonly vertices: ReadonlyMap<Digest, Vertex>;
  readonly result?: OpInput;
}
