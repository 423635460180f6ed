import { err, isRecord, ok, parseJson, type Result } from '../base/index.ts';
import type { DiskInput, DiskPart, DiskStep } from '../llb/index.ts';

/** Larger than every disk. */
const MOST = 2 ** 50;

class Malformed extends Error {}

/** Reads what a disk step says of itself: it may come from anywhere. */
export function readDiskStep(text: string): Result<DiskStep, string> {
  const parsed = parseJson(text);
  if (!parsed.ok) return parsed;
  try {
    return ok(stepOf(parsed.value));
  } catch (e) {
    if (e instanceof Malformed) return err(e.message);
    throw e;
  }
}

type Members = Readonly<Record<string, unknown>>;

function members(value: unknown, what: string): Members {
  if (!isRecord(value)) throw new Malformed(`${what} is no object`);
  return value;
}

function list(value: unknown, what: string): readonly unknown[] {
  if (!Array.isArray(value)) throw new Malformed(`${what} is no list`);
  return value;
}

function word(value: unknown, what: string): string {
  if (typeof value !== 'string' || value.includes('\0')) throw new Malformed(`${what} is no text`);
  return value;
}

function guid(value: unknown, what: string): string {
  const given = word(value, what);
  if (!/^[\da-f]{8}(?:-[\da-f]{4}){3}-[\da-f]{12}$/i.test(given))
    throw new Malformed(`${what} is no GUID`);
  return given;
}

function bytes(value: unknown, what: string): number {
  if (typeof value !== 'number' || !Number.isInteger(value) || value < 0 || value > MOST)
    throw new Malformed(`${what} is no number of bytes`);
  return value;
}

const optional = (value: unknown, what: string): { readonly size?: number } =>
  value === undefined ? {} : { size: bytes(value, what) };

function input(value: unknown, what: string): DiskInput {
  const { mount, path } = members(value, what);
  return { mount: word(mount, `${what}.mount`), path: word(path, `${what}.path`) };
}

function stepOf(value: unknown): DiskStep {
  const { file, table, parts, newest, rootHash } = members(value, 'the step');
  const name = word(file, 'file');
  if (!/^\/out\/[^/]+$/.test(name) || name === '/out/.' || name === '/out/..')
    throw new Malformed('file is not in /out');
  const all = list(parts, 'parts').map((part, i) => partOf(part, `parts[${i}]`));
  if (all.length === 0 || all.slice(0, -1).some(({ size }) => size === undefined))
    throw new Malformed('a part before the last has no size');
  return {
    ...{ file: name, parts: all, newest: input(newest, 'newest') },
    ...(table === undefined ? {} : { table: tableOf(members(table, 'table')) }),
    ...(rootHash === undefined ? {} : { rootHash: input(rootHash, 'rootHash') }),
  };
}

const tableOf = ({ kind, id, size }: Members): NonNullable<DiskStep['table']> => ({
  ...(kind === 'dos'
    ? { kind, id: digits(id, { what: 'table.id', length: 8 }) }
    : { kind: 'gpt', id: guid(id, 'table.id') }),
  ...optional(size, 'table.size'),
});

function digits(
  value: unknown,
  { what, length }: { readonly what: string; readonly length: number },
): string {
  const given = word(value, what);
  if (given.length !== length || !/^[\da-f]+$/i.test(given))
    throw new Malformed(`${what} has not ${length} hexadecimal digits`);
  return given;
}

function partOf(value: unknown, what: string): DiskPart {
  const { name, start, size, entry, content } = members(value, what);
  return {
    name: word(name, `${what}.name`),
    start: bytes(start, `${what}.start`),
    ...optional(size, `${what}.size`),
    ...(entry === undefined ? {} : { entry: entryOf(members(entry, what), what) }),
    content: contentOf(members(content, `${what}.content`), what),
  };
}

function entryOf({ index, type, uuid }: Members, what: string): NonNullable<DiskPart['entry']> {
  const number = bytes(index, `${what}.index`);
  if (number < 1 || number > 128) throw new Malformed(`${what}.index is not from 1 to 128`);
  const kind = word(type, `${what}.type`);
  return {
    index: number,
    type: kind.length === 2 ? digits(kind, { what, length: 2 }) : guid(kind, `${what}.type`),
    uuid: uuid === 0 || uuid === 1 ? uuid : word(uuid, `${what}.uuid`),
  };
}

function contentOf(content: Members, what: string): DiskPart['content'] {
  const from = input(content, `${what}.content`);
  if (content['kind'] === 'image') return { kind: 'image', ...from };
  if (content['kind'] !== 'ext4') throw new Malformed(`${what} has no content`);
  return {
    ...{ kind: 'ext4', ...from, uuid: guid(content['uuid'], `${what}.uuid`) },
    label: word(content['label'], `${what}.label`),
    emptied: list(content['emptied'], `${what}.emptied`).map((path) => word(path, what)),
  };
}
