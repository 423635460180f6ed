import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { FileEntry, FileTree, FileType } from '../cachekey/index.ts';
import type { LayerChain, LayerId, LayerRef, PackedEntry, PackedLayer } from '../ports/index.ts';
import { join as joinPath, parentOf } from './layer-path.ts';
import { isSame } from './layer-tar.ts';
import { type CopySource, PackData, type StoredData } from './pack-data.ts';
import { type Compared, dataOf, indexOf, namesByDir, withoutOverlay } from './pack-rows.ts';
import type { EarlierPacks } from './recent-packs.ts';

interface PackedParts {
  readonly id: LayerId;
  readonly parents: LayerChain;
  readonly lower: FileTree;
  /** Directory of the layer to be. */
  readonly dir: string;
  readonly earlier: EarlierPacks | undefined;
  /** Whether the kernel is to read the data where it is. */
  readonly aligned: boolean;
  readonly install: (chain: LayerChain) => Promise<void>;
  readonly drop: () => Promise<void>;
}

/** A layer being recorded: its data goes to the working directory at once, its entries when it is committed. */
export class RecordedLayer implements PackedLayer {
  readonly #parts: PackedParts;
  readonly #data: PackData;
  #state: 'open' | 'committed' | 'dropped' = 'open';

  constructor(parts: PackedParts) {
    this.#parts = parts;
    this.#data = new PackData(parts.dir, parts);
  }

  get id(): LayerId {
    return this.#parts.id;
  }

  get parents(): LayerChain {
    return this.#parts.parents;
  }

  get lower(): FileTree {
    return this.#parts.lower;
  }

  copy(from: CopySource, signal: AbortSignal): StoredData | Promise<StoredData> {
    return this.#data.copy(from, signal);
  }

  write(data: Uint8Array): StoredData {
    return this.#data.write(data);
  }

  stream(data: AsyncIterable<Uint8Array>): Promise<StoredData> {
    return this.#data.stream(data);
  }

  async commit(
    entries: ReadonlyMap<string, PackedEntry>,
    options: { readonly createdAt: number; readonly signal: AbortSignal },
  ): Promise<LayerRef> {
    if (this.#state !== 'open') throw new Error('the layer is finished');
    const { dir, lower } = this.#parts;
    this.#data.finish();
    const names = namesByDir(entries);
    const against = await this.#compare(entries, names, lower, options.signal);
    for (const path of against.deleted)
      if (!entries.has(path))
        names.get(parentOf(path))?.push(path.slice(path.lastIndexOf('/') + 1));
    const bytes = indexOf({ entries, names, compared: against, data: this.#data });
    writeFileSync(join(dir, 'entries'), bytes, { flag: 'wx', mode: 0o600 });
    const ref: LayerRef = { id: this.id, createdAt: options.createdAt };
    await this.#parts.install([...this.parents, ref]);
    this.#state = 'committed';
    await this.#parts.drop();
    return ref;
  }

  /** Compares with the tree below, going only into directories that both have. */
  async #compare(
    entries: ReadonlyMap<string, PackedEntry>,
    names: ReadonlyMap<string, readonly string[]>,
    lower: FileTree,
    signal: AbortSignal,
  ): Promise<Compared> {
    const same = new Set<string>();
    const deleted = new Set<string>();
    const enter = async (path: string, opaque: boolean): Promise<void> => {
      const own = names.get(path) ?? [];
      if (opaque)
        for (const name of lower.list(path))
          if (!entries.has(joinPath(path, name))) deleted.add(joinPath(path, name));
      for (const name of own) {
        signal.throwIfAborted();
        const child = joinPath(path, name);
        const below = lower.lstat(child);
        const entry = entries.get(child);
        if (below === undefined || entry === undefined) continue;
        if (entry.type === 'whiteout') {
          deleted.add(child);
          continue;
        }
        const as = entryOf(entry, entry.type);
        const read = (): AsyncIterable<Uint8Array> => this.#data.read(dataOf(entry), signal);
        if (await isSame({ entry: as, read }, below, lower, child, signal)) same.add(child);
        if (entry.type === 'dir' && below.type === 'dir')
          await enter(child, opaque || entry.opaque === true);
      }
    };
    await enter('/', false);
    return { same, deleted };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#state !== 'open') return;
    this.#state = 'dropped';
    this.#data.close();
    await this.#parts.drop();
  }
}

function entryOf(entry: PackedEntry, type: FileType): FileEntry {
  const { mode, uid, gid, mtimeNs, link, device } = entry;
  return {
    type,
    mode,
    uid,
    gid,
    size: entry.data?.size ?? 0,
    mtimeNs,
    xattrs: withoutOverlay(entry.xattrs),
    ...(link === undefined ? {} : { link }),
    ...(device === undefined ? {} : { device }),
  };
}
