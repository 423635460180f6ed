import { mkdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { mountTmpfs, unmountIfMounted } from '../sys/index.ts';
import type { ErofsForm } from './erofs-form.ts';
import type { Layout } from './layout.ts';
import type { PackView } from './pack-view.ts';
import type { WorkDir } from './work-dir.ts';

/**
 * Packed layers that this process has mounted as EROFS, each once for all steps: taking mounts away is what is slow in the
 * kernel. They stand in a file system in memory, whose lazy unmount takes all of them away at once; it belongs to a working
 * directory, so that the next command removes what a dead process left.
 */
export class MountedLayers implements AsyncDisposable {
  readonly #layout: Layout;
  readonly #form: ErofsForm;
  #place: { readonly work: WorkDir; readonly dir: string } | undefined;
  readonly #targets = new Map<string, { readonly target: string; readonly inode: bigint }>();
  #made = 0;

  constructor(layout: Layout, form: ErofsForm) {
    this.#layout = layout;
    this.#form = form;
  }

  /** Where a layer is mounted; undefined when it cannot be, and has to be extracted. */
  of(pack: PackView): string | undefined {
    const known = this.#targets.get(pack.dir);
    // Another process may have removed the layer and made it anew: what is mounted is the removed one, sound or not.
    const inode = statSync(join(pack.dir, 'data'), { bigint: true }).ino;
    if (known?.inode === inode) return known.target;
    try {
      const target = join((this.#place ??= this.#makePlace()).dir, String(this.#made++));
      mkdirSync(target);
      if (!this.#form.mount(pack, target)) return undefined;
      this.#targets.set(pack.dir, { target, inode });
      return target;
    } catch (e) {
      // A full disk, no memory for one mount more, a damaged description: extracted, the layer does without what failed.
      if (e instanceof Error && 'code' in e) return undefined;
      throw e;
    }
  }

  #makePlace(): { readonly work: WorkDir; readonly dir: string } {
    const work = this.#layout.work();
    const dir = join(work.path, 'mounts');
    mkdirSync(dir);
    mountTmpfs(dir, { mode: 0o700 });
    return { work, dir };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const place = this.#place;
    this.#place = undefined;
    this.#targets.clear();
    if (place === undefined) return;
    unmountIfMounted(place.dir);
    await place.work[Symbol.asyncDispose]();
  }
}
