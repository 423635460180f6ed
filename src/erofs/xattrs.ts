/** Prefixes of names that have a number of their own (`EROFS_XATTR_INDEX_*`). */
const PREFIXES: readonly (readonly [prefix: string, index: number])[] = [
  ['user.', 1],
  ['trusted.', 4],
  ['security.', 6],
];
const HEADER = 12;
const ENTRY = 4;
const LONGEST_VALUE = 0xffff;
const NONE = new Uint8Array(0);

/**
 * The extended attributes of an inode as they stand behind it: a header, then each with its name without the prefix, in
 * units of four bytes. Undefined where one of them has no place in the format.
 */
export function encodeXattrs(xattrs: ReadonlyMap<string, Uint8Array>): Uint8Array | undefined {
  if (xattrs.size === 0) return NONE;
  const parts: Uint8Array[] = [new Uint8Array(HEADER)];
  for (const [name, value] of xattrs) {
    const known = PREFIXES.find(([prefix]) => name.startsWith(prefix));
    if (known === undefined || value.length > LONGEST_VALUE) return undefined;
    const rest = Buffer.from(name.slice(known[0].length));
    if (rest.length === 0 || rest.length > 255) return undefined;
    const size = ENTRY + rest.length + value.length;
    const entry = Buffer.alloc(Math.ceil(size / ENTRY) * ENTRY);
    entry[0] = rest.length;
    entry[1] = known[1];
    entry.writeUInt16LE(value.length, 2);
    entry.set(rest, ENTRY);
    entry.set(value, ENTRY + rest.length);
    parts.push(entry);
  }
  const all = Buffer.concat(parts);
  return xattrUnits(all) > 0xffff ? undefined : all;
}

/** `i_xattr_icount` of an inode: one for the header, and one for each four bytes behind it. */
export function xattrUnits(encoded: Uint8Array): number {
  return encoded.length === 0 ? 0 : (encoded.length - HEADER) / 4 + 1;
}
