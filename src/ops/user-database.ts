/** A line of `/etc/passwd` (passwd(5)). */
export interface PasswdEntry {
  readonly name: string;
  readonly uid: number;
  readonly gid: number;
  readonly home: string;
}

/** A line of `/etc/group` (group(5)). */
export interface GroupEntry {
  readonly name: string;
  readonly gid: number;
  readonly members: readonly string[];
}

/** Neither file may be larger. */
export const MAX_USER_FILE_BYTES = 10 << 20;

/** Parses `/etc/passwd`; numbers that are none count as 0, as moby/sys/user reads them. */
export function parsePasswd(text: string): PasswdEntry[] {
  return rows(text).map(([name = '', , uid = '', gid = '', , home = '']) => ({
    name,
    uid: numberOf(uid),
    gid: numberOf(gid),
    home,
  }));
}

/** Parses `/etc/group`. */
export function parseGroup(text: string): GroupEntry[] {
  return rows(text).map(([name = '', , gid = '', list = '']) => ({
    name,
    gid: numberOf(gid),
    members: list.split(',').filter((member) => member !== ''),
  }));
}

function rows(text: string): string[][] {
  return text
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '')
    .map((line) => line.split(':'));
}

function numberOf(text: string): number {
  return /^[-+]?\d+$/.test(text) ? Number(text) : 0;
}
