import { type GoJson, ok, type Result } from '../base/index.ts';
import type { FileTree } from '../cachekey/index.ts';
import { type InstalledPackage, installedPackages, spdxDocument } from '../disk/index.ts';
import { familiarReference, parseReference } from '../oci/index.ts';

/** What an inventory says of itself. */
export interface InventoryWorld {
  /** Of the result: a tag or the context. */
  readonly name: string;
  /** Milliseconds since the Unix epoch. */
  readonly at: number;
  readonly signal: AbortSignal;
}

/** An SPDX document of the packages in a tree, by the databases that package managers keep there. */
export async function inventory(tree: FileTree, world: InventoryWorld): Promise<Result<GoJson>> {
  const packages: InstalledPackage[] = [];
  for (const status of await debianStatus(tree, world.signal))
    packages.push(...installedPackages(status));
  const release = await text(tree, '/etc/os-release', world.signal);
  const distribution = /^ID="?([^"\n]*)"?$/m.exec(release ?? '')?.[1] ?? 'linux';
  const { name, version } = named(world.name);
  const subject = { name, version, distribution, time: Math.floor(world.at / 1000) };
  return ok(spdxDocument(subject, packages));
}

/** A tag as a name and a version; a context is a name alone. */
function named(text: string): { readonly name: string; readonly version: string } {
  const ref = parseReference(text);
  if (!ref.ok || ref.value.tag === undefined) return { name: text, version: 'latest' };
  const { tag, ...rest } = ref.value;
  return { name: familiarReference(rest), version: tag };
}

/** dpkg's database, and the one of images without dpkg: a file for each package. */
async function debianStatus(tree: FileTree, signal: AbortSignal): Promise<readonly string[]> {
  const single = await text(tree, '/var/lib/dpkg/status', signal);
  const all = single === undefined ? [] : [single];
  for (const name of tree.list('/var/lib/dpkg/status.d')) {
    const one = name.endsWith('.md5sums')
      ? undefined
      : await text(tree, `/var/lib/dpkg/status.d/${name}`, signal);
    if (one !== undefined) all.push(one);
  }
  return all;
}

async function text(
  tree: FileTree,
  path: string,
  signal: AbortSignal,
): Promise<string | undefined> {
  if (tree.lstat(path)?.type !== 'file') return undefined;
  const chunks: Uint8Array[] = [];
  for await (const chunk of tree.read(path, signal)) chunks.push(Buffer.from(chunk));
  return Buffer.concat(chunks).toString('utf8');
}
