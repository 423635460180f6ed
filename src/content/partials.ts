import { randomBytes } from 'node:crypto';
import { readdir, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { hexOf, isAbandoned, isErrno, livenessOf, ownIdentity, sha256 } from '../base/index.ts';

/*
 * Partial downloads in `ingest/`: `<key>.part` belongs to nobody; `<key>.<owner>.<random>.work` is being written by the
 * process `owner`. Taking one over is a rename, which only one process wins; a killed process's file is taken over too.
 */

const keyName = (partialKey: string): string => hexOf(sha256(partialKey)).slice(0, 40);

// An identity holds slashes and brackets; hexadecimal makes it a file name.
const ownerName = (): string => Buffer.from(ownIdentity()).toString('hex');

/** Takes the longest partial file of a key, or names a new one; the path is this process's alone. */
export async function claimPartial(dir: string, partialKey: string): Promise<string> {
  const name = keyName(partialKey);
  const mine = join(dir, `${name}.${ownerName()}.${randomBytes(6).toString('hex')}.work`);
  for (const { path } of await candidates(dir, name)) {
    try {
      await rename(path, mine);
      return mine;
    } catch (e) {
      // Another process was faster: the next candidate.
      if (!isErrno(e, 'ENOENT')) throw e;
    }
  }
  return mine;
}

/** Gives a partial file back under its common name, unless a longer one is there. */
export async function releasePartial(dir: string, partialKey: string, work: string): Promise<void> {
  const common = join(dir, `${keyName(partialKey)}.part`);
  const own = await lengthOf(work);
  if (own === undefined) return;
  if (own === 0 || ((await lengthOf(common)) ?? 0) > own) await rm(work, { force: true });
  else await rename(work, common);
}

/** Length of what the next `claimPartial` would take. */
export async function partialLength(dir: string, partialKey: string): Promise<number> {
  return (await candidates(dir, keyName(partialKey)))[0]?.size ?? 0;
}

async function candidates(
  dir: string,
  name: string,
): Promise<readonly { readonly path: string; readonly size: number }[]> {
  const found: { readonly path: string; readonly size: number }[] = [];
  for (const file of await namesIn(dir)) {
    if (!file.startsWith(`${name}.`)) continue;
    const [, owner = '', , kind] = file.split('.');
    const free = file === `${name}.part` || (kind === 'work' && hasEnded(owner));
    const size = free ? await lengthOf(join(dir, file)) : undefined;
    if (size !== undefined) found.push({ path: join(dir, file), size });
  }
  return found.sort((a, b) => b.size - a.size);
}

/** Removes private files of processes that ended, except those a later download resumes. */
export async function sweepIngest(dir: string, olderThanMs: number, now: number): Promise<number> {
  let removed = 0;
  for (const file of await namesIn(dir)) {
    const path = join(dir, file);
    const info = await stat(path).catch(() => undefined);
    if (info === undefined) continue;
    if (!isAbandoned(file) && now - info.mtimeMs < olderThanMs) continue;
    const [, owner = '', , kind] = file.split('.');
    if (kind === 'work' && !hasEnded(owner)) continue;
    await rm(path, { force: true });
    removed++;
  }
  return removed;
}

function hasEnded(owner: string): boolean {
  return livenessOf(Buffer.from(owner, 'hex').toString()) === 'ended';
}

async function namesIn(dir: string): Promise<string[]> {
  try {
    return await readdir(dir);
  } catch (e) {
    if (isErrno(e, 'ENOENT')) return [];
    throw e;
  }
}

async function lengthOf(path: string): Promise<number | undefined> {
  try {
    return (await stat(path)).size;
  } catch (e) {
    if (isErrno(e, 'ENOENT')) return undefined;
    throw e;
  }
}
