import { err, ok, type Result } from '../base/index.ts';

const NANOSECONDS: ReadonlyMap<string, bigint> = new Map([
  ['ns', 1n],
  ['us', 1_000n],
  ['\u00b5s', 1_000n],
  ['\u03bcs', 1_000n],
  ['ms', 1_000_000n],
  ['s', 1_000_000_000n],
  ['m', 60_000_000_000n],
  ['h', 3_600_000_000_000n],
]);

const MAX = 1n << 63n;

/** Go's `time.ParseDuration`: nanoseconds, or the error text (`1h15m30.918s`, `-1.5h`, `300ms`). */
export function parseDuration(text: string): Result<bigint, string> {
  const invalid = (): Result<bigint, string> => err(`time: invalid duration ${quote(text)}`);
  const negative = text.startsWith('-');
  let rest = negative || text.startsWith('+') ? text.slice(1) : text;
  if (rest === '0') return ok(0n);
  if (rest === '') return invalid();
  let total = 0n;
  while (rest !== '') {
    const found = /^([0-9]*)(?:\.([0-9]*))?([^.0-9]*)/.exec(rest);
    const [whole = '', digits = '', fraction = '', unit = ''] = found ?? [];
    if (digits + fraction === '') return invalid();
    if (unit === '') return err(`time: missing unit in duration ${quote(text)}`);
    const scale = NANOSECONDS.get(unit);
    if (scale === undefined)
      return err(`time: unknown unit ${quote(unit)} in duration ${quote(text)}`);
    total += BigInt(digits === '' ? '0' : digits) * scale + fractionOf(fraction, scale);
    if (total > MAX) return invalid();
    rest = rest.slice(whole.length);
  }
  if (negative) return ok(-total);
  return total === MAX ? invalid() : ok(total);
}

/** Digits that do not fit 63 bits are ignored; the rest is computed in floating point, as Go does. */
function fractionOf(digits: string, scale: bigint): bigint {
  let used = digits;
  while (used !== '' && BigInt(used) >= MAX) used = used.slice(0, -1);
  if (used === '') return 0n;
  return BigInt(Math.trunc(Number(used) * (Number(scale) / 10 ** used.length)));
}

/** Go's package `time` quotes byte by byte: what is not printable ASCII becomes `\xNN`. */
function quote(text: string): string {
  let quoted = '';
  for (const byte of Buffer.from(text)) {
    const char = String.fromCharCode(byte);
    if (byte >= 0x80 || byte < 0x20) quoted += `\\x${byte.toString(16).padStart(2, '0')}`;
    else quoted += char === '"' || char === '\\' ? `\\${char}` : char;
  }
  return `"${quoted}"`;
}
