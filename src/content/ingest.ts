import { createHash, type Hash } from 'node:crypto';
import { createReadStream, statSync } from 'node:fs';
import { type FileHandle, open, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import {
  type Digest,
  digestOfHex,
  err,
  type Failure,
  failure,
  ok,
  type Result,
  temporaryName,
  writeAll,
} from '../base/index.ts';
import type { Blob, IngestOptions } from '../ports/index.ts';
import { storeFailure } from './failures.ts';
import { claimPartial, releasePartial } from './partials.ts';

interface Target {
  readonly ingestDir: string;
  pathOf(digest: Digest): string;
  /** What the caller was told of the partial download, when it asked. */
  promised(partialKey: string): number | undefined;
}

interface Written {
  readonly hash: Hash;
  size: number;
}

/**
 * Writes one blob: a private file in `ingest/`, hashed as it grows, synced, and renamed only when digest and size are the
 * promised ones. A failing stream leaves what arrived for the next attempt when there is a partial key; a wrong digest
 * never does.
 */
export async function ingestBlob(
  data: AsyncIterable<Uint8Array>,
  target: Target,
  options: IngestOptions,
): Promise<Result<Blob>> {
  const doing = `writing blob ${options.digest ?? '(new)'}`;
  const { partialKey } = options;
  const work =
    partialKey === undefined
      ? join(target.ingestDir, temporaryName('blob'))
      : await claimPartial(target.ingestDir, partialKey);
  let keep = partialKey !== undefined;
  try {
    const file = await open(work, 'a');
    let written: Written;
    try {
      written = { hash: createHash('sha256'), size: 0 };
      const resumed = await rehash(work, written, options.signal);
      const promised = partialKey === undefined ? undefined : target.promised(partialKey);
      if (promised !== undefined && promised !== resumed) {
        return err(changedMeanwhile(doing, promised, resumed));
      }
      const tooMuch = await append(file, data, written, options, doing);
      if (tooMuch !== undefined) {
        keep = false;
        return err(tooMuch);
      }
      await file.sync();
    } finally {
      await file.close();
    }
    // A stream that ended early is kept; wrong bytes are not.
    if (options.size !== undefined && written.size < options.size) {
      return err(wrongSize(doing, options.size, written.size));
    }
    keep = false;
    const digest = digestOfHex(written.hash.digest('hex'));
    const wrong = mismatch(doing, options, { digest, size: written.size });
    if (wrong !== undefined) return err(wrong);
    options.onDigest?.(digest);
    await rename(work, target.pathOf(digest));
    return ok({ digest, size: written.size });
  } catch (e) {
    const known = storeFailure(e, doing);
    if (known !== undefined) return err(known);
    throw e;
  } finally {
    if (keep && partialKey !== undefined) await releasePartial(target.ingestDir, partialKey, work);
    else await rm(work, { force: true });
  }
}

/** Feeds the kept prefix to the hash; returns its length. */
async function rehash(path: string, written: Written, signal: AbortSignal): Promise<number> {
  const { size } = await stat(path);
  if (size === 0) return 0;
  for await (const chunk of createReadStream(path, { highWaterMark: 1 << 20, signal })) {
    // A byte stream without an encoding yields buffers.
    const bytes = chunk as Buffer;
    written.hash.update(bytes);
    written.size += bytes.length;
  }
  return written.size;
}

async function append(
  file: FileHandle,
  data: AsyncIterable<Uint8Array>,
  written: Written,
  options: IngestOptions,
  doing: string,
): Promise<Failure | undefined> {
  const limit = Math.min(options.maxBytes ?? Infinity, options.size ?? Infinity);
  for await (const chunk of data) {
    options.signal.throwIfAborted();
    if (written.size + chunk.length > limit) {
      return options.size !== undefined && limit === options.size
        ? wrongSize(doing, options.size, written.size + chunk.length)
        : failure('ST012', 3, `${doing}: more than ${limit} bytes, which is the limit here`);
    }
    await writeAll(file, chunk);
    written.hash.update(chunk);
    written.size += chunk.length;
  }
  return undefined;
}

function mismatch(doing: string, want: IngestOptions, got: Blob): Failure | undefined {
  if (want.digest !== undefined && want.digest !== got.digest) {
    return failure('ST010', 3, `${doing}: the bytes have digest ${got.digest}`, {
      help: 'the source is damaged or served other data than it promised; nothing was kept',
    });
  }
  return want.size !== undefined && want.size !== got.size
    ? wrongSize(doing, want.size, got.size)
    : undefined;
}

function wrongSize(doing: string, want: number, got: number): Failure {
  return failure('ST011', 3, `${doing}: ${got} bytes arrived where ${want} were promised`);
}

function changedMeanwhile(doing: string, promised: number, found: number): Failure {
  return failure(
    'ST015',
    3,
    `${doing}: the partial download has ${found} bytes, not ${promised}: another process took it over`,
    { help: 'run the command again' },
  );
}

/** Size of a file, or undefined when there is none. A thread that asks would take ten times as long as the question. */
export function sizeOf(path: string): number | undefined {
  return statSync(path, { throwIfNoEntry: false })?.size;
}
