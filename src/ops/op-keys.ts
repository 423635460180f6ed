import { type Digest, err, failure, ok, type Result } from '../base/index.ts';
import { contentKey, opKey } from '../cachekey/index.ts';
import type { Op } from '../llb/index.ts';
import type { CacheMap, OpContext, OpResult, TreeProvider } from '../ports/index.ts';

/** How an exec, file, merge or diff op enters cache keys. */
export function keyOf(op: Op): Result<CacheMap> {
  const key = opKey(op);
  if (!key.ok) return err(failure('GR012', 2, key.error));
  const deps = key.value.deps.map((dep) => ({
    ...(dep.selector === undefined ? {} : { selector: dep.selector }),
    hasContentKey: dep.content !== undefined,
  }));
  return ok({ digest: key.value.digest, deps });
}

/** Content digest of what an op selects of one of its inputs. */
export async function contentKeyOf(
  context: OpContext,
  trees: TreeProvider,
  what: { readonly index: number; readonly input: OpResult },
): Promise<Result<Digest>> {
  const tree = await trees.tree(what.input, context);
  if (!tree.ok) return tree;
  const { vertex, signal, listed } = context;
  const key = await contentKey(vertex.op, what.index, tree.value, signal, listed);
  return key.ok ? key : err(failure('GR013', 1, `failed to compute cache key: ${key.error}`));
}
