import { createHash, randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { readdir, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { isErrno, isRecord, parseJson } from '../base/index.ts';
import type { LayerChain, LayerId } from '../ports/index.ts';
import { removeIfOrphan, WorkDir } from './work-dir.ts';

/** What is written beside a layer's directory; its presence makes the layer real. */
export interface LayerMeta {
  readonly id: LayerId;
  /** Boot of the machine in which it was written: after another boot only a layer marked `synced` is trusted. */
  readonly boot: string;
}

/** How the ids of packed layers begin. */
export const PACKED = 'new:packed:';

/**
 * How a layer is kept: extracted under its own name, extracted for the layers below it (`variant`), or packed.
 */
export type LayerForm = 'own' | 'variant' | 'pack';

/**
 * Where things lie below the snapshotter's root:
 *
 *     layers/<name>/fs, meta.json, synced, digests            extracted and committed layers
 *     layers/<name>.pack/entries, data, large/, erofs, meta.json, synced, digests    packed layers; extracted, they have both
 *     recent/<hash>                                           packed layers by what made them (RecentPacks)
 *     work/<random>/lock, layer/, work*, mount*               what a live process works with
 *
 * `<name>` is made of the layer's id, and for a layer that took something from those below it also of their ids. A working
 * directory belongs to the process that holds the lock on its `lock` file; another may remove it once it gets that lock.
 */
export class Layout {
  readonly #root: string;
  readonly #boot: string;
  /** Directories that this process found whole, with the time of their note. */
  readonly #whole = new Map<string, number>();
  readonly #names = new Map<LayerId, string>();

  constructor(root: string) {
    this.#root = root;
    this.#boot = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
    mkdirSync(join(root, 'layers'), { recursive: true });
    mkdirSync(join(root, 'work'), { recursive: true });
  }

  /** Directory of the top layer of a chain when it is there and whole. */
  find(chain: LayerChain): string | undefined {
    const top = chain.at(-1);
    if (top === undefined) return undefined;
    const own = this.packPath(this.#nameOf(top.id));
    if (this.#isWhole(own)) return own;
    // A step asks for each layer below it several times: the name is made of all of them only when it is needed.
    const variant = this.packPath(variantOf(chain));
    return this.#isWhole(variant) ? variant : undefined;
  }

  /** Directory of the packed form of a layer when it is there and whole. */
  findPack(id: LayerId): string | undefined {
    const dir = this.packPath(packName(this.#nameOf(id)));
    return this.#isWhole(dir) ? dir : undefined;
  }

  /** Whether a directory that was found holds the packed form. */
  isPack(dir: string): boolean {
    return dir.endsWith('.pack');
  }

  /** Where a packed layer lies, by the name of its directory. */
  packPath(name: string): string {
    return join(this.#root, 'layers', name);
  }

  /** Directories of all variants of a layer. */
  async variants(id: LayerId): Promise<string[]> {
    const names = await readdir(join(this.#root, 'layers'));
    return names
      .filter((name) => name === nameOf(id) || name.startsWith(`${nameOf(id)}.`))
      .map((name) => join(this.#root, 'layers', name));
  }

  /** The boot that layers are trusted in without a mark. */
  get boot(): string {
    return this.#boot;
  }

  /** Moves a finished layer to its name. A layer that is there already wins: it is the same. */
  async install(work: WorkDir, chain: LayerChain, as: LayerForm): Promise<string> {
    const id = chain.at(-1)?.id;
    if (id === undefined) throw new Error('an empty chain has no layer to install');
    const meta: LayerMeta = { id, boot: this.#boot };
    const from = join(work.path, 'layer');
    writeFileSync(join(from, 'meta.json'), JSON.stringify(meta));
    const names = { own: nameOf(id), variant: variantOf(chain), pack: packNameOf(id) };
    const to = join(this.#root, 'layers', names[as]);
    for (;;) {
      try {
        await rename(from, to);
        return to;
      } catch (e) {
        if (!isErrno(e, 'ENOTEMPTY', 'EEXIST')) throw e;
        if (this.#isWhole(to)) return to;
        await this.discard(to);
      }
    }
  }

  /** A new working directory, owned by this process until disposed. */
  work(): WorkDir {
    return new WorkDir(join(this.#root, 'work', randomBytes(6).toString('hex')));
  }

  /** Removes a layer directory: it disappears in one step, then its files go. */
  async discard(dir: string): Promise<void> {
    await using work = this.work();
    try {
      await rename(dir, join(work.path, 'dead'));
    } catch (e) {
      if (!isErrno(e, 'ENOENT')) throw e;
    }
  }

  /** Layer directories with their ids, whole ones only. */
  async *layers(): AsyncGenerator<{ readonly dir: string; readonly id: LayerId }> {
    for (const name of await readdir(join(this.#root, 'layers'))) {
      const dir = join(this.#root, 'layers', name);
      const meta = readMeta(dir);
      if (meta !== undefined && this.#isWhole(dir, meta)) yield { dir, id: meta.id };
    }
  }

  /** Removes what dead processes left and layers that a crash of the machine may have torn. */
  async sweep(): Promise<void> {
    await this.sweepWork();
    for (const name of await readdir(join(this.#root, 'layers'))) {
      const dir = join(this.#root, 'layers', name);
      if (!this.#isWhole(dir)) await this.discard(dir);
    }
  }

  /** Removes the working directories of dead processes. */
  async sweepWork(): Promise<void> {
    for (const name of await readdir(join(this.#root, 'work')))
      await removeIfOrphan(join(this.#root, 'work', name));
  }

  /** A note is read again only when it was written again. A step asks several times for each layer below it. */
  #isWhole(dir: string, meta?: LayerMeta): boolean {
    const note = join(dir, 'meta.json');
    const stat = statSync(note, { throwIfNoEntry: false });
    if (stat === undefined) return false;
    if (this.#whole.get(dir) === stat.mtimeMs) return true;
    const { boot } = meta ?? readMeta(dir) ?? {};
    if (boot === undefined) return false;
    const isWhole = boot === this.#boot || existsSync(join(dir, 'synced'));
    if (isWhole) this.#whole.set(dir, stat.mtimeMs);
    return isWhole;
  }

  #nameOf(id: LayerId): string {
    const known = this.#names.get(id);
    if (known !== undefined) return known;
    const name = nameOf(id);
    this.#names.set(id, name);
    return name;
  }
}

/** The note beside a layer's files; undefined when it is missing or damaged. */
export function readMeta(dir: string): LayerMeta | undefined {
  let text: string;
  try {
    text = readFileSync(join(dir, 'meta.json'), 'utf8');
  } catch (e) {
    if (isErrno(e, 'ENOENT', 'ENOTDIR')) return undefined;
    throw e;
  }
  const parsed = parseJson(text);
  if (!parsed.ok || !isRecord(parsed.value)) return undefined;
  const { id, boot } = parsed.value;
  if (typeof id !== 'string' || typeof boot !== 'string') return undefined;
  // Brand: the text was written by `install`.
  return { id: id as LayerId, boot };
}

/** The name of the directory of a layer that took nothing from those below it. */
export function nameOf(id: LayerId): string {
  return createHash('sha256').update(id).digest('hex').slice(0, 24);
}

/** Name of the directory of a layer's packed form. */
export function packNameOf(id: LayerId): string {
  return packName(nameOf(id));
}

const packName = (name: string): string => `${name}.pack`;

function variantOf(chain: LayerChain): string {
  const ids = chain.map((layer) => layer.id);
  const below = createHash('sha256').update(ids.slice(0, -1).join('\0')).digest('hex');
  // The caller's chain is not empty.
  return `${nameOf(ids.at(-1) ?? ('' as LayerId))}.${below.slice(0, 16)}`;
}
