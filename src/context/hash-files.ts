import { createHash } from 'node:crypto';
import { closeSync, fstatSync, openSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { Worker } from 'node:worker_threads';
import { awaitAll, type Digest, digestOfHex, fsPath, isErrno } from '../base/index.ts';
import { hashOpenFile, readHashed } from './hash-open-file.ts';
import type { FileIdentity } from './identity.ts';

/** A file to hash: SHA-256 of `header` and the data. */
export interface HashJob {
  readonly path: string;
  readonly header: Uint8Array;
  readonly size: number;
  /** Whether the file is what it was when it was walked. */
  isSame(now: FileIdentity): boolean;
  /** Undefined: it is not. */
  done(digest: Digest | undefined): void;
}

/** Files from this size on go to worker threads when they are many bytes together. */
const LARGE = 1 << 20;
const WORTH_A_WORKER = 32 << 20;
/** Enough for nearly all headers; files with longer ones are read in pieces. */
const HEADER_ROOM = 4096;
/** How long the event loop may be held. */
const SLICE_MS = 15;

/**
 * Hashes files: small ones here in slices (opening and reading them costs more than hashing), large ones on worker
 * threads.
 */
export async function hashFiles(
  jobs: readonly HashJob[],
  options: {
    readonly signal: AbortSignal;
    readonly progress?: (bytes: number) => void;
    /** Worker threads at most; 4 when absent. */
    readonly threads?: number;
  },
): Promise<void> {
  const large = jobs.filter((job) => job.size >= LARGE);
  const bytes = large.reduce((sum, job) => sum + job.size, 0);
  const parallel = bytes >= WORTH_A_WORKER;
  let done = 0;
  const report = (size: number): void => {
    done += size;
    options.progress?.(done);
  };
  const workers = parallel ? hashOnWorkers(large, { ...options, report }) : Promise.resolve();
  // Awaited below; a failure meanwhile must not count as unhandled.
  workers.catch(() => undefined);
  await hashHere(parallel ? jobs.filter((job) => job.size < LARGE) : jobs, options.signal, report);
  await workers;
}

async function hashHere(
  jobs: readonly HashJob[],
  signal: AbortSignal,
  report: (size: number) => void,
): Promise<void> {
  // Room for the header and one byte more.
  const buffer = Buffer.allocUnsafe(LARGE + HEADER_ROOM);
  let until = performance.now() + SLICE_MS;
  for (const job of jobs) {
    job.done(hashNow(job, buffer));
    report(job.size);
    if (performance.now() > until) {
      await new Promise(setImmediate);
      signal.throwIfAborted();
      until = performance.now() + SLICE_MS;
    }
  }
}

function hashNow(job: HashJob, buffer: Buffer): Digest | undefined {
  let fd: number;
  try {
    fd = openSync(fsPath(job.path), 'r');
  } catch (e) {
    if (isErrno(e, 'ENOENT')) return undefined;
    throw e;
  }
  try {
    const hex = hexOfOpen(fd, job, buffer);
    const same = hex !== undefined && job.isSame(fstatSync(fd, { bigint: true }));
    return same ? digestOfHex(hex) : undefined;
  } finally {
    closeSync(fd);
  }
}

function hexOfOpen(fd: number, job: HashJob, buffer: Buffer): string | undefined {
  const { header, size } = job;
  if (header.length + size + 1 <= buffer.length)
    return readHashed(fd, { header, size }, buffer)?.hex;
  const sum = createHash('sha256').update(header);
  hashOpenFile(fd, sum, buffer);
  return sum.digest('hex');
}

/** What a worker is told, and what it answers. */
export interface WorkerJob {
  readonly path: string | Uint8Array;
  readonly header: Uint8Array;
}
export interface WorkerAnswer {
  readonly hex: string;
  readonly identity: FileIdentity;
}

/** Beside this file when it runs from source, beside the bundle otherwise (scripts/build.ts). */
const WORKER = new URL(
  import.meta.url.endsWith('.ts') ? './hash-worker.ts' : './hash-worker.mjs',
  import.meta.url,
);

async function hashOnWorkers(
  jobs: readonly HashJob[],
  options: {
    readonly signal: AbortSignal;
    readonly threads?: number;
    readonly report: (size: number) => void;
  },
): Promise<void> {
  const { signal, threads = 4, report } = options;
  const queue = [...jobs].sort((a, b) => b.size - a.size);
  const count = Math.min(availableParallelism(), threads, queue.length);
  await awaitAll(
    Array.from({ length: count }, async () => {
      const worker = new Worker(WORKER);
      try {
        for (let job = queue.shift(); job !== undefined; job = queue.shift()) {
          job.done(await askWorker(worker, job, signal));
          report(job.size);
        }
      } finally {
        await worker.terminate();
      }
    }),
  );
}

async function askWorker(
  worker: Worker,
  job: HashJob,
  signal: AbortSignal,
): Promise<Digest | undefined> {
  signal.throwIfAborted();
  const { promise, resolve, reject } = Promise.withResolvers<WorkerAnswer | undefined>();
  const onAbort = (): void => reject(signal.reason as Error);
  signal.addEventListener('abort', onAbort, { once: true });
  worker.once('message', resolve);
  worker.once('error', reject);
  try {
    const question: WorkerJob = { path: fsPath(job.path), header: job.header };
    worker.postMessage(question);
    const answer = await promise;
    if (answer === undefined || !job.isSame(answer.identity)) return undefined;
    return digestOfHex(answer.hex);
  } finally {
    signal.removeEventListener('abort', onAbort);
    worker.removeAllListeners('message');
    worker.removeAllListeners('error');
  }
}
