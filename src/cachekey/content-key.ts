import { type Digest, err, ok, type Result, sha256 } from '../base/index.ts';
import type { Op } from '../llb/index.ts';
import { contentHasher, type ListedEntries } from './content-hash.ts';
import type { FileTree } from './file-tree.ts';
import { opKey } from './op-key.ts';
import type { ContentSelector } from './selector.ts';

/** Is told the entries behind a content digest: paths in the tree with the entries' own digests. */
export type EntriesSink = (entries: ListedEntries) => void;

/**
 * The content digest of input `index` of an op: the checksums of what the op selects, joined (BuildKit
 * solver/llbsolver/ops/opsutils/contenthash.go). The record that stands for it is `contentRecordDigest` of this.
 * The error is BuildKit's text, for example `"/x": not found`.
 */
export async function contentKey(
  op: Op,
  index: number,
  tree: FileTree,
  signal: AbortSignal,
  listed?: EntriesSink,
): Promise<Result<Digest, string>> {
  const key = opKey(op);
  if (!key.ok) return key;
  const content = key.value.deps[index]?.content;
  if (content === undefined) return err(`input ${index} has no content key`);
  return await contentDigest(content, tree, signal, listed);
}

/** The joined checksums of selectors over a tree; no selector at all means the whole tree. */
export async function contentDigest(
  selectors: readonly ContentSelector[],
  tree: FileTree,
  signal: AbortSignal,
  listed?: EntriesSink,
): Promise<Result<Digest, string>> {
  const hasher = contentHasher(tree);
  const checksums: Digest[] = [];
  for (const selector of selectors.length === 0 ? [{ path: '/' }] : selectors) {
    const checksum = await hasher.checksum(selector, signal);
    if (!checksum.ok) return err(`failed to calculate checksum of ref: ${checksum.error}`);
    checksums.push(checksum.value);
  }
  listed?.(hasher.entries);
  return ok(sha256(checksums.join('\0')));
}
