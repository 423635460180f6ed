import { bytesOfName, byUtf8 } from '../base/index.ts';
import {
  BLOCK,
  FIELDS,
  headerChecksum,
  paddingOf,
  type TarEntry,
  XATTR_PREFIX,
} from './tar-entry.ts';

const FLAGS = {
  file: '0',
  hardlink: '1',
  symlink: '2',
  char: '3',
  block: '4',
  dir: '5',
  fifo: '6',
} as const;

const SECOND = 1_000_000_000n;

/** The two zero blocks that end an archive. */
export const TAR_END: Uint8Array = new Uint8Array(2 * BLOCK);

/**
 * The header blocks of one member: ustar where it can say everything, else a PAX extended header (POSIX.1-2001) that holds
 * exactly what ustar cannot, and a ustar header behind it. These are the bytes Go's archive/tar writes for a header with
 * `Format: FormatPAX`, which BuildKit and containerd use for layers, so that equal entries give equal diffIDs.
 * The caller writes `size` bytes of data and `tarPadding(size)`.
 */
export function tarHeader(entry: TarEntry): Uint8Array {
  const name = bytesOfName(entry.name);
  const link = bytesOfName(entry.link ?? '');
  const records = paxRecords(entry, name, link);
  if (records.size === 0) {
    const split = splitName(name);
    return ustarBlock(entry, split?.name ?? name, link, split?.prefix);
  }
  const body = paxBody(records);
  const header = rawBlock(paxName(name), body.length);
  return Buffer.concat([
    header,
    body,
    tarPadding(body.length),
    ustarBlock(entry, ascii(name), ascii(link), undefined),
  ]);
}

/** The zero bytes behind `size` bytes of data. */
export function tarPadding(size: number): Uint8Array {
  return TAR_END.subarray(0, paddingOf(size));
}

function paxRecords(entry: TarEntry, name: Uint8Array, link: Uint8Array): Map<string, Uint8Array> {
  const records = new Map<string, Uint8Array>();
  const text = (key: string, value: Uint8Array, limit: number, splits: boolean): void => {
    if (isAscii(value) && value.length <= limit) return;
    if (splits && splitName(value) !== undefined) return;
    records.set(key, value);
  };
  const number = (key: string, value: number, width: number): void => {
    if (!fitsOctal(value, width)) records.set(key, Buffer.from(String(value)));
  };
  text('path', name, FIELDS.name[1], true);
  text('linkpath', link, FIELDS.linkname[1], false);
  text('uname', bytesOfName(entry.uname ?? ''), FIELDS.uname[1], false);
  text('gname', bytesOfName(entry.gname ?? ''), FIELDS.gname[1], false);
  number('uid', entry.uid, FIELDS.uid[1]);
  number('gid', entry.gid, FIELDS.gid[1]);
  number('size', entry.size, FIELDS.size[1]);
  const seconds = floorSeconds(entry.mtimeNs);
  if (entry.mtimeNs !== seconds * SECOND || !fitsOctal(Number(seconds), FIELDS.mtime[1]))
    records.set('mtime', Buffer.from(paxTime(entry.mtimeNs)));
  for (const [key, value] of entry.xattrs) records.set(XATTR_PREFIX + key, value);
  // A name that ustar could split still goes into the record when another field forces PAX: the main header then has no prefix.
  if (records.size > 0 && name.length > FIELDS.name[1]) records.set('path', name);
  return records;
}

/** Records `<length> <key>=<value>\n` in byte order of their keys. */
function paxBody(records: ReadonlyMap<string, Uint8Array>): Uint8Array {
  const parts: Uint8Array[] = [];
  for (const [key, value] of [...records].sort(([a], [b]) => byUtf8(a, b))) {
    if (key.includes('=')) throw new Error(`a PAX keyword cannot hold an equals sign: ${key}`);
    const bytes = bytesOfName(key);
    // Space, equals sign and newline; the length counts its own digits.
    const rest = bytes.length + value.length + 3;
    let total = rest + String(rest).length;
    if (rest + String(total).length !== total) total = rest + String(total).length;
    parts.push(Buffer.from(`${total} `), bytes, Buffer.from('='), value, Buffer.from('\n'));
  }
  return Buffer.concat(parts);
}

function ustarBlock(
  entry: TarEntry,
  name: Uint8Array,
  link: Uint8Array,
  prefix: Uint8Array | undefined,
): Uint8Array {
  const block = new Uint8Array(BLOCK);
  putText(block, FIELDS.name, name);
  putNumber(block, FIELDS.mode, entry.mode & 0o7777);
  putNumber(block, FIELDS.uid, entry.uid);
  putNumber(block, FIELDS.gid, entry.gid);
  putNumber(block, FIELDS.size, entry.size);
  putNumber(block, FIELDS.mtime, Number(floorSeconds(entry.mtimeNs)));
  block[FIELDS.type[0]] = FLAGS[entry.type].charCodeAt(0);
  putText(block, FIELDS.linkname, link);
  putText(block, FIELDS.uname, ascii(bytesOfName(entry.uname ?? '')));
  putText(block, FIELDS.gname, ascii(bytesOfName(entry.gname ?? '')));
  putNumber(block, FIELDS.major, entry.device?.major ?? 0);
  putNumber(block, FIELDS.minor, entry.device?.minor ?? 0);
  if (prefix !== undefined) putText(block, FIELDS.prefix, prefix);
  return seal(block);
}

/** The header of a PAX extended header: everything but name and size is zero. */
function rawBlock(name: Uint8Array, size: number): Uint8Array {
  const block = new Uint8Array(BLOCK);
  putText(block, FIELDS.name, name);
  for (const field of [FIELDS.mode, FIELDS.uid, FIELDS.gid, FIELDS.mtime])
    putNumber(block, field, 0);
  putNumber(block, FIELDS.size, size);
  block[FIELDS.type[0]] = 'x'.charCodeAt(0);
  return seal(block);
}

const MAGIC = Buffer.from('ustar\x0000');

/** Magic, version and checksum. */
function seal(block: Uint8Array): Uint8Array {
  block.set(MAGIC, FIELDS.magic[0]);
  const [offset, length] = FIELDS.checksum;
  // Six digits, a NUL and a space.
  putNumber(block, [offset, length - 1], headerChecksum(block));
  block[offset + length - 1] = 0x20;
  return block;
}

/** Where the extended header of `name` is called: `<directory>/PaxHeaders.0/<base>`, ASCII, cut to the field. */
function paxName(name: Uint8Array): Uint8Array {
  const text = Buffer.from(ascii(name)).toString('latin1');
  const slash = text.lastIndexOf('/') + 1;
  const joined = `${text.slice(0, slash)}/PaxHeaders.0/${text.slice(slash)}`;
  const clean = joined.replace(/\/+/g, '/').replace(/^\/(?=PaxHeaders\.0)/, slash === 0 ? '' : '/');
  return Buffer.from(clean.slice(0, FIELDS.name[1]).replace(/\/+$/, ''), 'latin1');
}

function splitName(
  name: Uint8Array,
): { readonly prefix: Uint8Array; readonly name: Uint8Array } | undefined {
  const [limit, prefixLimit] = [FIELDS.name[1], FIELDS.prefix[1]];
  if (name.length <= limit || !isAscii(name)) return undefined;
  const slash = 0x2f;
  const end =
    name.length > prefixLimit + 1
      ? prefixLimit + 1
      : name[name.length - 1] === slash
        ? name.length - 1
        : name.length;
  const at = name.subarray(0, end).lastIndexOf(slash);
  const rest = name.length - at - 1;
  if (at <= 0 || rest > limit || rest === 0 || at > prefixLimit) return undefined;
  return { prefix: name.subarray(0, at), name: name.subarray(at + 1) };
}

function putText(
  block: Uint8Array,
  [offset, length]: readonly [number, number],
  text: Uint8Array,
): void {
  block.set(text.subarray(0, length), offset);
  if (text.length <= length || block[offset + length - 1] !== 0x2f) return;
  // A cut name must not end like a directory's: readers of the old format would take the member for one.
  let end = length - 1;
  while (end > 0 && block[offset + end - 1] === 0x2f) end--;
  block[offset + end] = 0;
}

/** Octal digits and a NUL; a number that does not fit is 0 here and stands in the PAX header. */
function putNumber(
  block: Uint8Array,
  [offset, length]: readonly [number, number],
  value: number,
): void {
  let rest = fitsOctal(value, length) ? value : 0;
  for (let at = offset + length - 2; at >= offset; at--) {
    block[at] = 0x30 + (rest % 8);
    rest = Math.floor(rest / 8);
  }
}

function fitsOctal(value: number, length: number): boolean {
  return value >= 0 && value < 8 ** (length - 1);
}

function floorSeconds(ns: bigint): bigint {
  const seconds = ns / SECOND;
  return ns < 0n && seconds * SECOND !== ns ? seconds - 1n : seconds;
}

/** Decimal seconds without trailing zeros, as PAX times are written. */
function paxTime(ns: bigint): string {
  const sign = ns < 0n ? '-' : '';
  const size = ns < 0n ? -ns : ns;
  const fraction = (size % SECOND).toString().padStart(9, '0').replace(/0+$/, '');
  return `${sign}${size / SECOND}${fraction === '' ? '' : `.${fraction}`}`;
}

function isAscii(bytes: Uint8Array): boolean {
  return bytes.every((b) => b < 0x80 && b !== 0);
}

function ascii(bytes: Uint8Array): Uint8Array {
  return isAscii(bytes) ? bytes : bytes.filter((b) => b < 0x80 && b !== 0);
}
