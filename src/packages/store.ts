import { join } from 'node:path';
import { err, failure, ok, type Result, Semaphore } from '../base/index.ts';
import type { Clock, Packages, WorkLocks } from '../ports/index.ts';
import type { Template, TemplateLock } from '../template/index.ts';
import { BlobPool, type DamageSink, type WantedBlob } from './blob-pool.ts';
import { readDeb } from './deb.ts';
import { extractDeb } from './extract.ts';
import { type HostApt, type ProxyEnvironment, readHostApt } from './host-apt.ts';
import { Fetcher, type HttpRoute } from './http.ts';
import { IndexStore } from './index-store.ts';
import { ReleaseStore } from './release-store.ts';
import { type ResolveOptions, resolveTemplate } from './resolve-template.ts';

/** What packages and their indexes are kept with. */
export interface PackageStoreOptions {
  /** The store's `packages/` directory. */
  readonly root: string;
  readonly clock: Clock;
  readonly locks: WorkLocks;
  /** Where the host's `etc/apt` and `etc/os-release` are: `/`, or a made-up host in tests. */
  readonly hostRoot: string;
  readonly proxies?: ProxyEnvironment;
  /** Nothing is fetched. */
  readonly offline?: boolean;
  /** Told when a package in the store was found broken and moved aside. */
  readonly onDamage: DamageSink;
}

/** Debian packages, their indexes and Release files below one directory, safe for many processes. */
export interface PackageStore extends Packages, AsyncDisposable {
  /** Makes every choice that a template leaves open (`TemplateLock`). */
  resolve(template: Template, options: ResolveOptions): Promise<Result<TemplateLock>>;
}

/** Downloads at a time; mirrors ask for few connections. */
const CONCURRENT_DOWNLOADS = 6;

/** Opens the package store. Nothing is read or made before it is used. */
export function createPackageStore(options: PackageStoreOptions): PackageStore {
  return new Store(options);
}

class Store implements PackageStore {
  readonly #options: PackageStoreOptions;
  readonly #fetcher: Fetcher;
  readonly #pool: BlobPool;
  readonly #downloads = new Semaphore(CONCURRENT_DOWNLOADS);
  #host: Promise<HostApt> | undefined;
  /** Direct until the host's configuration is read, which is before anything is fetched. */
  #route: HttpRoute = { proxyFor: () => undefined, authorization: () => undefined };

  constructor(options: PackageStoreOptions) {
    this.#options = options;
    this.#fetcher = new Fetcher({
      proxyFor: (url) => this.#route.proxyFor(url),
      authorization: (url) => this.#route.authorization(url),
    });
    const { root, locks, onDamage } = options;
    this.#pool = new BlobPool({
      root: join(root, 'pool'),
      fetcher: this.#fetcher,
      locks,
      onDamage,
    });
  }

  async resolve(template: Template, options: ResolveOptions): Promise<Result<TemplateLock>> {
    const { root, clock, offline } = this.#options;
    return await resolveTemplate(
      {
        fetcher: this.#fetcher,
        releases: new ReleaseStore(join(root, 'release')),
        indexes: new IndexStore(join(root, 'index'), this.#pool),
        host: await this.#readHost(),
        clock,
        memoDir: join(root, 'lock'),
      },
      template,
      offline === true ? { ...options, refresh: 'never' } : options,
    );
  }

  async obtain(
    ...[lock, wanted, options]: Parameters<Packages['obtain']>
  ): Promise<Result<string>> {
    await this.#readHost();
    const source = lock.sources[wanted.source];
    if (source === undefined) throw new Error(`lock has no source ${wanted.source}`);
    const path = wanted.path.split('/').map(encodeURIComponent).join('/');
    const blob: WantedBlob = {
      sha256: wanted.sha256,
      size: wanted.size,
      name: `${wanted.name} ${wanted.version} (${wanted.architecture})`,
      urls: this.#options.offline === true ? [] : [`${source.uri}/${path}`],
    };
    return await this.#downloads.run(
      options.signal,
      async () => await this.#pool.obtain(blob, options),
    );
  }

  async extract(
    ...[path, root, { signal }]: Parameters<Packages['extract']>
  ): Promise<Result<void>> {
    const deb = await readDeb(path);
    return deb.ok ? await extractDeb(deb.value, root, signal) : deb;
  }

  async builtAt(path: string): Promise<Result<number>> {
    const deb = await readDeb(path);
    if (!deb.ok) return deb;
    return deb.value.builtAt > 0
      ? ok(deb.value.builtAt)
      : err(failure('PK041', 3, `${path} does not say when it was built`));
  }

  async #readHost(): Promise<HostApt> {
    this.#host ??= readHostApt(this.#options.hostRoot, this.#options.proxies);
    const host = await this.#host;
    this.#route = host.route;
    return host;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#fetcher[Symbol.asyncDispose]();
  }
}
