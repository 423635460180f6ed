import { nameOfBytes } from '../base/index.ts';
import { BLOCK, FIELDS, headerChecksum } from './tar-entry.ts';

type Field = readonly [offset: number, length: number];

/** A header block taken apart, before extended headers are applied. */
export interface RawHeader {
  readonly flag: string;
  readonly name: Uint8Array;
  readonly linkname: Uint8Array;
  readonly uname: Uint8Array;
  readonly gname: Uint8Array;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly size: number;
  readonly mtimeSeconds: number;
  readonly major: number;
  readonly minor: number;
}

/** Takes a header block apart; a text says what is wrong with it. */
export function parseBlock(block: Uint8Array): RawHeader | string {
  const stored = number(block, FIELDS.checksum);
  if (stored !== headerChecksum(block) && stored !== signedChecksum(block))
    return 'the header checksum is wrong';
  const posix = ascii(block, 257, 6) === 'ustar\0';
  const ustar = posix || ascii(block, 257, 8) === 'ustar  \0';
  const star = posix && ascii(block, 508, 4) === 'tar\0';
  const prefix = posix ? text(block, star ? [345, 131] : FIELDS.prefix) : new Uint8Array(0);
  const name = text(block, FIELDS.name);
  const numbers = {
    mode: number(block, FIELDS.mode),
    uid: number(block, FIELDS.uid),
    gid: number(block, FIELDS.gid),
    size: number(block, FIELDS.size),
    mtimeSeconds: number(block, FIELDS.mtime),
    major: ustar ? number(block, FIELDS.major) : 0,
    minor: ustar ? number(block, FIELDS.minor) : 0,
  };
  for (const [field, value] of Object.entries(numbers))
    if (Number.isNaN(value)) return `the field ${field} holds no number`;
  if (numbers.size < 0) return 'the size is negative';
  return {
    flag: ascii(block, FIELDS.type[0], 1),
    name: prefix.length === 0 ? name : Buffer.concat([prefix, Buffer.from('/'), name]),
    linkname: text(block, FIELDS.linkname),
    uname: ustar ? text(block, FIELDS.uname) : new Uint8Array(0),
    gname: ustar ? text(block, FIELDS.gname) : new Uint8Array(0),
    ...numbers,
  };
}

/** True for a block of zeros. */
export function isZero(block: Uint8Array): boolean {
  return block.every((b) => b === 0);
}

/** The records of a PAX extended header (POSIX.1-2001), or what is wrong with them. */
export function parsePax(body: Uint8Array): ReadonlyMap<string, Uint8Array> | string {
  const records = new Map<string, Uint8Array>();
  for (let at = 0; at < body.length; ) {
    const space = body.indexOf(0x20, at);
    const digits = space === -1 ? '' : ascii(body, at, Math.min(space - at, 12));
    const end = at + Number(digits);
    if (!/^[0-9]+$/.test(digits) || end > body.length || body[end - 1] !== 0x0a)
      return 'a record of the extended header has a wrong length';
    const equals = body.subarray(0, end).indexOf(0x3d, space + 1);
    if (equals === -1) return 'a record of the extended header has no keyword';
    records.set(nameOfBytes(body.subarray(space + 1, equals)), body.slice(equals + 1, end - 1));
    at = end;
  }
  return records;
}

/** Nanoseconds of a PAX time (decimal seconds), or undefined when it is none. */
export function parsePaxTime(value: string): bigint | undefined {
  const match = /^(-?)([0-9]{1,15})(?:\.([0-9]*))?$/.exec(value);
  if (match === null) return undefined;
  const fraction = (match[3] ?? '').slice(0, 9).padEnd(9, '0');
  const size = BigInt(match[2] ?? '0') * 1_000_000_000n + BigInt(fraction);
  return match[1] === '-' ? -size : size;
}

/** Octal, or two's complement in base 256 where the highest bit is set (GNU, star). NaN when it is neither. */
function number(block: Uint8Array, [offset, length]: Field): number {
  const field = block.subarray(offset, offset + length);
  const first = field[0] ?? 0;
  if ((first & 0x80) !== 0) {
    let value = BigInt(first & 0x7f);
    for (const byte of field.subarray(1)) value = value * 256n + BigInt(byte);
    if ((first & 0x40) !== 0) value -= 1n << BigInt(length * 8 - 1);
    const result = Number(value);
    return Number.isSafeInteger(result) ? result : NaN;
  }
  const digits = ascii(field, 0, length)
    .replace(/^[ \0]+/, '')
    .replace(/[ \0][^]*$/, '');
  if (digits === '') return 0;
  return /^[0-7]+$/.test(digits) ? Number.parseInt(digits, 8) : NaN;
}

/** Some old writers summed signed bytes. */
function signedChecksum(block: Uint8Array): number {
  let sum = 8 * 0x20;
  for (let i = 0; i < BLOCK; i++) {
    const byte = block[i] ?? 0;
    if (i < 148 || i >= 156) sum += byte > 127 ? byte - 256 : byte;
  }
  return sum;
}

function text(block: Uint8Array, [offset, length]: Field): Uint8Array {
  const field = block.subarray(offset, offset + length);
  const end = field.indexOf(0);
  return end === -1 ? field : field.subarray(0, end);
}

function ascii(bytes: Uint8Array, offset: number, length: number): string {
  return String.fromCharCode(...bytes.subarray(offset, offset + length));
}
