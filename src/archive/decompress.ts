import { spawn } from 'node:child_process';
import type { Transform, Writable } from 'node:stream';
import { constants, createGunzip, createZstdDecompress } from 'node:zlib';
import { FailureError, failure, isErrno } from '../base/index.ts';
import { type ExpansionOptions, withinExpansion } from './expansion.ts';
import { type FramePiece, ZstdFrameSplitter } from './zstd-frames.ts';

/** How a stream is compressed. */
export type Compression = 'none' | 'gzip' | 'zstd' | 'xz' | 'bzip2';

/** Options of `decompress`. */
export interface DecompressOptions extends Omit<ExpansionOptions, 'format'> {
  /** Found out from the first bytes when absent. */
  readonly format?: Compression;
}

const MAGICS: readonly (readonly [format: Compression, magic: readonly number[]])[] = [
  ['gzip', [0x1f, 0x8b]],
  ['zstd', [0x28, 0xb5, 0x2f, 0xfd]],
  ['xz', [0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00]],
  ['bzip2', [0x42, 0x5a, 0x68]],
];
const LONGEST_MAGIC = 6;
/** A frame that needs a larger window than this is refused (RFC 8878 recommends support of 8 MiB at least). */
const WINDOW_LOG_LIMIT = 27;
/** xz data whose decoder needs more memory than this is refused; what `xz -9` makes needs 65 MiB. */
const TOOLS = {
  xz: ['-dc', '-T1', '--memlimit-decompress=256MiB'],
  bzip2: ['-dc'],
} as const;

/** How the stream that starts with these bytes is compressed; `none` when no known magic number is there. */
export function detectCompression(head: Uint8Array): Compression {
  for (const [format, magic] of MAGICS)
    if (magic.every((byte, i) => head[i] === byte)) return format;
  // A zstd stream may start with a skippable frame.
  const skippable = ((head[0] ?? 0) & 0xf0) === 0x50;
  return skippable && head[1] === 0x2a && head[2] === 0x4d && head[3] === 0x18 ? 'zstd' : 'none';
}

/**
 * The decompressed bytes of a stream, in chunks. Damaged or truncated data, and what expands too far (`withinExpansion`), throw a
 * `FailureError`. bzip2 and xz need the tools of that name.
 */
export async function* decompress(
  source: AsyncIterable<Uint8Array>,
  options: DecompressOptions,
): AsyncGenerator<Uint8Array> {
  const { signal } = options;
  const [head, whole] = await peek(source);
  const format = options.format ?? detectCompression(head);
  const decode = (packed: AsyncIterable<Uint8Array>): AsyncIterable<Uint8Array> =>
    decoded(format, packed, signal);
  yield* withinExpansion(whole, decode, { ...options, format });
}

function decoded(
  format: Compression,
  source: AsyncIterable<Uint8Array>,
  signal: AbortSignal,
): AsyncIterable<Uint8Array> {
  switch (format) {
    case 'none':
      return source;
    case 'gzip':
      return through(source, createGunzip({ chunkSize: 128 * 1024 }), format, signal);
    case 'zstd':
      return unzstd(source, signal);
    case 'xz':
    case 'bzip2':
      return throughTool(source, format, signal);
  }
}

/** The first bytes of a stream, and the stream with them still in it. */
async function peek(
  source: AsyncIterable<Uint8Array>,
): Promise<readonly [head: Uint8Array, whole: AsyncIterable<Uint8Array>]> {
  const iterator = source[Symbol.asyncIterator]();
  const first: Uint8Array[] = [];
  let length = 0;
  while (length < LONGEST_MAGIC) {
    const next = await iterator.next();
    if (next.done === true) break;
    first.push(next.value);
    length += next.value.length;
  }
  async function* whole(): AsyncGenerator<Uint8Array> {
    try {
      yield* first;
      for (;;) {
        const next = await iterator.next();
        if (next.done === true) return;
        yield next.value;
      }
    } finally {
      await iterator.return?.();
    }
  }
  return [Buffer.concat(first).subarray(0, LONGEST_MAGIC), whole()];
}

/** Each frame through a decoder of its own. */
async function* unzstd(
  source: AsyncIterable<Uint8Array>,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array> {
  const pieces = framePieces(source)[Symbol.asyncIterator]();
  try {
    for (;;) {
      const first = await pieces.next();
      if (first.done === true) return;
      const options = {
        chunkSize: 128 * 1024,
        params: { [constants.ZSTD_d_windowLogMax]: WINDOW_LOG_LIMIT },
      };
      yield* through(oneFrame(first.value, pieces), createZstdDecompress(options), 'zstd', signal);
    }
  } finally {
    await pieces.return(undefined);
  }
}

async function* framePieces(source: AsyncIterable<Uint8Array>): AsyncGenerator<FramePiece> {
  const splitter = new ZstdFrameSplitter();
  for await (const chunk of source) {
    try {
      yield* splitter.push(chunk);
    } catch (e) {
      throw damaged('zstd', e);
    }
  }
  if (!splitter.complete) throw damaged('zstd', new Error('the last frame is cut off'));
}

async function* oneFrame(
  first: FramePiece,
  pieces: AsyncIterator<FramePiece>,
): AsyncGenerator<Uint8Array> {
  for (let piece = first; ; ) {
    yield piece.data;
    if (piece.last) return;
    const next = await pieces.next();
    if (next.done === true) return;
    piece = next.value;
  }
}

/** Pumps a stream through a transform; errors of either side end both. */
async function* through(
  source: AsyncIterable<Uint8Array>,
  transform: Transform,
  format: Compression,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array> {
  let sourceError: Error | undefined;
  const pump = feed(source, transform, signal).catch((e: unknown) => {
    sourceError = e instanceof Error ? e : new Error('the source failed', { cause: e });
    transform.destroy(sourceError);
  });
  try {
    // A transform that was not put into object mode yields buffers.
    for await (const chunk of transform) yield chunk as Buffer;
    await pump;
  } catch (e) {
    if (sourceError !== undefined) throw sourceError;
    throw damaged(format, e);
  } finally {
    transform.destroy();
    await pump;
  }
}

/** Writes a stream into a writable one, waiting whenever that is full; stops quietly when it was destroyed. */
async function feed(
  source: AsyncIterable<Uint8Array>,
  target: Writable,
  signal: AbortSignal,
): Promise<void> {
  for await (const chunk of source) {
    signal.throwIfAborted();
    if (target.destroyed) return;
    if (target.write(chunk)) continue;
    await new Promise<void>((resolve) => {
      const go = (): void => {
        target.off('drain', go).off('close', go);
        resolve();
      };
      target.on('drain', go).on('close', go);
    });
  }
  target.end();
}

async function* throughTool(
  source: AsyncIterable<Uint8Array>,
  tool: 'xz' | 'bzip2',
  signal: AbortSignal,
): AsyncGenerator<Uint8Array> {
  const child = spawn(tool, TOOLS[tool], {
    stdio: ['pipe', 'pipe', 'pipe'],
    signal,
    killSignal: 'SIGKILL',
  });
  const ended = new Promise<Error | undefined>((resolve) => {
    let text = '';
    child.stderr.on('data', (data: Buffer) => (text = (text + data.toString()).slice(-500)));
    child.on('error', resolve);
    child.on('close', (code) => resolve(code === 0 ? undefined : new Error(text.trim())));
  });
  // A tool that ended early reports its reason itself; EPIPE adds nothing.
  child.stdin.on('error', () => undefined);
  let sourceError: Error | undefined;
  const pump = feed(source, child.stdin, signal).catch((e: unknown) => {
    sourceError = e instanceof Error ? e : new Error('the source failed', { cause: e });
    child.kill('SIGKILL');
  });
  try {
    // The pipe of a child process yields buffers.
    for await (const chunk of child.stdout) yield chunk as Buffer;
    const problem = await ended;
    if (sourceError !== undefined) throw sourceError;
    if (problem === undefined) return;
    signal.throwIfAborted();
    throw isErrno(problem, 'ENOENT') ? missingTool(tool) : damaged(tool, problem);
  } finally {
    child.kill('SIGKILL');
    child.stdin.destroy();
    await ended;
    await pump;
  }
}

function missingTool(tool: string): FailureError {
  const help = `install it: apt-get install ${tool === 'xz' ? 'xz-utils' : tool}`;
  return new FailureError(
    failure('ST204', 3, `${tool} data needs the program ${tool}, which is not installed`, { help }),
  );
}

function damaged(format: string, cause: unknown): unknown {
  if (cause instanceof FailureError) return cause;
  if (!(cause instanceof Error) || cause.name === 'AbortError') return cause;
  return new FailureError(
    failure('ST202', 3, `${format} data is damaged or cut off: ${cause.message}`, { cause }),
  );
}
