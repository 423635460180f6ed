/** Bytes of `erofs_dirent`: the inode's number (8), where the name begins in the block (2), type (1), zero (1). */
const DIRENT = 12;

/** What stands in a directory under one name. */
export interface Dirent {
  readonly name: Uint8Array;
  readonly nid: number;
  /** As in `linux/fs_types.h`. */
  readonly type: number;
}

const DOT = Buffer.from('.');
const DOTS = Buffer.from('..');

/** The names of a directory in byte order with `.` and `..` among them, where the format wants them. */
export function withDots<T extends { readonly name: Uint8Array }>(
  names: readonly T[],
  make: (name: Uint8Array) => T,
): readonly T[] {
  const at = names.findIndex(({ name }) => Buffer.compare(name, DOTS) > 0);
  const cut = at === -1 ? names.length : at;
  // No other name is between the two: it would begin with a dot and have nothing behind it that is less than a dot.
  const before = names.slice(0, cut).filter(({ name }) => Buffer.compare(name, DOT) < 0);
  const between = names.slice(before.length, cut);
  return [...before, make(DOT), ...between, make(DOTS), ...names.slice(cut)];
}

/** How many bytes a directory with these names has: whole blocks, but for the last. */
export function directorySize(
  names: readonly { readonly name: Uint8Array }[],
  block: number,
): number {
  let [size, used] = [0, 0];
  for (const { name } of names) {
    const needed = DIRENT + name.length;
    if (used + needed > block) {
      size += block;
      used = 0;
    }
    used += needed;
  }
  return size + used;
}

/** Writes the blocks of a directory ("Directories" in the format's description): in each the entries first, then their names. */
export function writeDirectory(
  to: Buffer,
  at: number,
  names: readonly Dirent[],
  block: number,
): void {
  let from = 0;
  for (let begin = at; from < names.length; begin += block) {
    let [end, used] = [from, 0];
    for (let name = names[end]; name !== undefined; name = names[++end]) {
      if (used + DIRENT + name.name.length > block) break;
      used += DIRENT + name.name.length;
    }
    let nameAt = (end - from) * DIRENT;
    for (const [i, entry] of names.slice(from, end).entries()) {
      const dirent = begin + i * DIRENT;
      to.writeBigUInt64LE(BigInt(entry.nid), dirent);
      to.writeUInt16LE(nameAt, dirent + 8);
      to[dirent + 10] = entry.type;
      to.set(entry.name, begin + nameAt);
      nameAt += entry.name.length;
    }
    from = end;
  }
}
