import { open, stat } from 'node:fs/promises';
import {
  type Digest,
  err,
  type Failure,
  FailureError,
  failure,
  isErrno,
  ok,
  type Result,
  sha256,
} from '../base/index.ts';

/** Reads a small file whole; a file that is not there, or cannot be read, is a failure. */
export async function readSmall(path: string, maxBytes: number): Promise<Result<Uint8Array>> {
  try {
    await using file = await open(path, 'r');
    const { size } = await file.stat();
    return size <= maxBytes
      ? ok(await file.readFile())
      : err(failure('RC004', 3, `${path} has ${size} bytes, more than ${maxBytes}`));
  } catch (e) {
    if (isErrno(e, 'ENOENT', 'ENOTDIR')) return err(absent(`${path} does not exist`));
    if (isErrno(e, 'EACCES', 'EISDIR', 'EIO', 'ESTALE', 'ETIMEDOUT'))
      return err(absent(`${path} cannot be read (${e.code ?? ''})`));
    throw new Error(`reading ${path}`, { cause: e });
  }
}

/** As `readSmall`, of a file that has to have this digest. */
export async function readVerified(
  path: string,
  digest: Digest,
  maxBytes: number,
): Promise<Result<Uint8Array>> {
  const bytes = await readSmall(path, maxBytes);
  if (!bytes.ok) return bytes;
  return sha256(bytes.value) === digest
    ? bytes
    : err(absent(`${path} is damaged: its bytes have another digest`));
}

/** Blobs up to here are read before they are taken for present: more than their size costs next to nothing. */
const READ_BYTES = 65_536;

/** Whether a file has the bytes of a blob, as far as that can be told without reading a large one. */
export async function holdsBlob(
  path: string,
  blob: { readonly digest: Digest; readonly size: number },
): Promise<boolean> {
  if ((await sizeOf(path)) !== blob.size) return false;
  return blob.size > READ_BYTES || (await readVerified(path, blob.digest, READ_BYTES)).ok;
}

/** Whether a file is there and can be read, and has other bytes than its digest says. */
export async function isDamaged(path: string, digest: Digest, maxBytes: number): Promise<boolean> {
  const bytes = await readSmall(path, maxBytes);
  return bytes.ok ? sha256(bytes.value) !== digest : bytes.error.code === 'RC004';
}

/** The size of a file as its server has it: opening asks anew, where names and sizes are remembered (NFS, close-to-open). */
export async function sizeOf(path: string): Promise<number | undefined> {
  try {
    await using file = await open(path, 'r');
    const found = await file.stat();
    return found.isFile() ? found.size : undefined;
  } catch (e) {
    if (isErrno(e, 'ENOENT', 'ENOTDIR', 'EACCES', 'EIO', 'ESTALE')) return undefined;
    throw new Error(`reading ${path}`, { cause: e });
  }
}

/** When a file was last written; undefined when it is gone. */
export async function modifiedAt(path: string): Promise<number | undefined> {
  try {
    return (await stat(path)).mtimeMs;
  } catch (e) {
    if (isErrno(e, 'ENOENT', 'ENOTDIR', 'ESTALE')) return undefined;
    throw new Error(`reading ${path}`, { cause: e });
  }
}

/** Something that a cache directory has not. */
export function absent(what: string): Failure {
  return failure('RC005', 3, what);
}

/** Work that writes to a cache directory; what the file system refuses is a failure. */
export async function guarded<T>(
  dir: string,
  signal: AbortSignal,
  work: () => Promise<T>,
): Promise<Result<T>> {
  try {
    return ok(await work());
  } catch (e) {
    signal.throwIfAborted();
    if (e instanceof FailureError) return err(e.failure);
    const codes = ['ENOENT', 'EACCES', 'EPERM', 'EROFS', 'ENOTDIR', 'EEXIST', 'EISDIR'];
    if (!isErrno(e, ...codes, 'ENOSPC', 'EDQUOT', 'EIO', 'ESTALE', 'ENAMETOOLONG')) throw e;
    return err(
      failure('RC006', 3, `writing the cache to ${dir}: ${e.code ?? 'an error'}`, { cause: e }),
    );
  }
}
