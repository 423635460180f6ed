import { chmodSync, lstatSync, mkdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import {
  type Failure,
  FailureError,
  failure,
  isErrno,
  makeDirectory,
  ok,
  type Result,
} from '../base/index.ts';
import { openStateDb, type StateDb } from '../cachedb/index.ts';
import { createContentStore, createNamesFile } from '../content/index.ts';
import type { ContentStore } from '../ports/index.ts';
import { type Io, realStoreRoot } from './io.ts';
import { storeRoot } from './store-root.ts';
import { removeUnfinished } from './unfinished.ts';

/** The store on disk, opened. */
export interface Store extends Disposable {
  readonly root: string;
  readonly content: ContentStore;
  readonly db: StateDb;
}

/** Paths below the root (docs: the store on disk). */
export const storePaths = (root: string) =>
  ({
    content: join(root, 'content'),
    snapshots: join(root, 'snapshots'),
    mounts: join(root, 'mounts'),
    packages: join(root, 'packages'),
    git: join(root, 'git'),
    contexts: join(root, 'contexts'),
    logs: join(root, 'logs'),
    run: join(root, 'run'),
    tmp: join(root, 'tmp'),
    locks: join(root, 'locks'),
    db: join(root, 'state.db'),
  }) as const;

/** Opens the store of this user, making it when absent; says when a damaged database had to be made anew. */
export function openStore(io: Io): Result<Store> {
  let root = storeRoot(io);
  try {
    makeDirectory(root, 0o700);
    root = realStoreRoot(io);
    closeToOthers(root, io.uid);
  } catch (e) {
    const known = rootFailure(e, root);
    if (known !== undefined) return { ok: false, error: known };
    throw e;
  }
  const paths = storePaths(root);
  const mask = process.umask(0o077);
  const db = openStateDb({
    path: paths.db,
    clock: io.clock,
    names: createNamesFile(paths.content),
  });
  process.umask(mask);
  if (!db.ok) return db;
  const { recovery } = db.value;
  if (recovery !== undefined) {
    const kept = `${recovery.images} image names and ${recovery.layers} layers were saved`;
    const aside = recovery.movedTo === undefined ? '' : `; the old one is ${recovery.movedTo}`;
    io.err(
      `warning[ST020]: the state database was lost or damaged and made anew: ${kept}${aside}\n`,
    );
  }
  if (db.value.abandoned > 0) removeUnfinished(root);
  const content = createContentStore(paths.content);
  return ok({ root, content, db: db.value, [Symbol.dispose]: () => db.value.close() });
}

/**
 * Layers hold programs with the rights of root, and files that were private in their image: nobody but the owner may look
 * into the store, or change what is in it. A root that the user made may be seen by others; what is in it is closed. What another user
 * put there while anybody could is refused.
 */
function closeToOthers(root: string, uid: number): void {
  const { uid: owner, mode } = statSync(root);
  if (owner !== uid) throw ofAnother(root, owner);
  if ((mode & 0o022) !== 0) chmodSync(root, mode & 0o7755);
  for (const path of Object.values(storePaths(root))) {
    const entry = lstatSync(path, { throwIfNoEntry: false });
    const stat = entry?.isSymbolicLink() === true ? statSync(path) : entry;
    if (entry === undefined || stat === undefined) {
      // Another process may make it at this moment.
      if (!path.endsWith('.db')) mkdirSync(path, { recursive: true, mode: 0o700 });
      continue;
    }
    if (entry.uid !== uid) throw ofAnother(path, entry.uid);
    if (stat.uid !== uid) throw ofAnother(path, stat.uid);
    if ((stat.mode & 0o077) !== 0) chmodSync(path, stat.mode & 0o7700);
  }
}

function ofAnother(path: string, owner: number): FailureError {
  return new FailureError(
    failure('ST023', 3, `the store ${path} belongs to another user (id ${owner})`, {
      help: 'whoever owns it could change what is built: set VARVE_ROOT to a directory of your own',
    }),
  );
}

function rootFailure(e: unknown, root: string): Failure | undefined {
  if (e instanceof FailureError) return e.failure;
  if (!isErrno(e, 'EACCES', 'EPERM', 'EROFS', 'ENOTDIR', 'ENOSPC', 'EEXIST')) return undefined;
  return failure('ST021', 3, `the store ${root} cannot be made: ${e.message}`, {
    help: 'set VARVE_ROOT to a directory that you may write',
    cause: e,
  });
}
