import { byCodeUnit, err, ok, type Result } from '../base/index.ts';
import { ENTRY_KINDS, type Entry } from './entry.ts';
import { parseAge, parseSize } from './policy-text.ts';

/** Whether an entry is among those asked for, at a given time. */
export type EntryFilter = (entry: Entry, now: number) => boolean;

/**
 * A filter as flags say it: `kind=layer,blob`, `unused-for=7d` (`until=7d`), `older-than=7d`, `size>10MB`, `size<1GB`,
 * `build=<beginning of an id>`, `label=<text>`, `held=yes|no`, `id=<beginning>`. Several flags must all hold; commas within
 * one are alternatives.
 */
export function parseFilter(text: string): Result<EntryFilter, string> {
  const match = /^([a-z-]+)(!?=|[<>])(.*)$/.exec(text);
  const [, key = '', op = '', value = ''] = match ?? [];
  if (value === '') return err(`"${text}": write key=value, size>10MB or size<1GB`);
  const made = match === null ? undefined : filterOf(key, op, value);
  if (made === undefined) return err(`"${text}": unknown filter; known: ${KNOWN.join(', ')}`);
  return made;
}

const KNOWN = [
  ...['kind=', 'unused-for=', 'until=', 'older-than=', 'size>', 'size<', 'build=', 'label='],
  ...['held=', 'id='],
];

function filterOf(key: string, op: string, value: string): Result<EntryFilter, string> | undefined {
  if (key === 'size' && (op === '<' || op === '>')) {
    const size = parseSize(value);
    if (size === undefined) return err(`"${value}" is no size: write 10MB or 1GiB`);
    return ok((entry) => (op === '<' ? entry.bytes < size : entry.bytes > size));
  }
  if (op !== '=' && op !== '!=') return undefined;
  const positive = equality(key, value);
  if (positive?.ok !== true || op === '=') return positive;
  return ok((entry, now) => !positive.value(entry, now));
}

function equality(key: string, value: string): Result<EntryFilter, string> | undefined {
  const any = value.split(',');
  switch (key) {
    case 'kind': {
      const wrong = any.find((kind) => !ENTRY_KINDS.some((k) => k === kind));
      return wrong === undefined
        ? ok((entry) => any.includes(entry.kind))
        : err(`unknown kind "${wrong}"; known: ${ENTRY_KINDS.join(', ')}`);
    }
    case 'unused-for':
    case 'until':
      return aged(value, (entry) => entry.usedAt);
    case 'older-than':
      return aged(value, (entry) => entry.createdAt);
    case 'build':
      return ok((entry) => any.some((id) => entry.madeBy.build?.startsWith(id) === true));
    case 'label':
      return ok((entry) => any.some((part) => entry.label.includes(part)));
    case 'id':
      return ok((entry) => any.some((id) => matchesId(entry.id, id)));
    case 'held':
      if (value !== 'yes' && value !== 'no') return err(`held="${value}": yes or no`);
      return ok((entry) => entry.holds.length > 0 === (value === 'yes'));
    default:
      return undefined;
  }
}

function aged(text: string, time: (entry: Entry) => number): Result<EntryFilter, string> {
  const age = parseAge(text);
  if (age === undefined) return err(`"${text}" is no duration: write 7d, 36h or 1w2d`);
  return ok((entry, now) => now - time(entry) > age);
}

/** The orders in which entries are listed. */
export const SORTS: Readonly<Record<string, (a: Entry, b: Entry) => number>> = {
  size: (a, b) => b.bytes - a.bytes,
  used: (a, b) => b.usedAt - a.usedAt,
  created: (a, b) => b.createdAt - a.createdAt,
  uses: (a, b) => b.uses - a.uses,
  cost: (a, b) => b.lastCost.ms - a.lastCost.ms,
  kind: (a, b) => ENTRY_KINDS.indexOf(a.kind) - ENTRY_KINDS.indexOf(b.kind),
  name: (a, b) => byCodeUnit(a.label, b.label),
};

/** Whether `text` names an entry: its whole id, or the beginning of its digest or random part. */
export function matchesId(id: string, text: string): boolean {
  if (id === text) return true;
  const plain = text.replace(/^(?:sha256|new|packed):(?:packed:)?/, '');
  const bare = id.replace(/^[a-z]+:(?:sha256:|new:(?:packed:)?)?/, '');
  return plain.length >= 3 && (bare.startsWith(plain) || id.startsWith(text));
}

/** Entries that a person means: by id or its beginning, or by the name of an image. */
export function findEntries(entries: readonly Entry[], text: string): readonly Entry[] {
  const exact = entries.filter((entry) => entry.id === text || entry.id === `image:${text}`);
  if (exact.length > 0) return exact;
  const named = entries.filter((entry) => entry.kind === 'image' && entry.label === text);
  if (named.length > 0) return named;
  return entries.filter((entry) => matchesId(entry.id, text));
}
