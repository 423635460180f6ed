import { createHash } from 'node:crypto';
import { type Digest, digestOfHex } from './digest.ts';
import { FailureError, failure } from './failure.ts';
import { err, ok, type Result } from './result.ts';

/** The part of a content store that bytes leave it through. */
export interface BlobSource {
  stream(
    digest: Digest,
    options: { readonly signal: AbortSignal; readonly start?: number },
  ): AsyncIterable<Uint8Array>;
  quarantine(digest: Digest, why: string): Promise<void>;
}

/**
 * The bytes of a blob on their way out of the store, where nobody compares them with its digest again. They are hashed as
 * they go: damage fails the stream at its end (ST014) and moves the blob to the quarantine, so that it is made or fetched anew.
 */
export async function* wholeBlob(
  content: BlobSource,
  digest: Digest,
  options: { readonly signal: AbortSignal },
): AsyncGenerator<Uint8Array> {
  const hash = createHash('sha256');
  for await (const chunk of content.stream(digest, options)) {
    hash.update(chunk);
    yield chunk;
  }
  if (digestOfHex(hash.digest('hex')) === digest) return;
  await content.quarantine(digest, 'its bytes have another digest');
  throw new FailureError(
    failure('ST014', 3, `blob ${digest} is damaged on disk; it was moved to the quarantine`, {
      help: 'run the command again: it is fetched or made anew',
    }),
  );
}

/** Whether a blob is what its digest says, asked before it goes to where a name cannot be taken back; damage as `wholeBlob`. */
export async function soundBlob(
  content: BlobSource,
  digest: Digest,
  options: { readonly signal: AbortSignal },
): Promise<Result<void>> {
  try {
    for await (const _chunk of wholeBlob(content, digest, options)) continue;
    return ok(undefined);
  } catch (e) {
    if (e instanceof FailureError) return err(e.failure);
    throw e;
  }
}
