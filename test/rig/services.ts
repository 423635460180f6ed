import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { sha256 } from '../../src/base/index.ts';
import { createContentStore } from '../../src/content/index.ts';
import type { Descriptor } from '../../src/oci/index.ts';
import type { ContentStore } from '../../src/ports/index.ts';
import { type CacheServices, createCacheServices } from '../../src/remotes/index.ts';

/** One machine: a content store, and caches in services that hurry. */
export interface Machine extends AsyncDisposable {
  readonly content: ContentStore;
  readonly services: CacheServices;
  /** Adds a blob of random bytes. */
  blob(size: number): Promise<Descriptor>;
}

/** Makes a machine whose pauses and limits for stalls are short. */
export function machine(): Machine {
  const dir = mkdtempSync(join(tmpdir(), 'varve-services-'));
  const content = createContentStore(dir);
  const services = createCacheServices({
    content,
    clock: { now: () => performance.timeOrigin + performance.now() },
    retry: { tries: 3, firstPauseMs: 2, maxPauseMs: 20 },
    stallMs: 300,
    busyPauseMs: 5,
    blockBytes: 5 * 2 ** 20,
  });
  return {
    content,
    services,
    blob: async (size) => {
      const bytes = randomBytes(size);
      await content.put(bytes);
      return { mediaType: 'application/octet-stream', digest: sha256(bytes), size };
    },
    [Symbol.asyncDispose]: async () => {
      await services[Symbol.asyncDispose]();
      rmSync(dir, { recursive: true, force: true });
    },
  };
}

/** `ok`, or the code of a failure. */
export function codeOf(result: {
  readonly ok: boolean;
  readonly error?: { readonly code: string };
}): string {
  return result.ok ? 'ok' : (result.error?.code ?? '');
}
