import { endianness } from 'node:os';
import { byCodeUnit } from '../base/index.ts';

/*
 * Tables of a compact index of packages: places of lines in its text, in the order of what they are found by. They are made
 * once, when an index arrives; a look-up reads as many lines as a binary search needs, of tens of thousands.
 */

/** Where lines begin, by what they are found by. */
export interface IndexTables {
  /** All lines, by name and then place. */
  readonly byName: Uint32Array;
  /** Two numbers each, by name and then line: where the name stands in a Provides column, and its line. */
  readonly byProvided: Uint32Array;
  /** Lines of essential packages and of a priority up to `MOST_IMPORTANT`, packages in the order of their first lines. */
  readonly important: Uint32Array;
}

/** The least of the priorities that are looked up in a table: 1 required, 2 important, 3 standard. */
export const MOST_IMPORTANT = 3;

const PRIORITIES = ['required', 'important', 'standard', 'optional', 'extra'];

/** The number of a priority. */
export function priorityOf(text: string): number {
  const at = PRIORITIES.indexOf(text);
  return at === -1 ? PRIORITIES.length : at + 1;
}

const PROVIDED = /(?:^|,)\s*([a-z0-9][a-z0-9+.-]*)/g;

/** Makes the tables of the lines of an index: name, Provides, version, architecture, essential, priority, … */
export function tablesOf(text: string): IndexTables {
  const byName = new Map<string, number[]>();
  const provided: { readonly name: string; readonly from: number; readonly line: number }[] = [];
  const isImportant = new Set<number>();
  for (let at = 0; at < text.length; at = text.indexOf('\n', at) + 1) {
    const [name = '', provides = '', , , essential, priority = ''] = text
      .slice(at, text.indexOf('\n', at))
      .split('\t', 6);
    const lines = byName.get(name);
    if (lines === undefined) byName.set(name, [at]);
    else lines.push(at);
    const start = at + name.length + 1;
    const known = new Set<string>();
    for (const match of provides.matchAll(PROVIDED)) {
      const [whole, other = ''] = match;
      if (known.has(other)) continue;
      known.add(other);
      provided.push({
        name: other,
        from: start + match.index + whole.length - other.length,
        line: at,
      });
    }
    if (essential === 'yes' || priorityOf(priority) <= MOST_IMPORTANT) isImportant.add(at);
  }
  provided.sort((a, b) => byCodeUnit(a.name, b.name) || a.line - b.line);
  return {
    byName: Uint32Array.from(
      [...byName].sort(([a], [b]) => byCodeUnit(a, b)).flatMap(([, at]) => at),
    ),
    byProvided: Uint32Array.from(provided.flatMap(({ from, line }) => [from, line])),
    important: Uint32Array.from([...byName.values()].flat().filter((at) => isImportant.has(at))),
  };
}

/** The tables as bytes: their three lengths, then their numbers. */
export function encodeTables({ byName, byProvided, important }: IndexTables): Buffer {
  const lengths = Uint32Array.of(byName.length, byProvided.length, important.length);
  const numbers = [lengths, byName, byProvided, important].flatMap((table) => [...table]);
  const bytes = Buffer.alloc(numbers.length * 4);
  numbers.forEach((n, i) => bytes.writeUInt32LE(n, i * 4));
  return bytes;
}

/** Reads what `encodeTables` wrote. */
export function decodeTables(bytes: Buffer): IndexTables {
  // A copy of its own begins where numbers may.
  const own = Buffer.from(new Uint8Array(bytes).buffer);
  if (endianness() === 'BE') own.swap32();
  const numbers = new Uint32Array(own.buffer);
  const [names = 0, provided = 0] = numbers;
  const at = 3 + names;
  return {
    byName: numbers.subarray(3, at),
    byProvided: numbers.subarray(at, at + provided),
    important: numbers.subarray(at + provided),
  };
}

/** Names of packages in the order of their first lines. */
export function namesOf(text: string): Iterable<string> {
  const names = new Set<string>();
  for (let at = 0; at < text.length; at = text.indexOf('\n', at) + 1)
    names.add(text.slice(at, text.indexOf('\t', at)));
  return names;
}

/** Lines of the packages of a name. */
export function linesNamed(text: string, { byName }: IndexTables, name: string): readonly number[] {
  const nameAt = (i: number): string => {
    const at = byName[i] ?? 0;
    return text.slice(at, text.indexOf('\t', at));
  };
  return found(byName.length, nameAt, name).map((i) => byName[i] ?? 0);
}

const NAME = /[a-z0-9+.-]*/y;

/** Lines of the packages that provide a name. */
export function linesProviding(
  text: string,
  { byProvided }: IndexTables,
  name: string,
): readonly number[] {
  const nameAt = (i: number): string => {
    NAME.lastIndex = byProvided[i * 2] ?? 0;
    return NAME.exec(text)?.[0] ?? '';
  };
  return found(byProvided.length / 2, nameAt, name).map((i) => byProvided[i * 2 + 1] ?? 0);
}

/** Indexes of the entries of an ordered table that have a name. */
function found(length: number, nameAt: (i: number) => string, name: string): readonly number[] {
  let [low, high] = [0, length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (nameAt(middle) < name) low = middle + 1;
    else high = middle;
  }
  const entries: number[] = [];
  for (let i = low; i < length && nameAt(i) === name; i++) entries.push(i);
  return entries;
}
