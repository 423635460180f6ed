import type { FileTree } from '../cachekey/index.ts';
import type {
  FileAction,
  FileActionCopy,
  FileActionMkDir,
  FileActionMkFile,
  FileActionRm,
  FileActionSymlink,
} from '../llb/index.ts';
import { copySource } from './file-copy.ts';
import { makeDirs } from './file-dirs.ts';
import { fileError, fileFailure } from './file-error.ts';
import type { EntryMetadata, FileLayer } from './file-layer.ts';
import type { Owner } from './file-owner.ts';
import {
  baseName,
  child,
  cleanKeepingEnd,
  cleanPath,
  resolveSource,
  resolveWildcards,
} from './file-paths.ts';
import type { Pause } from './file-pause.ts';
import { unpackArchive } from './file-unpack.ts';

/** What one action works with. */
export interface ActionContext {
  readonly layer: FileLayer;
  /** The secondary input. */
  readonly source: FileTree;
  readonly owner: Owner | undefined;
  readonly pause: Pause;
}

/** Executes one file action on a layer (BuildKit solver/llbsolver/file). */
export async function runFileAction(
  action: FileAction['action'],
  context: ActionContext,
): Promise<void> {
  switch (action.kind) {
    case 'copy':
      await copy(action.copy, context);
      return;
    case 'mkdir':
      makeDirectory(action.mkdir, context);
      return;
    case 'mkfile':
      makeFile(action.mkfile, context);
      return;
    case 'rm':
      remove(action.rm, context.layer);
      return;
    case 'symlink':
      makeLink(action.symlink, context);
      return;
    default:
      return action satisfies never;
  }
}

async function copy(action: FileActionCopy, context: ActionContext): Promise<void> {
  const { layer, source } = context;
  if (!action.createDestPath) {
    const target = layer.resolve(cleanPath(action.dest));
    const parent = target.slice(0, target.lastIndexOf('/')) || '/';
    if (layer.lstat(parent) === undefined)
      throw fileFailure(
        `failed to stat ${action.dest}: lstat ${parent}: no such file or directory`,
      );
  }
  const pattern = cleanKeepingEnd(action.src);
  const sources = action.allowWildcard
    ? resolveWildcards(source, pattern, (dir) => resolveSource(source, dir, action.followSymlink))
    : [pattern];
  if (sources.length === 0 && !action.allowEmptyWildcard) throw fileFailure(`${pattern} not found`);
  for (const from of sources) {
    if (action.attemptUnpackDockerCompatibility && (await unpackArchive(from, action, context)))
      continue;
    await copySource({ ...context, from, copy: action });
  }
}

function makeDirectory(action: FileActionMkDir, context: ActionContext): void {
  const { layer } = context;
  const path = layer.resolve(cleanPath(action.path));
  const metadata = { ...metadataOf(action.timestamp, context.owner), mode: action.mode & 0o777 };
  if (action.makeParents) {
    makeDirs(layer, path, metadata);
    return;
  }
  if (layer.lstat(path) !== undefined) return;
  layer.makeDir(path, metadata.mode);
  layer.setMetadata(path, metadata);
}

function makeFile(action: FileActionMkFile, context: ActionContext): void {
  const { layer } = context;
  const path = layer.resolve(cleanPath(action.path));
  layer.writeFile(path, action.data, action.mode & 0o777);
  layer.setMetadata(path, metadataOf(action.timestamp, context.owner));
}

function makeLink(action: FileActionSymlink, context: ActionContext): void {
  const { layer } = context;
  const path = layer.resolve(cleanPath(action.newpath));
  layer.makeSymlink(action.oldpath, path);
  layer.setMetadata(path, metadataOf(action.timestamp, context.owner));
}

function remove(action: FileActionRm, layer: FileLayer): void {
  const resolveDir = (dir: string): string => layer.resolve(dir);
  const paths = action.allowWildcard
    ? resolveWildcards(layer, cleanKeepingEnd(action.path), resolveDir)
    : [action.path];
  for (const path of paths) {
    const clean = cleanPath(path);
    if (clean === '/' || path.endsWith('/')) throw fileFailure('rmPath: invalid empty path');
    const parent = layer.resolve(clean.slice(0, clean.lastIndexOf('/')) || '/');
    const target = child(parent, baseName(clean));
    // A dangling link counts as absent, as BuildKit asks stat(2).
    if (!action.allowNotFound && layer.lstat(layer.resolve(target)) === undefined)
      throw fileError('stat', target, 'ENOENT');
    layer.remove(target);
  }
}

/** Without an owner a new entry is root's, whoever runs the build. */
function metadataOf(timestamp: bigint, owner: Owner | undefined): EntryMetadata {
  return {
    ...(owner === undefined ? {} : { owner }),
    ...(timestamp === -1n ? {} : { mtimeNs: timestamp }),
  };
}
