import { decompress, quoted, type TarEntry, TarReader } from '../archive/index.ts';
import { FailureError, ok, type Result } from '../base/index.ts';
import type { FileTree } from '../cachekey/index.ts';
import type { FileActionCopy } from '../llb/index.ts';
import type { ActionContext } from './file-actions.ts';
import { makeDirs } from './file-dirs.ts';
import { fileFailure, refusalOf } from './file-error.ts';
import type { FileLayer } from './file-layer.ts';
import type { Owner } from './file-owner.ts';
import { child, cleanPath, resolveSource } from './file-paths.ts';

/**
 * Extracts `from` into the destination when it is a local tar archive (identity, gzip, bzip2, xz or zstd, told by its
 * content); false when it is not, and nothing was done. Modes, owners and times come from the archive, except that an
 * owner that was asked for goes to every entry (BuildKit solver/llbsolver/file, `unpack`).
 */
export async function unpackArchive(
  from: string,
  copy: FileActionCopy,
  context: ActionContext,
): Promise<boolean> {
  const { source, layer, owner, pause } = context;
  const path = resolveSource(source, from, true);
  if (source.lstat(path)?.type !== 'file' || !(await isTarArchive(source, path, pause.signal)))
    return false;
  const dest = layer.resolve(cleanPath(copy.dest));
  makeDirs(layer, dest, {
    mode: 0o755,
    ...(owner === undefined ? {} : { owner }),
    ...(copy.timestamp === -1n ? {} : { mtimeNs: copy.timestamp }),
  });
  const reader = openArchive(source, path, pause.signal);
  try {
    const extraction = new Extraction({ layer, dest, owner });
    for (;;) {
      if (pause.due) await pause.wait();
      const entry = must(await reader.next(), path);
      if (entry === undefined) break;
      await extraction.add(entry, reader).catch((e: unknown) => {
        throw refusalOf(`extracting ${path}: entry ${quoted(entry.name)}`, e);
      });
    }
    extraction.finish();
  } finally {
    await reader.close();
  }
  return true;
}

function openArchive(tree: FileTree, path: string, signal: AbortSignal): TarReader {
  const size = tree.lstat(path)?.size;
  const packed = size === undefined ? {} : { packedBytes: size };
  return new TarReader(decompress(tree.read(path, signal), { signal, ...packed }));
}

/** Whether a file is a tar archive, compressed or not: its first header can be read. */
export async function isTarArchive(
  tree: FileTree,
  path: string,
  signal: AbortSignal,
): Promise<boolean> {
  const reader = openArchive(tree, path, signal);
  try {
    const first = await reader.next();
    return first.ok && first.value !== undefined;
  } catch (e) {
    // Data that starts like a compressed stream and is none.
    if (e instanceof FailureError) return false;
    throw e;
  } finally {
    await reader.close();
  }
}

function must<T>(result: Result<T>, path: string): T {
  if (result.ok) return ok(result.value).value;
  throw fileFailure(`extracting ${path}: ${result.error.message}`);
}

/** Writes archive members below one directory, which symbolic links of the archive cannot leave. */
class Extraction {
  readonly #layer: FileLayer;
  readonly #dest: string;
  readonly #owner: Owner | undefined;
  /** Times of directories, set when everything in them is written. */
  readonly #times = new Map<string, bigint>();

  constructor(parts: {
    readonly layer: FileLayer;
    readonly dest: string;
    readonly owner: Owner | undefined;
  }) {
    this.#layer = parts.layer;
    this.#dest = parts.dest;
    this.#owner = parts.owner;
  }

  async add(entry: TarEntry, reader: TarReader): Promise<void> {
    const path = this.#place(entry.name);
    const existing = this.#layer.lstat(path);
    const merges = existing?.type === 'dir' && entry.type === 'dir';
    if (existing !== undefined && !merges) {
      if (path === this.#dest) return;
      this.#layer.remove(path);
    }
    await this.#make(entry, path, { merges, reader });
    if (entry.type === 'hardlink') return;
    this.#layer.setMetadata(path, {
      owner: this.#owner ?? { uid: entry.uid, gid: entry.gid },
      ...(entry.type === 'symlink' ? {} : { mode: entry.mode }),
      xattrs: entry.xattrs,
    });
    // Times before 1970 are clamped, as Docker does.
    const mtimeNs = entry.mtimeNs < 0n ? 0n : entry.mtimeNs;
    if (entry.type === 'dir') this.#times.set(path, mtimeNs);
    else this.#layer.setMetadata(path, { mtimeNs });
  }

  finish(): void {
    for (const [path, mtimeNs] of this.#times)
      if (this.#layer.lstat(path)?.type === 'dir') this.#layer.setMetadata(path, { mtimeNs });
  }

  async #make(
    entry: TarEntry,
    path: string,
    how: { readonly merges: boolean; readonly reader: TarReader },
  ): Promise<void> {
    switch (entry.type) {
      case 'dir':
        if (!how.merges) this.#layer.makeDir(path, entry.mode);
        return;
      case 'file':
        await this.#layer.streamFile(path, how.reader.data());
        return;
      case 'symlink':
        this.#layer.makeSymlink(entry.link ?? '', path);
        return;
      case 'hardlink': {
        const target = this.#place(entry.link ?? '');
        if (!this.#layer.isOwn(target))
          throw fileFailure(
            `hard link ${quoted(entry.name)} to ${quoted(entry.link ?? '')}, which is not in the archive`,
          );
        this.#layer.link(target, path);
        return;
      }
      case 'char':
      case 'block':
      case 'fifo':
        this.#layer.makeNode(path, {
          type: entry.type,
          mode: entry.mode,
          ...(entry.device === undefined ? {} : { device: entry.device }),
        });
        return;
      default:
        return entry.type satisfies never;
    }
  }

  /** Where a member goes: its parents are looked up with the destination as root and made when they are missing. */
  #place(name: string): string {
    const clean = cleanPath(name);
    if (clean === '/') return this.#dest;
    const cut = clean.lastIndexOf('/');
    const parent = this.#layer.resolveBelow(this.#dest, clean.slice(0, cut) || '/');
    makeDirs(this.#layer, parent, { mode: 0o755 });
    return child(parent, clean.slice(cut + 1));
  }
}
