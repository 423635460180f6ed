import { createHash } from 'node:crypto';

/** Entries of the table: one a byte value. */
const VALUES = 256;

/**
 * The table of the gear hash: the first 32 bits of SHA-256 of a name for each byte value, so that it can be made anew by
 * anybody. Part of the format: other values cut elsewhere, and nothing stored earlier is found again.
 */
export const GEAR: Int32Array = gearTable();

function gearTable(): Int32Array {
  const table = new Int32Array(VALUES);
  for (let value = 0; value < VALUES; value++)
    table[value] = createHash('sha256').update(`varve.gear.v1:${value}`).digest().readInt32BE(0);
  return table;
}
