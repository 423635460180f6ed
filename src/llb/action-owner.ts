import type { ChownOpt, FileAction } from './op.ts';

/** The owner that a file action gives what it makes; undefined where it keeps or has none. */
export function actionOwner({ action }: FileAction): ChownOpt | undefined {
  switch (action.kind) {
    case 'copy':
      return action.copy.owner;
    case 'mkfile':
      return action.mkfile.owner;
    case 'mkdir':
      return action.mkdir.owner;
    case 'symlink':
      return action.symlink.owner;
    case 'rm':
      return undefined;
  }
}
