import { byCodeUnit, type GoJson, ok, type Result } from '../base/index.ts';
import { type FileTree, readTreeFile } from '../cachekey/index.ts';
import {
  type InstalledPackage,
  installedApks,
  installedPackages,
  npmPackage,
  OS_RELEASE,
  osRelease,
  pythonPackage,
  RPM_DATABASES,
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
  const database = await files.first(RPM_DATABASES);
  const rpms = database === undefined ? ok([]) : await world.readRpms(database);
  if (!rpms.ok) return rpms;
  packages.push(...rpms.value);
  packages.push(...(await libraries(files)));
  const release = osRelease((await files.first(OS_RELEASE))?.toString('utf8') ?? '');
  const distribution = release['ID'] ?? 'linux';
  const time = Math.floor(world.at / 1000);
  const subject = { ...named(world.name), distribution, purpose: 'CONTAINER', time } as const;
  return ok(spdxDocument(subject, packages));
}

/** A tag as a name and a version; a context is a name alone. */
function named(text: string): { readonly name: string; readonly version: string } {
  const ref = parseReference(text);
  if (!ref.ok || ref.value.tag === undefined) return { name: text, version: 'latest' };
  const { tag, ...rest } = ref.value;
  return { name: familiarReference(rest), version: tag };
}

/** Files of a tree, links followed; what is no file is as good as absent. */
class Files {
  readonly tree: FileTree;
  readonly signal: AbortSignal;

  constructor(tree: FileTree, signal: AbortSignal) {
    this.tree = tree;
    this.signal = signal;
  }

  async bytes(path: string): Promise<Buffer | undefined> {
    const read = await readTreeFile(this.tree, path, { signal: this.signal });
    return read.ok ? read.value : undefined;
  }

  /** The first of some files that is there. */
  async first(paths: readonly string[]): Promise<Buffer | undefined> {
    for (const path of paths) {
      const bytes = await this.bytes(path);
      if (bytes !== undefined) return bytes;
    }
    return undefined;
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
