import type { RetryPolicy, Secrets } from '../http/index.ts';
import { formatReference, type Reference } from '../oci/index.ts';
import type { ContentStore } from '../ports/index.ts';
import type { Endpoint } from './hosts.ts';
import type { Session } from './session.ts';

/** The parts of a client that its operations share. */
export interface Client {
  readonly content: ContentStore;
  readonly session: Session;
  readonly secrets: Secrets;
  readonly retry: RetryPolicy;
  readonly partBytes: number;
  /** Where a reference is pulled from, best first; the last is the registry itself. */
  sources(ref: Reference): readonly Endpoint[];
}

/** Scope of token authentication for reading a repository. */
export const pullScope = (path: string): string => `repository:${path}:pull`;
/** Scope for writing to it. */
export const pushScope = (path: string): string => `repository:${path}:pull,push`;

/** The registry itself, without its mirrors. */
export function ownEndpoint(client: Client, ref: Reference): Endpoint {
  const endpoint = client.sources(ref).at(-1);
  if (endpoint === undefined) throw new Error(`no endpoint for ${formatReference(ref)}`);
  return endpoint;
}
