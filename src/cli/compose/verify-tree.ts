import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { join } from 'node:path';
import { type TarEntry, TarReader } from '../../archive/index.ts';
import { byCodeUnit, err, failure, ok, type Result, TempDir } from '../../base/index.ts';
import type { BuildRequest } from '../../build/index.ts';
import { fail, type Io } from '../io.ts';
import { type Store, storePaths } from '../store.ts';

/** How a tree is made: with all that is known, or from nothing. */
export type TreeRun = (outputs: BuildRequest['outputs'], clean: boolean) => Promise<number>;

/** Differences that are shown. */
const SHOWN = 40;

/**
 * `varve compose verify`: makes a tree as a build would, on what is cached and on earlier roots, and once more from nothing,
 * and compares everything that an archive of them says. TP011: they are not the same.
 */
export async function verifyTree(io: Io, store: Store, run: TreeRun): Promise<number> {
  await using tmp = await TempDir.create(storePaths(store.root).tmp, 'verify-');
  const dir = tmp.path;
  const trees: ReadonlyMap<string, string>[] = [];
  for (const clean of [false, true]) {
    const dest = join(dir, `${clean ? 'clean' : 'usual'}.tar`);
    const code = await run([{ type: 'tar', dest, attrs: new Map() }], clean);
    if (code !== 0) return code;
    const read = await readTree(dest);
    if (!read.ok) return fail(io, read.error);
    trees.push(read.value);
  }
  const [usual, clean] = trees;
  if (usual === undefined || clean === undefined) throw new Error('both were just read');
  const differing = differences(usual, clean);
  if (differing.length > 0) return fail(io, notTheSame(differing));
  io.out(`${usual.size} files: the same as from nothing\n`);
  return 0;
}

function notTheSame(differing: readonly string[]): ReturnType<typeof failure> {
  const more = differing.length - SHOWN;
  return failure('TP011', 1, `${differing.length} files are not what a clean build makes`, {
    details: [...differing.slice(0, SHOWN), ...(more > 0 ? [`and ${more} more`] : [])],
    help: 'build with --clean, and report which package it is',
  });
}

/** Everything that a tar says of each path, in a form that can be compared and read. */
async function readTree(path: string): Promise<Result<ReadonlyMap<string, string>>> {
  const files = new Map<string, string>();
  const reader = new TarReader(createReadStream(path));
  for (;;) {
    const next = await reader.next();
    if (!next.ok) return err(next.error);
    if (next.value === undefined) return ok(files);
    const hash = createHash('sha256');
    if (next.value.type === 'file') for await (const chunk of reader.data()) hash.update(chunk);
    files.set(`/${next.value.name.replace(/\/$/, '')}`, described(next.value, hash.digest('hex')));
  }
}

function described(entry: TarEntry, digest: string): string {
  const { type, mode, uid, gid, size, mtimeNs, link, device, xattrs } = entry;
  return [
    ...[type, mode.toString(8), `${uid}:${gid}`],
    ...(type === 'file' ? [`${size} bytes`, digest.slice(0, 16)] : []),
    ...(link === undefined ? [] : [`-> ${link}`]),
    ...(device === undefined ? [] : [`device ${device.major}:${device.minor}`]),
    ...[...xattrs]
      .sort(([a], [b]) => byCodeUnit(a, b))
      .map(([name, value]) => `${name}=${Buffer.from(value).toString('hex')}`),
    new Date(Number(mtimeNs / 1_000_000n)).toISOString(),
  ].join(' ');
}

function differences(
  usual: ReadonlyMap<string, string>,
  clean: ReadonlyMap<string, string>,
): readonly string[] {
  const paths = [...new Set([...usual.keys(), ...clean.keys()])].sort(byCodeUnit);
  return paths.flatMap((path) => {
    const [a, b] = [usual.get(path), clean.get(path)];
    return a === b ? [] : [`${path}: ${a ?? 'not there'}; clean: ${b ?? 'not there'}`];
  });
}
