import { err, ok, type Result } from '../base/index.ts';
import { goString } from './go-text.ts';

/** Go's `strconv.ParseBool`. */
export function parseBool(text: string): boolean | undefined {
  if (['1', 't', 'T', 'TRUE', 'true', 'True'].includes(text)) return true;
  if (['0', 'f', 'F', 'FALSE', 'false', 'False'].includes(text)) return false;
  return undefined;
}

/** Go's `strconv.ParseUint(text, base, 32)`. */
export function parseUint32(text: string, base: 8 | 10): number | undefined {
  if (!(base === 8 ? /^[0-7]+$/ : /^[0-9]+$/).test(text)) return undefined;
  const value = Number.parseInt(text, base);
  return value <= 0xffff_ffff ? value : undefined;
}

/** Go's `strconv.ParseInt(text, 10, 32)` with its error text. */
export function parseInt32(text: string): Result<number, string> {
  const failed = (why: string): Result<number, string> =>
    err(`strconv.ParseInt: parsing ${goString(text)}: ${why}`);
  if (!/^[+-]?[0-9]+$/.test(text)) return failed('invalid syntax');
  const value = Number(text);
  return value >= -0x8000_0000 && value <= 0x7fff_ffff ? ok(value) : failed('value out of range');
}

const UNITS = 'bkmgtp';

/**
 * A number of bytes such as `64m`, `1.5 GiB` or `100` (units are powers of 1024); undefined when it is none. The same
 * as docker/go-units `RAMInBytes`.
 */
export function parseByteSize(text: string): number | undefined {
  const found = /^([+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?) ?([a-zA-Z]{0,3})$/.exec(
    text,
  );
  if (found === null) return undefined;
  const [, digits = '', unit = ''] = found;
  const suffix = unit.toLowerCase();
  const power = suffix === '' ? 0 : UNITS.indexOf(suffix.charAt(0));
  if (power === -1) return undefined;
  const rest = suffix.slice(1);
  if (power === 0 ? rest !== '' : !['', 'b', 'ib'].includes(rest)) return undefined;
  const size = Number(digits);
  // Adding zero takes the sign from a negative zero.
  return size < 0 ? undefined : Math.trunc(size * 1024 ** power) + 0;
}
