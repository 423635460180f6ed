import { BLOCK, DoesNotFit } from './format.ts';

const MAGIC = 0xea020000;
const HEADER = 32;
const ENTRY = 16;
/** Longest prefix first. */
const PREFIXES: readonly (readonly [prefix: string, index: number])[] = [
  ['system.posix_acl_access', 2],
  ['system.posix_acl_default', 3],
  ['security.', 6],
  ['trusted.', 4],
  ['system.', 7],
  ['user.', 1],
];

interface Attribute {
  readonly index: number;
  readonly name: Buffer;
  readonly value: Buffer;
  readonly hash: number;
}

/** Attributes as bytes behind an inode, or as a block of their own where they are too long for that. */
export type EncodedXattrs =
  | { readonly kind: 'none' }
  | { readonly kind: 'inline' | 'block'; readonly bytes: Buffer };

/** The attributes of an inode with `room` bytes behind it. */
export function encodeXattrs(
  xattrs: ReadonlyMap<string, Uint8Array>,
  room: number,
  path: string,
): EncodedXattrs {
  if (xattrs.size === 0) return { kind: 'none' };
  const attributes = [...xattrs]
    .map(([name, value]) => attribute(name, Buffer.from(value), path))
    .sort(
      (a, b) =>
        a.index - b.index || a.name.length - b.name.length || Buffer.compare(a.name, b.name),
    );
  const need = attributes.reduce((sum, a) => sum + entrySize(a) + padded(a.value.length), 4);
  if (4 + need <= room) {
    const bytes = Buffer.alloc(room);
    bytes.writeUInt32LE(MAGIC, 0);
    // Offsets count from the first entry.
    place(bytes, attributes, { first: 4, base: 4 });
    return { kind: 'inline', bytes };
  }
  if (HEADER + need > BLOCK) throw new DoesNotFit(`${path}: attributes of more than a block`);
  const bytes = Buffer.alloc(BLOCK);
  bytes.writeUInt32LE(MAGIC, 0);
  bytes.writeUInt32LE(1, 4);
  bytes.writeUInt32LE(1, 8);
  place(bytes, attributes, { first: HEADER, base: 0 });
  const hash = attributes.reduce((h, a) => ((h << 16) ^ (h >>> 16) ^ a.hash) >>> 0, 0);
  bytes.writeUInt32LE(hash, 12);
  return { kind: 'block', bytes };
}

const padded = (length: number): number => (length + 3) & ~3;
const entrySize = (a: Attribute): number => padded(ENTRY + a.name.length);

function place(
  bytes: Buffer,
  attributes: readonly Attribute[],
  { first, base }: { readonly first: number; readonly base: number },
): void {
  let at = first;
  let end = bytes.length;
  for (const a of attributes) {
    end -= padded(a.value.length);
    bytes[at] = a.name.length;
    bytes[at + 1] = a.index;
    bytes.writeUInt16LE(a.value.length === 0 ? 0 : end - base, at + 2);
    bytes.writeUInt32LE(a.value.length, at + 8);
    bytes.writeUInt32LE(a.hash, at + 12);
    bytes.set(a.name, at + ENTRY);
    bytes.set(a.value, end);
    at += entrySize(a);
  }
}

function attribute(name: string, given: Buffer, path: string): Attribute {
  const known = PREFIXES.find(([prefix]) => name.startsWith(prefix));
  if (known === undefined) throw new DoesNotFit(`${path}: an attribute ${name}`);
  const [prefix, index] = known;
  const rest = Buffer.from(name.slice(prefix.length), 'utf8');
  const value = index === 2 || index === 3 ? accessList(given, path) : given;
  return { index, name: rest, value, hash: hashOf(rest, value) };
}

/** `e_hash`: of the name by bytes, of the value by words. */
function hashOf(name: Buffer, value: Buffer): number {
  let hash = 0;
  for (const byte of name) hash = ((hash << 5) ^ (hash >>> 27) ^ byte) >>> 0;
  const words = Buffer.alloc(padded(value.length));
  words.set(value);
  for (let at = 0; at < words.length; at += 4)
    hash = ((hash << 16) ^ (hash >>> 16) ^ words.readUInt32LE(at)) >>> 0;
  return hash;
}

const USER = 2;
const GROUP_TAG = 8;

/** An access list as ext4 keeps it: version 1, and numbers only where there is a user or group (acl(5)). */
function accessList(given: Buffer, path: string): Buffer {
  if (given.length < 4 || given.length % 8 !== 4 || given.readUInt32LE(0) !== 2)
    throw new DoesNotFit(`${path}: an access list that is none`);
  const version = Buffer.alloc(4);
  version.writeUInt32LE(1);
  const entries: Buffer[] = [version];
  for (let at = 4; at < given.length; at += 8) {
    const tag = given.readUInt16LE(at);
    entries.push(given.subarray(at, tag === USER || tag === GROUP_TAG ? at + 8 : at + 4));
  }
  return Buffer.concat(entries);
}
