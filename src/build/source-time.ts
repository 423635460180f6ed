import { posix } from 'node:path';
import { decompress, TarReader } from '../archive/index.ts';
import { ok, type Result } from '../base/index.ts';
import type { FileTree } from '../cachekey/index.ts';
import { sourceDefinition, type TimeQuestion } from '../lower/index.ts';
import { isTarArchive } from '../ops/index.ts';
import type { BuildDeps } from './deps.ts';
import type { BuildRequest } from './request.ts';
import { SourceTrees } from './source-trees.ts';

/**
 * Seconds since 1970 that a source stands for: the time of a commit, `Last-Modified` of a download, or without it the newest
 * file in the archive that was downloaded; undefined where there is none of these.
 */
export async function sourceTime(
  question: TimeQuestion,
  request: BuildRequest,
  deps: BuildDeps,
  { signal }: { readonly signal: AbortSignal },
): Promise<Result<number | undefined>> {
  const tree = await new SourceTrees(request, deps, { signal }).tree(sourceDefinition(question));
  if (!tree.ok) return tree;
  const name = question.attrs['http.filename'];
  // Every file of a commit has its time.
  if (name === undefined) return ok(seconds(newestEntry(tree.value)));
  const path = posix.join('/', name);
  const modified = tree.value.lstat(path)?.mtimeNs ?? 0n;
  if (modified > 0n) return ok(seconds(modified));
  if (!(await isTarArchive(tree.value, path, signal))) return ok(undefined);
  return await newestMember(tree.value, path, signal);
}

function newestEntry(tree: FileTree): bigint {
  return newest(tree.list('/').map((name) => tree.lstat(`/${name}`)?.mtimeNs ?? 0n));
}

async function newestMember(
  tree: FileTree,
  path: string,
  signal: AbortSignal,
): Promise<Result<number | undefined>> {
  const reader = new TarReader(decompress(tree.read(path, signal), { signal }));
  const times: bigint[] = [];
  try {
    for (;;) {
      const entry = await reader.next();
      if (!entry.ok) return entry;
      if (entry.value === undefined) return ok(seconds(newest(times)));
      if (entry.value.type === 'file') times.push(entry.value.mtimeNs);
    }
  } finally {
    await reader.close();
  }
}

function newest(times: readonly bigint[]): bigint {
  return times.reduce((a, b) => (a > b ? a : b), 0n);
}

function seconds(time: bigint): number | undefined {
  return time === 0n ? undefined : Number(time / 1_000_000_000n);
}
