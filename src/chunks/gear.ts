import { hash } from 'node:crypto';

/** Entries of the table: one a byte value. */
const VALUES = 256;

let table: Int32Array | undefined;

/**
 * The table of the gear hash: the first 32 bits of SHA-256 of a name for each byte value, so that it can be made anew by
 * anybody. Part of the format: other values cut elsewhere, and nothing stored earlier is found again. Made when it is first
 * asked for, since most commands cut nothing.
 */
export function gearTable(): Int32Array {
  table ??= Int32Array.from({ length: VALUES }, (_, value) =>
    hash('sha256', `varve.gear.v1:${value}`, 'buffer').readInt32BE(0),
  );
  return table;
}
