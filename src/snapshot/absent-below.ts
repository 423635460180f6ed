import type { FileTree } from '../cachekey/index.ts';

/** Something of the layers below was asked for while they are not here: thrown and caught within this folder. */
export class NeedsBelow extends Error {}

/** The tree of layers that are not here yet: whoever looks into it has to wait for them. */
export function absentBelow(): FileTree {
  const refuse = (): never => {
    throw new NeedsBelow('the layers below are not extracted yet');
  };
  return {
    rootHeader: 'entry',
    lstat: refuse,
    list: refuse,
    digest: refuse,
    read: refuse,
    diskPath: refuse,
  };
}
