import { fstatSync, writeSync } from 'node:fs';

const STDOUT = 1;

/**
 * Writes to a file descriptor, all of it, in order; false when its reader has gone. A reader that takes nothing is waited for,
 * and nothing else is done meanwhile.
 */
export function writeAll(fd: number, data: string | Uint8Array): boolean {
  let rest: Uint8Array = typeof data === 'string' ? Buffer.from(data) : data;
  while (rest.length > 0) {
    try {
      rest = rest.subarray(writeSync(fd, rest));
    } catch (e) {
      const code = codeOf(e);
      if (code === 'EPIPE') return false;
      if (code !== 'EAGAIN') throw e;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 5);
    }
  }
  return true;
}

/** What becomes of a stream to standard output that is not read to its end. */
interface OutputReader {
  readonly signal: AbortSignal;
  /** Its reader has gone. */
  readonly unread: () => void;
  /** The signal came while the system held a chunk: as long as nobody reads it, the process ends only by `process.exit()`. */
  readonly stuck: () => void;
}

/**
 * Writes a stream to standard output, a chunk at a time; one whose reader takes nothing ends with the signal. A pipe and a
 * socket are written to without blocking the process, whose handlers of signals could not run otherwise.
 */
export async function writeStream(
  data: AsyncIterable<Uint8Array>,
  { signal, unread, stuck }: OutputReader,
): Promise<void> {
  signal.throwIfAborted();
  const kind = fstatSync(STDOUT);
  const waits = kind.isFIFO() || kind.isSocket();
  // Each error comes to the write as well.
  if (waits) process.stdout.on('error', ignored);
  try {
    for await (const chunk of data) {
      if (waits) await written(chunk, { signal, stuck });
      else if (!writeAll(STDOUT, chunk)) throw Object.assign(new Error('EPIPE'), { code: 'EPIPE' });
    }
  } catch (e) {
    if (codeOf(e) !== 'EPIPE' && codeOf(e) !== 'ECONNRESET') throw e;
    unread();
    signal.throwIfAborted();
    throw e;
  }
}

/** Ends when the system has taken all of a chunk. */
async function written(
  chunk: Uint8Array,
  { signal, stuck }: Pick<OutputReader, 'signal' | 'stuck'>,
): Promise<void> {
  signal.throwIfAborted();
  const { promise, resolve, reject } = Promise.withResolvers<undefined>();
  const stop = (): void => {
    stuck();
    reject(signal.reason);
  };
  signal.addEventListener('abort', stop, { once: true });
  try {
    process.stdout.write(chunk, (e) => {
      if (e) reject(e);
      else resolve(undefined);
    });
    await promise;
  } finally {
    signal.removeEventListener('abort', stop);
  }
}

const ignored = (): void => undefined;

/** The code of a failed call of the system. */
export function codeOf(e: unknown): unknown {
  return e instanceof Error && 'code' in e ? e.code : undefined;
}
