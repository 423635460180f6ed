import { type FileTree, readTreeFile } from '../cachekey/index.ts';
import type { ChownOpt, UserOpt } from '../llb/index.ts';
import { fileError, fileFailure } from './file-error.ts';
import { MAX_USER_FILE_BYTES, parseGroup, parsePasswd } from './user-database.ts';

/** Numeric owner. */
export interface Owner {
  readonly uid: number;
  readonly gid: number;
}

/**
 * The owner that a file action asks for, as BuildKit's `readUser` finds it: a number stands for user and group, a name
 * brings its primary group, and a name or file that does not exist counts as root without an error. Undefined: no owner
 * was asked for.
 */
export async function readOwner(
  owner: ChownOpt | undefined,
  treeOf: (input: number) => Promise<FileTree>,
  signal: AbortSignal,
): Promise<Owner | undefined> {
  if (owner === undefined) return undefined;
  const user = owner.user === undefined ? undefined : await readUser(owner.user, treeOf, signal);
  const gid = owner.group === undefined ? undefined : await readGroup(owner.group, treeOf, signal);
  return { uid: user?.uid ?? 0, gid: gid ?? user?.gid ?? 0 };
}

async function readUser(
  user: UserOpt,
  treeOf: (input: number) => Promise<FileTree>,
  signal: AbortSignal,
): Promise<Owner | undefined> {
  if (user.kind === 'byId') return { uid: user.byId, gid: user.byId };
  const text = await readUserFile(await treeOf(user.input), '/etc/passwd', signal);
  return parsePasswd(text ?? '').find((entry) => entry.name === user.name);
}

async function readGroup(
  group: UserOpt,
  treeOf: (input: number) => Promise<FileTree>,
  signal: AbortSignal,
): Promise<number | undefined> {
  if (group.kind === 'byId') return group.byId;
  const text = await readUserFile(await treeOf(group.input), '/etc/group', signal);
  return parseGroup(text ?? '').find((entry) => entry.name === group.name)?.gid;
}

/** Text of `/etc/passwd` or `/etc/group` of a tree, symbolic links followed inside it; undefined when absent. */
async function readUserFile(
  tree: FileTree,
  path: string,
  signal: AbortSignal,
): Promise<string | undefined> {
  const read = await readTreeFile(tree, path, { maxBytes: MAX_USER_FILE_BYTES, signal });
  if (read.ok) return read.value?.toString('utf8');
  const { kind, path: at } = read.error;
  switch (kind) {
    case 'loop':
      throw fileError('lstat', path, 'ELOOP');
    case 'not-a-file':
      throw fileFailure(`${at} is not a regular file`);
    case 'too-large':
      throw fileFailure(`"${at}" exceeds ${MAX_USER_FILE_BYTES} bytes`);
  }
}
