/* The worker thread of hash-files.ts: answers each `WorkerJob` with a `WorkerAnswer`, or undefined when the file is gone. */
import { createHash } from 'node:crypto';
import { closeSync, fstatSync, openSync } from 'node:fs';
import { parentPort } from 'node:worker_threads';
import { hashOpenFile } from './hash-open-file.ts';

const buffer = Buffer.allocUnsafe(1 << 20);

parentPort?.on('message', (job: { readonly path: string | Uint8Array; header: Uint8Array }) => {
  parentPort?.postMessage(answer(job.path, job.header));
});

function answer(path: string | Uint8Array, header: Uint8Array): object | undefined {
  let fd: number;
  try {
    fd = openSync(typeof path === 'string' ? path : Buffer.from(path), 'r');
  } catch (e) {
    if (e instanceof Error && 'code' in e && e.code === 'ENOENT') return undefined;
    throw e;
  }
  try {
    const hash = createHash('sha256').update(header);
    hashOpenFile(fd, hash, buffer);
    const { dev, ino, size, mode, mtimeNs, ctimeNs } = fstatSync(fd, { bigint: true });
    return { hex: hash.digest('hex'), identity: { dev, ino, size, mode, mtimeNs, ctimeNs } };
  } finally {
    closeSync(fd);
  }
}
