import { err, ok, type Result } from '../base/index.ts';

/** Bytes of the largest tag: ops have no field of more than two digits. */
const MAX_TAG = 2;

/** Writes protobuf fields (proto3: default values are left out unless the method says otherwise). */
export class ProtoWriter {
  #buffer = Buffer.allocUnsafe(1024);
  #length = 0;

  /** The bytes written so far. */
  finish(): Uint8Array {
    return new Uint8Array(this.#buffer.subarray(0, this.#length));
  }

  string(field: number, value: string): void {
    if (value !== '') this.#utf8(field, value);
  }

  strings(field: number, values: readonly string[]): void {
    for (const value of values) this.#utf8(field, value);
  }

  bytes(field: number, value: Uint8Array): void {
    if (value.length > 0) this.#chunk(field, value);
  }

  bool(field: number, value: boolean): void {
    if (value) this.#tagged(field, 1);
  }

  /** An integer of any protobuf varint type; negative numbers are sign extended to 64 bits. */
  int(field: number, value: number | bigint): void {
    if (value !== 0 && value !== 0n) this.#tagged(field, value);
  }

  /** A member of a oneof: written even when it is 0. */
  presentInt(field: number, value: number): void {
    this.#tagged(field, value);
  }

  /** A packed repeated integer. */
  packed(field: number, values: readonly number[]): void {
    if (values.length === 0) return;
    const start = this.#open(field);
    for (const value of values) this.#varint(value);
    this.#close(start);
  }

  /** A nested message, which `write` writes with this same writer: written even when it is empty. */
  message(field: number, write: (inner: ProtoWriter) => void): void {
    const start = this.#open(field);
    write(this);
    this.#close(start);
  }

  /** Starts a field of unknown length, for which one byte is left; returns where its bytes start. */
  #open(field: number): number {
    this.#reserve(MAX_TAG + 1);
    this.#tag(field * 8 + 2);
    return ++this.#length;
  }

  /** Puts the length in front of the bytes from `start` on; those of 128 bytes and more move to make room. */
  #close(start: number): void {
    const size = this.#length - start;
    if (size < 0x80) {
      this.#buffer[start - 1] = size;
      return;
    }
    const more = varintSize(size) - 1;
    this.#reserve(more);
    this.#buffer.copyWithin(start + more, start, this.#length);
    this.#length = start - 1;
    this.#varint(size);
    this.#length += size;
  }

  #utf8(field: number, value: string): void {
    const most = value.length * 3;
    if (most < 0x80) {
      // However it is encoded, one byte is enough for its length.
      this.#reserve(MAX_TAG + 1 + most);
      this.#tag(field * 8 + 2);
      const size = this.#buffer.write(value, this.#length + 1);
      this.#buffer[this.#length] = size;
      this.#length += size + 1;
      return;
    }
    const size = Buffer.byteLength(value);
    this.#varint(field * 8 + 2);
    this.#varint(size);
    this.#reserve(size);
    this.#length += this.#buffer.write(value, this.#length);
  }

  #chunk(field: number, value: Uint8Array): void {
    this.#varint(field * 8 + 2);
    this.#varint(value.length);
    this.#reserve(value.length);
    this.#buffer.set(value, this.#length);
    this.#length += value.length;
  }

  #tagged(field: number, value: number | bigint): void {
    this.#reserve(MAX_TAG + 1);
    this.#tag(field * 8);
    if (typeof value === 'number' && value >= 0 && value < 0x80)
      this.#buffer[this.#length++] = value;
    else this.#varint(value);
  }

  /** Number and wire type of a field of fewer than 2048; there is room. */
  #tag(tag: number): void {
    if (tag < 0x80) {
      this.#buffer[this.#length++] = tag;
      return;
    }
    this.#buffer[this.#length++] = (tag & 0x7f) | 0x80;
    this.#buffer[this.#length++] = tag >>> 7;
  }

  #varint(value: number | bigint): void {
    this.#reserve(10);
    if (value === -1 || value === -1n) {
      // "None" and "as it is": the one negative number that ops are full of.
      this.#buffer.fill(0xff, this.#length, this.#length + 9);
      this.#length += 10;
      this.#buffer[this.#length - 1] = 1;
      return;
    }
    if (typeof value === 'number' && value >= 0 && value < 0x80000000) {
      let rest = value;
      while (rest > 0x7f) {
        this.#buffer[this.#length++] = (rest & 0x7f) | 0x80;
        rest >>>= 7;
      }
      this.#buffer[this.#length++] = rest;
      return;
    }
    let rest = BigInt.asUintN(64, BigInt(value));
    while (rest > 0x7fn) {
      this.#buffer[this.#length++] = Number(rest & 0x7fn) | 0x80;
      rest >>= 7n;
    }
    this.#buffer[this.#length++] = Number(rest);
  }

  #reserve(more: number): void {
    if (this.#length + more <= this.#buffer.length) return;
    const grown = Buffer.allocUnsafe(Math.max(this.#buffer.length * 2, this.#length + more));
    this.#buffer.copy(grown, 0, 0, this.#length);
    this.#buffer = grown;
  }
}

function varintSize(value: number): number {
  let size = 1;
  for (let rest = value >>> 7; rest > 0; rest >>>= 7) size++;
  return size;
}

/** One field of a protobuf message as read: varints in `int`, length-delimited data in `bytes`. */
export interface ProtoField {
  readonly field: number;
  readonly int: bigint;
  readonly bytes: Uint8Array;
}

const NO_BYTES = new Uint8Array(0);
const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** Marks bytes that are not the message they should be; caught by `decodeMessage` only. */
class Malformed extends Error {}

/** Runs `decode`; what its readers find malformed becomes an error text. */
export function decodeMessage<T>(decode: () => T): Result<T, string> {
  try {
    return ok(decode());
  } catch (e) {
    if (e instanceof Malformed) return err(e.message);
    throw e;
  }
}

/** The fields of a message in the order of the bytes; inside `decodeMessage` only. */
export function readFields(bytes: Uint8Array): ProtoField[] {
  const fields: ProtoField[] = [];
  let at = 0;
  const varint = (): bigint => {
    let value = 0n;
    for (let shift = 0n; shift < 70n; shift += 7n) {
      const byte = bytes[at++];
      if (byte === undefined) throw new Malformed('the message ends inside a number');
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return BigInt.asUintN(64, value);
    }
    throw new Malformed('a number is longer than 64 bits');
  };
  const take = (length: bigint): Uint8Array => {
    if (length > BigInt(bytes.length - at)) throw new Malformed('the message ends inside a field');
    const start = at;
    at += Number(length);
    return bytes.subarray(start, at);
  };
  while (at < bytes.length) {
    const tag = varint();
    const field = Number(tag >> 3n);
    const wire = Number(tag & 7n);
    if (field === 0) throw new Malformed('field number 0');
    if (wire === 0) fields.push({ field, int: varint(), bytes: NO_BYTES });
    else if (wire === 2) fields.push({ field, int: 0n, bytes: take(varint()) });
    else if (wire === 1) take(8n);
    else if (wire === 5) take(4n);
    else throw new Malformed(`wire type ${wire}`);
  }
  return fields;
}

/** The last value of an integer field, as a signed number; 0 when absent. */
export function intOf(fields: readonly ProtoField[], field: number): number {
  return Number(bigintOf(fields, field));
}

/** The last value of an integer field, signed; 0 when absent. */
export function bigintOf(fields: readonly ProtoField[], field: number): bigint {
  const found = fields.findLast((f) => f.field === field);
  return found === undefined ? 0n : BigInt.asIntN(64, found.int);
}

/** The last value of a string field; empty when absent. */
export function textOf(fields: readonly ProtoField[], field: number): string {
  const found = fields.findLast((f) => f.field === field);
  return found === undefined ? '' : text(found.bytes);
}

/** All values of a repeated string field. */
export function textsOf(fields: readonly ProtoField[], field: number): string[] {
  return fields.filter((f) => f.field === field).map((f) => text(f.bytes));
}

/** All values of a repeated message field. */
export function messagesOf(fields: readonly ProtoField[], field: number): ProtoField[][] {
  return fields.filter((f) => f.field === field).map((f) => readFields(f.bytes));
}

/** The last value of a message field, or undefined when absent. */
export function messageOf(
  fields: readonly ProtoField[],
  field: number,
): readonly ProtoField[] | undefined {
  const found = fields.findLast((f) => f.field === field);
  return found === undefined ? undefined : readFields(found.bytes);
}

/** All values of a repeated integer field, packed or not. */
export function intsOf(fields: readonly ProtoField[], field: number): number[] {
  return fields.filter((f) => f.field === field).flatMap((f) => unpack(f));
}

function unpack(field: ProtoField): number[] {
  if (field.bytes.length === 0) return [Number(BigInt.asIntN(64, field.int))];
  const values: number[] = [];
  let value = 0n;
  let shift = 0n;
  for (const byte of field.bytes) {
    value |= BigInt(byte & 0x7f) << shift;
    shift += 7n;
    if (byte < 0x80) {
      values.push(Number(BigInt.asIntN(64, value)));
      value = 0n;
      shift = 0n;
    }
  }
  return values;
}

function text(bytes: Uint8Array): string {
  try {
    return utf8.decode(bytes);
  } catch (e) {
    if (e instanceof TypeError) throw new Malformed('a text is not UTF-8');
    throw e;
  }
}

/** Fails the decoding under way. */
export function malformed(message: string): never {
  throw new Malformed(message);
}
