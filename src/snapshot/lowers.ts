import { join } from 'node:path';
import { TempDir } from '../base/index.ts';
import type { LayerChain, LayerRef } from '../ports/index.ts';
import { inUserNamespace } from '../sys/index.ts';
import type { Lowers } from './active-layer.ts';
import { ErofsForm } from './erofs-form.ts';
import type { Layout } from './layout.ts';
import { MountedLayers } from './mounted-layers.ts';
import type { PackView } from './pack-view.ts';

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
export class LowerLayers implements AsyncDisposable {
  readonly #parts: LowersParts;
  #mounted: MountedLayers | undefined;
  #isProbed = false;

  constructor(parts: LowersParts) {
    this.#parts = parts;
  }

  /** Whether packed layers can be mounted; tried once. */
  async canMount(): Promise<boolean> {
    if (this.#parts.mounting && !this.#isProbed) {
      await using work = this.#parts.layout.work();
      const form = new ErofsForm(this.#parts.layout.boot);
      if (form.obstacle(work.path) === undefined)
        this.#mounted = new MountedLayers(this.#parts.layout, form);
      this.#isProbed = true;
    }
    return this.#mounted !== undefined;
  }

  /** The directories of a chain, lowest first; mounts among them last until this is disposed. */
  async of(chain: LayerChain): Promise<Lowers> {
    const mounted = (await this.canMount()) ? this.#mounted : undefined;
    const dirs: string[] = [];
    let mixed = false;
    for (const [i, layer] of chain.entries()) {
      const part = chain.slice(0, i + 1);
      const target = mounted === undefined ? undefined : this.#mount(mounted, part);
      mixed ||= target !== undefined;
      dirs.push(target ?? (await this.#directory(part, layer)));
    }
    return { dirs, mixed };
  }

  /** The directories of a chain as directories, lowest first; packed layers are extracted now. */
  async directories(chain: LayerChain): Promise<string[]> {
    const dirs: string[] = [];
    for (const [i, layer] of chain.entries())
      dirs.push(await this.#directory(chain.slice(0, i + 1), layer));
    return dirs;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#mounted?.[Symbol.asyncDispose]();
  }

  #mount(mounted: MountedLayers, chain: LayerChain): string | undefined {
    if (this.#parts.layout.find(chain) !== undefined) return undefined;
    const packed = this.#parts.pack(chain);
    return packed === undefined ? undefined : mounted.of(packed);
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
