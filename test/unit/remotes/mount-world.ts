import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type { Failure } from '../../../src/base/index.ts';
import { createContentStore } from '../../../src/content/index.ts';
import type { CacheRemote, ContentStore } from '../../../src/ports/index.ts';
import {
  createDirectoryRemote,
  type ExportedMount,
  exportMount,
  findMount,
  type MountKey,
  mountRemote,
  type RestoredMount,
  readMountIndex,
  restoreMount,
} from '../../../src/remotes/index.ts';

/** Bytes that look random and are the same in every run. */
export function bytes(seed: string, length: number): Buffer {
  const parts: Buffer[] = [];
  for (let i = 0; i * 32 < length; i++)
    parts.push(createHash('sha256').update(`${seed} ${i}`).digest());
  return Buffer.concat(parts).subarray(0, length);
}

export const KEY: MountKey = { id: '/pip', base: '', platform: 'linux/amd64' };
const { signal } = new AbortController();

/** A directory of a cache mount, a content store, and a directory in which caches are kept. */
export class MountWorld implements Disposable {
  readonly root = mkdtempSync(join(tmpdir(), 'varve-mounts-'));
  readonly data = join(this.root, 'data');
  readonly place = join(this.root, 'remote');
  readonly content: ContentStore = createContentStore(join(this.root, 'content'));
  now = 1_700_000_000_000;
  readonly clock = { now: (): number => this.now };
  #restores = 0;

  constructor() {
    mkdirSync(this.data);
  }

  write(path: string, data: string | Uint8Array): void {
    mkdirSync(dirname(join(this.data, path)), { recursive: true });
    writeFileSync(join(this.data, path), data);
  }

  cache(): CacheRemote {
    const { content } = this;
    const deps = { content, layout: createContentStore(this.place) };
    return createDirectoryRemote(deps, { dir: this.place, tag: 'main' });
  }

  remote(cache: CacheRemote = this.cache(), key: MountKey = KEY): CacheRemote {
    const remote = mountRemote(cache, key);
    if (!remote.ok) throw new Error(remote.error.message);
    return remote.value;
  }

  async store(
    more: { readonly cache?: CacheRemote; readonly damaged?: ExportedMount['index'] } = {},
  ): Promise<ExportedMount | 'busy' | 'empty' | 'gone' | Failure> {
    const hold = (): Promise<Disposable & { readonly path: string }> =>
      Promise.resolve({ path: this.data, [Symbol.dispose]: () => undefined });
    const mount = { key: KEY, remote: this.remote(more.cache), hold, ...more };
    const done = await exportMount(this, mount, { signal });
    return done.ok ? done.value : done.error;
  }

  /** Restores into a new directory, whose path comes with it. */
  async restore(
    more: { readonly cache?: CacheRemote; readonly have?: string } = {},
  ): Promise<{ readonly dir: string; readonly got: RestoredMount | Failure | undefined }> {
    const dir = join(this.root, `restored-${this.#restores++}`);
    mkdirSync(dir);
    const remote = this.remote(more.cache);
    const found = await findMount(remote, KEY, { signal });
    if (!found.ok) return { dir, got: found.error };
    if (found.value === undefined) return { dir, got: undefined };
    const index = await readMountIndex(found.value, { signal });
    if (!index.ok) return { dir, got: index.error };
    const { have } = more;
    const forget = (pack: Parameters<ContentStore['remove']>[0]): Promise<void> =>
      this.content.remove(pack);
    const options = { signal, remote, forget, ...(have === undefined ? {} : { have }) };
    const done = await restoreMount(dir, index.value, options);
    return { dir, got: done.ok ? done.value : done.error };
  }

  [Symbol.dispose](): void {
    rmSync(this.root, { recursive: true, force: true });
  }
}

/** Something like the cache of pip or apt: some large files, many small ones, some of both changing together. */
export function writePackages(world: MountWorld, names: readonly string[]): void {
  for (const name of names) {
    world.write(`http/${name}.body`, bytes(name, 700_000));
    for (let i = 0; i < 20; i++)
      world.write(`wheels/${name}/${i}.json`, bytes(`${name} ${i}`, 1500));
  }
}
