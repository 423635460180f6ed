import { createHash } from 'node:crypto';
import { type TarEntry, TarReader } from '../archive/index.ts';
import { byCodeUnit, ok, type Result } from '../base/index.ts';
import { isProgram, MAX_PROGRAM, programNeeds } from './elf-needs.ts';

/** A file tree as text: path to everything but times. */
export type TreeListing = ReadonlyMap<string, string>;

/** What is read of a tree. */
export interface ListedTree {
  readonly tree: TreeListing;
  /** What programs need to start; empty unless asked for. */
  readonly needs: ReadonlyMap<string, readonly string[]>;
}

/** Lists a file tree that comes as a tar: type, mode, owner, size, content, link, device and extended attributes. */
export async function listTree(tar: AsyncIterable<Uint8Array>): Promise<Result<TreeListing>> {
  const listed = await readTree(tar, { programs: false });
  return listed.ok ? ok(listed.value.tree) : listed;
}

/** Lists a file tree, and what its programs need. */
export async function readTree(
  tar: AsyncIterable<Uint8Array>,
  { programs }: { readonly programs: boolean },
): Promise<Result<ListedTree>> {
  const reader = new TarReader(tar);
  const tree = new Map<string, string>();
  const needs = new Map<string, readonly string[]>();
  for (;;) {
    const entry = await reader.next();
    if (!entry.ok) return entry;
    if (entry.value === undefined) break;
    const path = `/${entry.value.name.replace(/\/$/, '')}`;
    const data =
      entry.value.type === 'file' ? await readData(reader, entry.value, programs) : NO_DATA;
    if (data.needs.length > 0) needs.set(path, data.needs);
    tree.set(path, line(entry.value, data.digest));
  }
  await reader.drain();
  return ok({ tree, needs });
}

const NO_DATA = { digest: '', needs: [] };

/** Hashes a file, and reads a program whole. */
async function readData(
  reader: TarReader,
  { size }: TarEntry,
  programs: boolean,
): Promise<{ readonly digest: string; readonly needs: readonly string[] }> {
  const hash = createHash('sha256');
  const parts: Uint8Array[] = [];
  let kept: boolean | undefined = programs && size <= MAX_PROGRAM ? undefined : false;
  for await (const part of reader.data()) {
    hash.update(part);
    kept ??= isProgram(part);
    // The reader uses its buffer again.
    if (kept) parts.push(Uint8Array.from(part));
  }
  return {
    digest: hash.digest('hex'),
    needs: kept === true ? programNeeds(Buffer.concat(parts)) : [],
  };
}

function line(entry: TarEntry, digest: string): string {
  const { type, mode, uid, gid, link, device, xattrs } = entry;
  const attributes = [...xattrs]
    .map(([name, value]) => `${name}=${Buffer.from(value).toString('hex')}`)
    .sort(byCodeUnit);
  return [
    ...[type, (mode & 0o7777).toString(8).padStart(4, '0'), `${uid}:${gid}`],
    ...(type === 'file' ? [`${entry.size} bytes`, digest.slice(0, 16)] : []),
    ...(link === undefined ? [] : [`-> ${link}`]),
    ...(device === undefined ? [] : [`${device.major},${device.minor}`]),
    ...attributes,
  ].join(' ');
}

/** One path that two trees do not agree on. */
export interface TreeDifference {
  readonly path: string;
  /** Absent where the path is not there. */
  readonly before?: string;
  readonly after?: string;
}

/** The paths that two trees do not agree on, in order. */
export function diffTrees(before: TreeListing, after: TreeListing): readonly TreeDifference[] {
  const paths = [...new Set([...before.keys(), ...after.keys()])].sort(byCodeUnit);
  return paths.flatMap((path) => {
    const [a, b] = [before.get(path), after.get(path)];
    if (a === b) return [];
    return [
      { path, ...(a === undefined ? {} : { before: a }), ...(b === undefined ? {} : { after: b }) },
    ];
  });
}
