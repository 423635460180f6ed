import { byCodeUnit, type GoJson, ok, type Result } from '../base/index.ts';
import type { FileTree } from '../cachekey/index.ts';
import {
  type InstalledPackage,
  installedApks,
  installedPackages,
  npmPackage,
  pythonPackage,
  spdxDocument,
} from '../disk/index.ts';
import { familiarReference, parseReference } from '../oci/index.ts';

/** What an inventory is made with. */
export interface InventoryWorld {
  /** Of the result: a tag or the context. */
  readonly name: string;
  /** Milliseconds since the Unix epoch. */
  readonly at: number;
  /** Reads rpm's database, which is one of SQLite. */
  readonly readRpms: (database: Uint8Array) => Promise<Result<readonly InstalledPackage[]>>;
  readonly signal: AbortSignal;
}

/** An SPDX document of the packages in a tree, by what package managers keep there: those of distributions, pip and npm. */
export async function inventory(tree: FileTree, world: InventoryWorld): Promise<Result<GoJson>> {
  const files = new Files(tree, world.signal);
  const packages: InstalledPackage[] = [];
  for (const status of await debianStatus(files)) packages.push(...installedPackages(status));
  const apk = await files.text('/lib/apk/db/installed');
  if (apk !== undefined) packages.push(...installedApks(apk));
  for (const path of RPM_DATABASES) {
    const bytes = await files.bytes(path);
    const rpms = bytes === undefined ? ok([]) : await world.readRpms(bytes);
    if (!rpms.ok) return rpms;
    packages.push(...rpms.value);
  }
  packages.push(...(await libraries(files)));
  const release = await files.text('/etc/os-release');
  const distribution = /^ID="?([^"\n]*)"?$/m.exec(release ?? '')?.[1] ?? 'linux';
  const time = Math.floor(world.at / 1000);
  const subject = { ...named(world.name), distribution, purpose: 'CONTAINER', time } as const;
  return ok(spdxDocument(subject, packages));
}

/** Before and since it moved below /usr. */
const RPM_DATABASES = ['/var/lib/rpm/rpmdb.sqlite', '/usr/lib/sysimage/rpm/rpmdb.sqlite'];

/** A tag as a name and a version; a context is a name alone. */
function named(text: string): { readonly name: string; readonly version: string } {
  const ref = parseReference(text);
  if (!ref.ok || ref.value.tag === undefined) return { name: text, version: 'latest' };
  const { tag, ...rest } = ref.value;
  return { name: familiarReference(rest), version: tag };
}

/** Small files of a tree. */
class Files {
  readonly tree: FileTree;
  readonly signal: AbortSignal;

  constructor(tree: FileTree, signal: AbortSignal) {
    this.tree = tree;
    this.signal = signal;
  }

  async bytes(path: string): Promise<Buffer | undefined> {
    if (this.tree.lstat(path)?.type !== 'file') return undefined;
    const chunks: Uint8Array[] = [];
    for await (const chunk of this.tree.read(path, this.signal)) chunks.push(Buffer.from(chunk));
    return Buffer.concat(chunks);
  }

  async text(path: string): Promise<string | undefined> {
    return (await this.bytes(path))?.toString('utf8');
  }
}

/** dpkg's database, and the one of images without dpkg: a file for each package. */
async function debianStatus(files: Files): Promise<readonly string[]> {
  const single = await files.text('/var/lib/dpkg/status');
  const all = single === undefined ? [] : [single];
  const dir = '/var/lib/dpkg/status.d';
  const more: string[] = [];
  for (const name of files.tree.list(dir)) {
    const one = name.endsWith('.md5sums') ? undefined : await files.text(`${dir}/${name}`);
    // Files of this form do not say that a package is installed: it is, or it would have none.
    if (one !== undefined) more.push(`Status: install ok installed\n${one.trim()}`);
  }
  return more.length === 0 ? all : [...all, more.join('\n\n')];
}

/** What pip and npm installed, by format, name and version; a package that is there twice is listed once. */
async function libraries(files: Files): Promise<readonly InstalledPackage[]> {
  const { tree, signal } = files;
  const found = new Map<string, InstalledPackage>();
  const stack = [''];
  for (let dir = stack.pop(); dir !== undefined; dir = stack.pop()) {
    signal.throwIfAborted();
    for (const name of tree.list(dir === '' ? '/' : dir)) {
      const path = `${dir}/${name}`;
      const one = await libraryAt(files, path);
      if (one !== undefined) found.set(one.id, one);
      if (tree.lstat(path)?.type === 'dir' && !PSEUDO.has(path)) stack.push(path);
    }
  }
  return [...found.values()].sort((a, b) => byCodeUnit(a.id, b.id));
}

/** Nothing is installed there. */
const PSEUDO = new Set(['/proc', '/sys', '/dev']);

const PYTHON =
  /\/(?:site|dist)-packages\/[^/]+(?:\.dist-info\/METADATA|\.egg-info(?:\/PKG-INFO)?)$/;
const NPM = /\/node_modules\/(?:@[^/]+\/)?[^/@][^/]*\/package\.json$/;

async function libraryAt(files: Files, path: string): Promise<InstalledPackage | undefined> {
  if (NPM.test(path)) return npmPackage((await files.text(path)) ?? '');
  return PYTHON.test(path) ? pythonPackage((await files.text(path)) ?? '') : undefined;
}
