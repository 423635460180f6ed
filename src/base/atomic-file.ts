import { randomBytes } from 'node:crypto';
import { mkdir, open, rename, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';

/**
 * Writes a file that appears under its name only whole: a temporary file in the same directory, fsync, rename.
 * The temporary name starts with `.tmp-`; a crash leaves at most that. `durable: false` leaves the fsync out, for files
 * that the user can make again and that no store refers to.
 */
export async function writeAtomically(
  path: string,
  data: string | Uint8Array | AsyncIterable<Uint8Array>,
  options: { readonly mode?: number; readonly durable?: boolean } = {},
): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  const tmp = join(
    dirname(path),
    `.tmp-${basename(path).slice(0, 40)}-${randomBytes(6).toString('hex')}`,
  );
  try {
    const file = await open(tmp, 'wx', options.mode ?? 0o644);
    try {
      if (typeof data === 'string' || data instanceof Uint8Array) await file.writeFile(data);
      else for await (const chunk of data) await file.write(chunk);
      if (options.durable !== false) await file.sync();
    } finally {
      await file.close();
    }
    await rename(tmp, path);
  } catch (e) {
    await rm(tmp, { force: true });
    throw e;
  }
}
