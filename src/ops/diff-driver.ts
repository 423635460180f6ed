import { type Digest, err, failure, ok, type Result } from '../base/index.ts';
import type { CacheMap, OpDriver, TreeProvider } from '../ports/index.ts';
import { noInput, startsWith } from './merge-driver.ts';
import { contentKeyOf, keyOf } from './op-keys.ts';

/** What diff ops need. */
export interface DiffDriverDeps {
  readonly trees: TreeProvider;
}

/**
 * The driver of diff ops (`pb.DiffOp`): what `upper` has on top of `lower`. The layers themselves are the difference when
 * `upper` was built on `lower`; trees that are not so related are refused (the Dockerfile front end emits no diff ops).
 */
export function createDiffDriver(deps: DiffDriverDeps): OpDriver {
  return {
    cacheMap: (context): Promise<Result<CacheMap>> => Promise.resolve(keyOf(context.vertex.op)),
    contentKey: async (context, index, input): Promise<Result<Digest>> =>
      await contentKeyOf(context, deps.trees, { index, input }),
    run: (context, inputs) => {
      const { body } = context.vertex.op;
      if (body.kind !== 'diff') throw new Error(`a diff driver was given a ${body.kind} op`);
      const { lower, upper } = body.diff;
      const [from, to] = [lower, upper].map((index) => (index === -1 ? [] : inputs[index]));
      if (from === undefined) return Promise.resolve(err(noInput('diff', lower)));
      if (to === undefined) return Promise.resolve(err(noInput('diff', upper)));
      if (startsWith(to, from)) return Promise.resolve(ok([to.slice(from.length)]));
      return Promise.resolve(
        err(
          failure(
            'GR014',
            2,
            'a diff of two trees of which neither was built on the other is not supported',
            {
              help: 'make the upper tree from the lower one, or copy the files wanted',
            },
          ),
        ),
      );
    },
  };
}
