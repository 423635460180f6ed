import { byCodeUnit, type Digest, FailureError, isErrno } from '../base/index.ts';
import { entryHeader } from '../cachekey/index.ts';
import { DigestFile } from './digest-file.ts';
import { entryOf, statOf } from './disk-entry.ts';
import { isImageSound } from './erofs-form.ts';
import { join, namesIn } from './layer-path.ts';
import { nameOf, readMeta } from './layout.ts';
import { LARGE } from './pack-index.ts';
import { PackView } from './pack-view.ts';

/** Something in a layer's directory that is not what it was. */
export interface LayerFault {
  /**
   * `file`: the layer cannot be used; `memo`: what is remembered of it is damaged, `image`: what describes it to the kernel,
   * the layer itself is not.
   */
  readonly what: 'file' | 'meta' | 'memo' | 'image';
  readonly text: string;
}

/** What reading a layer directory came to. */
export interface LayerReport {
  readonly faults: readonly LayerFault[];
  readonly files: number;
  readonly bytes: number;
  /** Files whose digest was not known: there was nothing to compare with; it is remembered from now on. */
  readonly recorded: number;
  /** Files of which no digest is kept: they were not compared with anything. */
  readonly unchecked: number;
}

/**
 * Compares every file of a layer directory, its metadata included, with the digest that is remembered of it, and its note
 * with its name. Digests are those of `FileTree.digest`: what is remembered here is what content keys are made of.
 */
export async function verifyLayer(
  dir: string,
  options: {
    readonly signal: AbortSignal;
    /** Hashes files: those of a layer at once. */
    readonly hash: (files: readonly LayerFile[]) => Promise<void>;
  },
): Promise<LayerReport> {
  const { signal, hash } = options;
  const faults: LayerFault[] = [];
  const name = dir.slice(dir.lastIndexOf('/') + 1);
  const meta = readMeta(dir);
  if (meta === undefined) faults.push({ what: 'meta', text: 'meta.json cannot be read' });
  else if (name !== nameOf(meta.id) && !name.startsWith(`${nameOf(meta.id)}.`))
    faults.push({ what: 'meta', text: 'meta.json names another layer than the directory' });
  const memo = new DigestFile(join(dir, 'digests'));
  const torn = memo.damagedLines();
  if (torn > 0) faults.push({ what: 'memo', text: `digests has ${torn} damaged lines` });
  if (name.endsWith('.pack')) return verifyPack(dir, faults, signal);
  let [files, bytes, recorded] = [0, 0, 0];
  const digests: (readonly [path: string, digest: Digest])[] = [];
  const jobs = [...filesIn(join(dir, 'fs'), '/')].flatMap((path) => {
    signal.throwIfAborted();
    const job = jobOf(join(join(dir, 'fs'), path), (digest) => digests.push([path, digest]));
    return job === undefined ? [] : [job];
  });
  await hash(jobs);
  for (const { size } of jobs) bytes += size;
  for (const [path, digest] of digests.sort(([a], [b]) => byCodeUnit(a, b))) {
    files++;
    const known = memo.get(path);
    if (known === undefined) {
      recorded++;
      if (faults.length === 0) memo.set(path, digest);
    } else if (known !== digest) {
      faults.push({ what: 'file', text: `${path} has the digest ${digest}, not ${known}` });
    }
  }
  return { faults, files, bytes, recorded, unchecked: 0 };
}

/** A file of a layer to be hashed: SHA-256 of `header` and its data. */
export interface LayerFile {
  readonly path: string;
  readonly header: Uint8Array;
  readonly size: number;
  isSame(now: { readonly ctimeNs: bigint }): boolean;
  /** Undefined: the layer was removed meanwhile. */
  done(digest: Digest | undefined): void;
}

function jobOf(path: string, done: (digest: Digest) => void): LayerFile | undefined {
  const stat = statOf(path);
  if (stat === undefined) return undefined;
  const { ctimeNs } = stat;
  return {
    path,
    header: entryHeader(entryOf(path, stat)),
    size: Number(stat.size),
    isSame: (now) => now.ctimeNs === ctimeNs,
    done: (digest) => {
      if (digest !== undefined) done(digest);
    },
  };
}

/** Compares the small files of a packed layer with their checksums; large ones have none. */
function verifyPack(dir: string, faults: LayerFault[], signal: AbortSignal): LayerReport {
  let [files, bytes, unchecked] = [0, 0, 0];
  try {
    const pack = new PackView(dir, dir);
    for (const [path, row] of pack.walk()) {
      signal.throwIfAborted();
      if (pack.index.type(row) !== 'file') continue;
      files++;
      bytes += pack.index.size[row] ?? 0;
      if (((pack.index.flags[row] ?? 0) & LARGE) !== 0) unchecked++;
      else if (!isSound(pack, row))
        faults.push({ what: 'file', text: `${path} is not as written` });
    }
    if (!isImageSound(pack)) faults.push({ what: 'image', text: 'erofs is not what entries say' });
  } catch (e) {
    if (!(e instanceof FailureError)) throw e;
    faults.push({ what: 'file', text: 'entries cannot be read' });
  }
  return { faults, files, bytes, recorded: 0, unchecked };
}

function isSound(pack: PackView, row: number): boolean {
  try {
    for (const _part of pack.parts(row)) continue;
    return true;
  } catch (e) {
    if (e instanceof FailureError || isErrno(e, 'ENOENT')) return false;
    throw e;
  }
}

function* filesIn(root: string, path: string): Generator<string> {
  for (const name of namesIn(join(root, path))) {
    const child = join(path, name);
    const stat = statOf(join(root, child));
    if (stat?.isDirectory() === true) yield* filesIn(root, child);
    else if (stat?.isFile() === true) yield child;
  }
}
