import { join } from 'node:path';
import { isErrno, TempDir } from '../base/index.ts';
import type { LayerChain, LayerRef } from '../ports/index.ts';
import { inUserNamespace } from '../sys/index.ts';
import type { Lowers } from './active-layer.ts';
import { ErofsForm, unmountLayer } from './erofs-form.ts';
import type { Layout } from './layout.ts';
import type { PackView } from './pack-view.ts';
import type { WorkDir } from './work-dir.ts';

/** How layers that an overlay is made of are found. */
export interface LowersParts {
  readonly layout: Layout;
  /** Whether to mount packed layers at all. */
  readonly mounting: boolean;
  readonly pack: (chain: LayerChain) => PackView | undefined;
  /** Makes the directory of a packed layer. */
  readonly extract: (layer: LayerRef, pack: PackView) => Promise<string>;
}

/** What overlays are made of: directories of layers where they are, packed layers mounted as EROFS or extracted. */
export class LowerLayers {
  readonly #parts: LowersParts;
  #form: ErofsForm | undefined;
  #isProbed = false;

  constructor(parts: LowersParts) {
    this.#parts = parts;
  }

  /** Whether packed layers can be mounted; tried once. */
  async canMount(): Promise<boolean> {
    if (this.#parts.mounting && !this.#isProbed) {
      await using work = this.#parts.layout.work();
      const form = new ErofsForm(this.#parts.layout.boot);
      if (form.obstacle(work.path) === undefined) this.#form = form;
      this.#isProbed = true;
    }
    return this.#form !== undefined;
  }

  /** The directories of a chain, lowest first; mounts are below `work`, and last until the result is disposed. */
  async of(chain: LayerChain, work: WorkDir): Promise<Lowers> {
    const form = (await this.canMount()) ? this.#form : undefined;
    const dirs: string[] = [];
    const mounts: string[] = [];
    const lowers = {
      dirs,
      get mixed() {
        return mounts.length > 0;
      },
      [Symbol.dispose]: () => {
        for (const target of mounts.splice(0)) unmountLayer(target);
      },
    };
    try {
      for (const [i, layer] of chain.entries()) {
        const part = chain.slice(0, i + 1);
        const mounted = form === undefined ? undefined : this.#mount(form, part, work);
        if (mounted !== undefined) mounts.push(mounted);
        dirs.push(mounted ?? (await this.#directory(part, layer)));
      }
    } catch (e) {
      lowers[Symbol.dispose]();
      throw e;
    }
    return lowers;
  }

  /** The directories of a chain as directories, lowest first; packed layers are extracted now. */
  async directories(chain: LayerChain): Promise<string[]> {
    const dirs: string[] = [];
    for (const [i, layer] of chain.entries())
      dirs.push(await this.#directory(chain.slice(0, i + 1), layer));
    return dirs;
  }

  #mount(form: ErofsForm, chain: LayerChain, work: WorkDir): string | undefined {
    const { layout, pack } = this.#parts;
    if (layout.find(chain) !== undefined) return undefined;
    const packed = pack(chain);
    if (packed === undefined) return undefined;
    try {
      return form.mount(packed, work.path);
    } catch (e) {
      // A full disk has no room for the description either; the kernel may have no memory for one mount more.
      if (isErrno(e, 'ENOSPC', 'EDQUOT', 'ENOMEM', 'ENFILE')) return undefined;
      throw e;
    }
  }

  async #directory(chain: LayerChain, layer: LayerRef): Promise<string> {
    const found = this.#parts.layout.find(chain);
    if (found !== undefined) return join(found, 'fs');
    const pack = this.#parts.pack(chain);
    if (pack === undefined) throw notHere(layer);
    return join(await this.#parts.extract(layer, pack), 'fs');
  }
}

/** Why layers of a store on the file system of `dir` cannot be mounted as EROFS; undefined when they can. */
export async function obstacleToMounting(dir: string): Promise<string | undefined> {
  if (inUserNamespace()) return 'EROFS cannot be mounted in a user namespace';
  await using work = await TempDir.create(dir, 'varve-erofs-');
  return new ErofsForm('').obstacle(work.path);
}

/** A caller's mistake: it has to see to it that a layer is here before it works with it. */
export function notHere(layer: LayerRef): Error {
  return new Error(`layer ${layer.id} is not extracted`);
}
