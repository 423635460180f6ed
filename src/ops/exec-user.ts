import { err, failure, ok, type Result } from '../base/index.ts';
import { parseGroup, parsePasswd } from './user-database.ts';

/** Whom a step runs as. */
export interface ExecUser {
  readonly uid: number;
  readonly gid: number;
  readonly additionalGids: readonly number[];
}

/** The user databases of a root file system; undefined where the file is absent. */
export interface UserFiles {
  readonly passwd: string | undefined;
  readonly group: string | undefined;
}

const MAX_ID = 2 ** 31 - 1;

/**
 * Resolves `user[:group]` as BuildKit and moby/sys/user do. Two numbers need no files. A number that is in no file runs
 * with group 0; a name that is in none is a failure. Without an explicit group the primary group and all groups that list
 * the user apply, with one only that one. Empty is root.
 */
export function lookUpUser(spec: string, files: () => UserFiles): Result<ExecUser> {
  const [userPart = '', groupPart, ...more] = (spec === '' ? '0' : spec).split(':');
  const groupText = more.length > 0 ? [groupPart, ...more].join(':') : (groupPart ?? '');
  const direct = bothNumbers(userPart, groupPart);
  if (direct !== undefined) return ok({ ...direct, additionalGids: [] });
  const { passwd, group } = files();
  const uid = numberOf(userPart);
  const gid = numberOf(groupText);
  if (uid === 'range' || gid === 'range')
    return userFailure(`uids and gids must be in range 0-${MAX_ID}`);
  const entry = parsePasswd(passwd ?? '').find((e) =>
    uid === undefined ? e.name === (userPart === '' ? 'root' : userPart) : e.uid === uid,
  );
  if (entry === undefined && uid === undefined && userPart !== '')
    return userFailure(`unable to find user ${userPart}: no matching entries in passwd file`);
  const base = { uid: entry?.uid ?? uid ?? 0, gid: entry?.gid ?? 0 };
  const groups = parseGroup(group ?? '');
  if (groupText !== '') {
    const named = groups.find((g) => (gid === undefined ? g.name === groupText : g.gid === gid));
    if (named === undefined && gid === undefined)
      return userFailure(`unable to find group ${groupText}: no matching entries in group file`);
    return ok({ uid: base.uid, gid: named?.gid ?? gid ?? 0, additionalGids: [] });
  }
  const member = entry?.name;
  const additionalGids =
    member === undefined ? [] : groups.filter((g) => g.members.includes(member)).map((g) => g.gid);
  return ok({ ...base, additionalGids });
}

/** `1000:50`, where `root` counts as 0; such a user is taken as it is. */
function bothNumbers(
  user: string,
  group: string | undefined,
): { readonly uid: number; readonly gid: number } | undefined {
  const [uid, gid] = [user, group ?? ''].map((text) =>
    text === 'root' ? 0 : /^\d+$/.test(text) && Number(text) < 2 ** 32 ? Number(text) : undefined,
  );
  return uid === undefined || gid === undefined ? undefined : { uid, gid };
}

function numberOf(text: string): number | 'range' | undefined {
  if (!/^[-+]?\d+$/.test(text)) return undefined;
  const value = Number(text);
  return value < 0 || value > MAX_ID ? 'range' : value;
}

function userFailure(message: string): Result<never> {
  return err(
    failure('SB004', 1, message, {
      help: 'create the user in an earlier RUN, or use a numeric id',
    }),
  );
}
