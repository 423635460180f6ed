import { join } from 'node:path';
import { err, failure, ok, type Result, Semaphore } from '../base/index.ts';
import type { Clock, Packages, WorkLocks } from '../ports/index.ts';
import type { LockedSource, RootTemplate, TemplateLock } from '../template/index.ts';
import { BlobPool, type DamageSink, type WantedBlob } from './blob-pool.ts';
import { readDeb } from './deb.ts';
import { extractDeb } from './extract.ts';
import { type HostApt, type ProxyEnvironment, readHostApt } from './host-apt.ts';
import { Fetcher, type FetchLimits, type HttpRoute } from './http.ts';
import { IndexStore } from './index-store.ts';
import { ReleaseStore } from './release-store.ts';
import { resolveRpmTemplate } from './resolve-rpm.ts';
import { type ResolveOptions, resolveTemplate } from './resolve-template.ts';
import { extractRpm, isRpm, rpmBuiltAt, verifyRpm } from './rpm-file.ts';
import { RpmIndexStore } from './rpm-index.ts';
import { type Keyring, readKeyring } from './signature.ts';

/** What packages and their indexes are kept with. */
export interface PackageStoreOptions {
  /** The store's `packages/` directory. */
  readonly root: string;
  readonly clock: Clock;
  readonly locks: WorkLocks;
  /** Where the host's `etc/apt` and `etc/os-release` are: `/`, or a made-up host in tests. */
  readonly hostRoot: string;
  readonly proxies?: ProxyEnvironment;
  /** How patient requests are. */
  readonly network?: FetchLimits;
  /** Nothing is fetched. */
  readonly offline?: boolean;
  /** Told when a package in the store was found broken and moved aside. */
  readonly onDamage: DamageSink;
}

/** Packages of Debian and of rpm, their indexes and the signed files that name them below one directory, safe for many processes. */
export interface PackageStore extends Packages, AsyncDisposable {
  /** Makes every choice that a template leaves open (`TemplateLock`). */
  resolve(template: RootTemplate, options: ResolveOptions): Promise<Result<TemplateLock>>;
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
  /** Keyrings by the text of their keys. */
  readonly #keyrings = new Map<string, Promise<Result<Keyring>>>();
  #host: Promise<HostApt> | undefined;
  /** Direct until the host's configuration is read, which is before anything is fetched. */
  #route: HttpRoute = { proxyFor: () => undefined, authorization: () => undefined };

  constructor(options: PackageStoreOptions) {
    this.#options = options;
    const route = {
      proxyFor: (url: URL) => this.#route.proxyFor(url),
      authorization: (url: URL) => this.#route.authorization(url),
    };
    this.#fetcher = new Fetcher(route, options.network);
    const { root, locks, onDamage } = options;
    this.#pool = new BlobPool({
      root: join(root, 'pool'),
      fetcher: this.#fetcher,
      locks,
      onDamage,
    });
  }

  async resolve(template: RootTemplate, options: ResolveOptions): Promise<Result<TemplateLock>> {
    const { root, clock, offline } = this.#options;
    const host = await this.#readHost();
    const how = offline === true ? { ...options, refresh: 'never' as const } : options;
    const common = {
      fetcher: this.#fetcher,
      releases: new ReleaseStore(join(root, 'release')),
      clock,
      memoDir: join(root, 'lock'),
    };
    if (template.kind === 'rpm-root') {
      const indexes = new RpmIndexStore(join(root, 'rpm-index'), this.#pool);
      return await resolveRpmTemplate({ ...common, indexes }, template, how);
    }
    const indexes = new IndexStore(join(root, 'index'), this.#pool);
    return await resolveTemplate({ ...common, indexes, host }, template, how);
  }

  async obtain(
    ...[lock, wanted, options]: Parameters<Packages['obtain']>
  ): Promise<Result<string>> {
    await this.#readHost();
    const source = lock.sources[wanted.source];
    if (source === undefined) throw new Error(`lock has no source ${wanted.source}`);
    const address = wanted.path.split('/').map(encodeURIComponent).join('/');
    const blob: WantedBlob = {
      sha256: wanted.sha256,
      size: wanted.size,
      name: `${wanted.name} ${wanted.version} (${wanted.architecture})`,
      urls: this.#options.offline === true ? [] : [`${source.uri}/${address}`],
    };
    const path = await this.#downloads.run(
      options.signal,
      async () => await this.#pool.obtain(blob, options),
    );
    if (!path.ok || lock.rpm === undefined) return path;
    const signed = await this.#checkSignature(path.value, source, blob.name);
    return signed.ok ? path : signed;
  }

  /** Packages of rpm carry a signature of their own: it is checked each time a package is used. */
  async #checkSignature(
    path: string,
    source: LockedSource,
    name: string,
  ): Promise<Result<unknown>> {
    const text = (source.keys ?? []).join('\n');
    const known = this.#keyrings.get(text) ?? readKeyring(source.keys ?? []);
    this.#keyrings.set(text, known);
    const keyring = await known;
    if (!keyring.ok) return keyring;
    const now = this.#options.clock.now();
    return await verifyRpm(path, { keyring: keyring.value, now, name });
  }

  async extract(
    ...[path, root, { signal }]: Parameters<Packages['extract']>
  ): Promise<Result<void>> {
    if (await isRpm(path)) return await extractRpm(path, root, signal);
    const deb = await readDeb(path);
    return deb.ok ? await extractDeb(deb.value, root, signal) : deb;
  }

  async builtAt(path: string): Promise<Result<number>> {
    if (await isRpm(path)) return await rpmBuiltAt(path);
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
