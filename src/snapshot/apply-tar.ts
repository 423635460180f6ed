import { createHash } from 'node:crypto';
import { renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { type Digest, digestOfHex, err, failure, ok, type Result } from '../base/index.ts';
import type { FileTree } from '../cachekey/index.ts';
import { makeLayerDir } from './active-layer.ts';
import { LayerExtractor } from './extract.ts';
import { KeptTar } from './kept-tar.ts';
import type { LayerForm } from './layout.ts';
import { readFile } from './read-file.ts';
import { indexTar } from './tar-index.ts';
import type { WorkDir } from './work-dir.ts';

/** Options of `applyTar`. */
export interface ApplyOptions {
  /** The tree below the layer. */
  readonly lower: FileTree;
  readonly userXattrs: boolean;
  /** The digest that the tar has to have. */
  readonly digest: Digest | undefined;
  /** Whether the tar is kept as the data of a packed layer, where its members allow that. */
  readonly keep: boolean;
  readonly signal: AbortSignal;
}

/** Makes `layer/` of a working directory from a layer tar: extracted, or the tar itself with an index of what is in it. */
export async function applyTar(
  work: WorkDir,
  tar: AsyncIterable<Uint8Array>,
  options: ApplyOptions,
): Promise<Result<LayerForm>> {
  const hash = createHash('sha256');
  const source = hashed(tar, hash);
  if (!options.keep) return await extract(work, source, { ...options, hash });
  const kept = join(work.path, 'tar');
  {
    using keeping = new KeptTar(join(work.path, 'layer'));
    const indexed = await indexTar(keeping.keep(source), options.signal);
    if (!indexed.ok) return indexed;
    if (indexed.value !== undefined) {
      const wrong = compare(hash, options.digest);
      if (wrong.ok) keeping.finish(indexed.value);
      return wrong.ok ? ok('pack') : wrong;
    }
    renameSync(keeping.path, kept);
  }
  const done = await extract(work, readFile(kept, options.signal), { ...options, hash });
  rmSync(kept);
  return done;
}

async function extract(
  work: WorkDir,
  tar: AsyncIterable<Uint8Array>,
  options: ApplyOptions & { readonly hash: Hash },
): Promise<Result<LayerForm>> {
  const { lower, userXattrs, signal } = options;
  const extractor = new LayerExtractor({ dir: makeLayerDir(work), lower, userXattrs });
  const done = await extractor.extract(tar, signal);
  if (!done.ok) return done;
  const compared = compare(options.hash, options.digest);
  if (!compared.ok) return compared;
  return ok(done.value.dependsOnLower ? 'variant' : 'own');
}

interface Hash {
  update(data: Uint8Array): unknown;
  digest(encoding: 'hex'): string;
}

function compare(hash: Hash, expected: Digest | undefined): Result<void> {
  const actual = digestOfHex(hash.digest('hex'));
  if (expected === undefined || actual === expected) return ok(undefined);
  return err(
    failure('ST303', 3, `layer ${expected} is damaged: its content has the digest ${actual}`),
  );
}

async function* hashed(source: AsyncIterable<Uint8Array>, hash: Hash): AsyncGenerator<Uint8Array> {
  for await (const chunk of source) {
    hash.update(chunk);
    yield chunk;
  }
}
