import { createHash } from 'node:crypto';
import { type Digest, digestOfHex, FailureError, failure } from '../base/index.ts';
import type { ContentStore } from '../ports/index.ts';

/**
 * The bytes of a blob on their way out of the store, where nobody compares them with its digest again. They are hashed as
 * they go: damage fails the stream at its end (ST014) and moves the blob to the quarantine, so that it is made or fetched anew.
 */
export async function* wholeBlob(
  content: Pick<ContentStore, 'stream' | 'quarantine'>,
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
