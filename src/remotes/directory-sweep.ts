import { randomBytes } from 'node:crypto';
import { mkdir, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { hexOf, isErrno, writeAtomically } from '../base/index.ts';
import { decodeManifest, MAX_MANIFEST_BYTES } from '../oci/index.ts';
import { type DirectoryEntry, entriesOf, namesIn, UNFINISHED } from './directory-entries.ts';
import { isDamaged, modifiedAt, readVerified } from './directory-files.ts';

/** What stays in a shared directory. */
export interface DirectoryRules {
  /** Exports of a scope that stay, the newest. */
  readonly keepExports: number;
  /** Milliseconds after which an export goes that nobody wrote again. */
  readonly keepMs: number;
  /** Milliseconds for which unfinished files, and blobs that no export names, stay: longer than any export takes. */
  readonly graceMs: number;
}

const HOUR = 3_600_000;
/** Configs that are read are no larger. */
const MAX_CONFIG = 16 << 20;

/** The newest 64 exports of a scope, for 30 days; a day for what is not finished. */
export const DIRECTORY_RULES: DirectoryRules = {
  keepExports: 64,
  keepMs: 30 * 24 * HOUR,
  graceMs: 24 * HOUR,
};

/** A directory is swept this often, by whoever exports to it next. */
const EVERY_MS = 6 * HOUR;
const STAMP = 'swept';

/** How much a sweep removed. */
export interface Swept {
  readonly exports: number;
  readonly blobs: number;
  readonly unfinished: number;
}

/** What the file server takes for now: clocks of hosts may differ from it. */
export async function serverTime(dir: string): Promise<number> {
  const probe = join(dir, `${UNFINISHED}now-${randomBytes(6).toString('hex')}`);
  try {
    await writeAtomically(probe, '', { durable: false });
    return (await modifiedAt(probe)) ?? 0;
  } finally {
    await rm(probe, { force: true });
  }
}

/** Sweeps unless that was done in the last hours. */
export async function sweepNowAndThen(
  dir: string,
  rules: DirectoryRules,
  signal: AbortSignal,
): Promise<Swept | undefined> {
  const stamp = join(dir, STAMP);
  const last = await modifiedAt(stamp);
  const now = await serverTime(dir);
  if (last !== undefined && now - last < EVERY_MS) return undefined;
  // Before the work, so that others who end their exports meanwhile leave it to this one.
  await writeAtomically(stamp, '');
  return await sweepDirectory(dir, rules, { now, signal });
}

/**
 * Removes exports beyond the rules and damaged ones, leftovers of hosts that died, and blobs that no export names any more. No lock is held:
 * a blob is first moved aside, then the exports are read once more, and it is moved back when one of them names it by now;
 * whoever exports looks for its blobs after its export is published, and writes those that are gone.
 */
export async function sweepDirectory(
  dir: string,
  rules: DirectoryRules,
  options: { readonly now: number; readonly signal: AbortSignal },
): Promise<Swept> {
  const { now, signal } = options;
  const old = now - rules.graceMs;
  const scopes = await namesIn(join(dir, 'scopes'));
  let exports = 0;
  for (const scope of scopes)
    for (const [i, entry] of (await entriesOf(dir, scope)).entries()) {
      signal.throwIfAborted();
      const stays = i < rules.keepExports && now - entry.at < rules.keepMs;
      if (stays && !(await isUseless(dir, entry))) continue;
      await rm(entry.path, { force: true });
      exports++;
    }
  let unfinished = 0;
  for (const folder of ['', 'blobs/sha256', ...scopes.map((scope) => join('scopes', scope))])
    for (const name of await namesIn(join(dir, folder))) {
      const path = join(dir, folder, name);
      if (!name.startsWith(UNFINISHED) || ((await modifiedAt(path)) ?? now) >= old) continue;
      await rm(path, { force: true });
      unfinished++;
    }
  return { exports, unfinished, blobs: await sweepBlobs(dir, old, signal) };
}

/** An export that no reader can take any more: its manifest or its config has other bytes than it had. */
async function isUseless(dir: string, { path, digest }: DirectoryEntry): Promise<boolean> {
  if (await isDamaged(path, digest, MAX_MANIFEST_BYTES)) return true;
  const bytes = await readVerified(path, digest, MAX_MANIFEST_BYTES);
  const document = bytes.ok ? decodeManifest(bytes.value, path) : bytes;
  if (!document.ok || document.value.kind === 'index') return false;
  const { config } = document.value.manifest;
  return await isDamaged(
    join(dir, 'blobs/sha256', hexOf(config.digest)),
    config.digest,
    MAX_CONFIG,
  );
}

async function sweepBlobs(dir: string, old: number, signal: AbortSignal): Promise<number> {
  const blobs = join(dir, 'blobs/sha256');
  const aside = join(dir, 'aside');
  const named = await blobsInUse(dir);
  for (const name of await namesIn(blobs)) {
    signal.throwIfAborted();
    if (named.has(name) || name.startsWith(UNFINISHED)) continue;
    if (((await modifiedAt(join(blobs, name))) ?? Number.POSITIVE_INFINITY) >= old) continue;
    await mkdir(aside, { recursive: true });
    await move(join(blobs, name), join(aside, name));
  }
  // What a sweep that died left aside is looked at too.
  const again = await blobsInUse(dir);
  let removed = 0;
  for (const name of await namesIn(aside)) {
    if (again.has(name)) await move(join(aside, name), join(blobs, name));
    else {
      await rm(join(aside, name), { force: true });
      removed++;
    }
  }
  return removed;
}

/** Moves a file that another sweep may have moved before. */
async function move(from: string, to: string): Promise<void> {
  try {
    await rename(from, to);
  } catch (e) {
    if (!isErrno(e, 'ENOENT')) throw new Error(`moving ${from}`, { cause: e });
  }
}

/** Names of the blobs that an export needs; everything, while one cannot be read. */
async function blobsInUse(dir: string): Promise<{ has(name: string): boolean }> {
  const named = new Set<string>();
  for (const scope of await namesIn(join(dir, 'scopes'))) {
    for (const { path, digest } of await entriesOf(dir, scope)) {
      named.add(hexOf(digest));
      const bytes = await readVerified(path, digest, MAX_MANIFEST_BYTES);
      const document = bytes.ok ? decodeManifest(bytes.value, path) : bytes;
      if (!document.ok) {
        if (await isThere(path)) return { has: () => true };
        continue;
      }
      const { value } = document;
      const descriptors =
        value.kind === 'index'
          ? value.index.manifests
          : [value.manifest.config, ...value.manifest.layers];
      for (const each of descriptors) named.add(hexOf(each.digest));
    }
  }
  return named;
}

async function isThere(path: string): Promise<boolean> {
  try {
    await stat(path);
    return true;
  } catch (e) {
    if (isErrno(e, 'ENOENT')) return false;
    throw new Error(`reading ${path}`, { cause: e });
  }
}
