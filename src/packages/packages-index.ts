import { type Digest, parseDigest, sha256 } from '../base/index.ts';
import {
  decodeTables,
  encodeTables,
  type IndexTables,
  linesNamed,
  linesProviding,
  MOST_IMPORTANT,
  namesOf,
  priorityOf,
  tablesOf,
} from './index-tables.ts';

/** One stanza of a Packages index, as far as choosing and fetching packages needs it. */
export interface PackageRecord {
  readonly name: string;
  readonly version: string;
  readonly architecture: string;
  readonly essential: boolean;
  /** 1 required, 2 important, 3 standard, 4 optional, 5 extra or none. */
  readonly priority: number;
  readonly multiArch: 'no' | 'same' | 'foreign' | 'allowed';
  readonly preDepends: string;
  readonly depends: string;
  readonly recommends: string;
  readonly conflicts: string;
  readonly breaks: string;
  readonly provides: string;
  /** Path below the repository's base URI. */
  readonly path: string;
  readonly size: number;
  readonly sha256: Digest;
}

/*
 * The compact form of an index: a first line `varve-index 2 <SHA-256 of the rest> <stanzas left out> <bytes of the lines>`,
 * then one line a package with tab-separated columns, then the tables by which packages are found without reading the
 * lines (index-tables.ts).
 */
const COLUMNS = [
  'package',
  'provides',
  'version',
  'architecture',
  'essential',
  'priority',
  'multi-arch',
  'pre-depends',
  'depends',
  'recommends',
  'conflicts',
  'breaks',
  'filename',
  'size',
  'sha256',
] as const;
const COLUMN_OF: ReadonlyMap<string, number> = new Map(COLUMNS.map((name, i) => [name, i]));
const HEAD = 'varve-index 2 ';
/** An earlier form, which had no tables. */
const EARLIER = 'varve-index 1 ';

const NAME = /^[a-z0-9][a-z0-9+.-]*$/;
const VERSION = /^[0-9A-Za-z.+:~-]+$/;
const PATH = /^(?!\/)(?!(?:.*\/)?\.\.(?:\/|$))[\x21-\x7e]+$/;

/**
 * Turns a Packages file into its compact form. Stanzas that lack what every package has, or whose names or paths are not
 * well-formed, are left out and counted.
 */
export function compactIndex(packages: Uint8Array): Buffer {
  const text = Buffer.from(packages.buffer, packages.byteOffset, packages.byteLength).toString(
    'latin1',
  );
  const lines: string[] = [];
  let leftOut = 0;
  let row: string[] = [];
  let column = -1;
  const flush = (): void => {
    if (row.length === 0) return;
    if (isUsable(row)) lines.push(row.join('\t'));
    else leftOut++;
    row = [];
  };
  for (let at = 0; at < text.length; ) {
    const newline = text.indexOf('\n', at);
    const end = newline === -1 ? text.length : newline;
    const first = text.charCodeAt(at);
    if (at === end || (end === at + 1 && first === 13)) flush();
    else if (first === 32 || first === 9) {
      if (column !== -1) row[column] = `${row[column] ?? ''} ${clean(text.slice(at, end))}`;
    } else {
      const colon = text.indexOf(':', at);
      column =
        colon === -1 || colon > end
          ? -1
          : (COLUMN_OF.get(text.slice(at, colon).toLowerCase()) ?? -1);
      if (column !== -1) {
        if (row.length === 0) row = COLUMNS.map(() => '');
        row[column] = clean(text.slice(colon + 1, end));
      }
    }
    at = end + 1;
  }
  flush();
  return withTables(lines.length === 0 ? '' : `${lines.join('\n')}\n`, String(leftOut));
}

function withTables(rows: string, leftOut: string): Buffer {
  const body = Buffer.concat([Buffer.from(rows, 'latin1'), encodeTables(tablesOf(rows))]);
  return Buffer.concat([Buffer.from(`${HEAD}${sha256(body)} ${leftOut} ${rows.length}\n`), body]);
}

/** The present form of an index of the earlier one; undefined for any other bytes. */
export function upgradedIndex(bytes: Buffer): Buffer | undefined {
  if (bytes.toString('latin1', 0, EARLIER.length) !== EARLIER) return undefined;
  const newline = bytes.indexOf(10);
  const body = bytes.subarray(newline + 1);
  const [, , digest, leftOut = ''] = bytes.toString('latin1', 0, newline).split(' ');
  return digest === sha256(body) ? withTables(body.toString('latin1'), leftOut) : undefined;
}

const clean = (text: string): string => text.replaceAll('\t', ' ').trim();

function isUsable(row: readonly string[]): boolean {
  const of = (name: (typeof COLUMNS)[number]): string => row[COLUMN_OF.get(name) ?? 0] ?? '';
  return (
    NAME.test(of('package')) &&
    VERSION.test(of('version')) &&
    /^[a-z0-9-]+$/.test(of('architecture')) &&
    PATH.test(of('filename')) &&
    /^\d{1,13}$/.test(of('size')) &&
    /^[0-9a-f]{64}$/.test(of('sha256'))
  );
}

/** An index in compact form, read lazily: a line is taken apart only when its package is looked at. */
export class PackagesIndex {
  readonly #text: string;
  readonly #tables: IndexTables;
  readonly #records = new Map<number, PackageRecord>();

  private constructor(text: string, tables: IndexTables) {
    this.#text = text;
    this.#tables = tables;
  }

  /** Reads a compact index; undefined when it is damaged or of another version. */
  static read(bytes: Buffer): PackagesIndex | undefined {
    const newline = bytes.indexOf(10);
    const head = bytes.subarray(0, Math.max(0, newline)).toString('latin1');
    const body = bytes.subarray(newline + 1);
    const [, , digest, , length] = head.split(' ');
    const isEarlier = head.startsWith(EARLIER);
    if (!(isEarlier || head.startsWith(HEAD)) || digest !== sha256(body)) return undefined;
    const text = body.toString('latin1', 0, isEarlier ? body.length : Number(length));
    const tables = isEarlier ? tablesOf(text) : decodeTables(body.subarray(text.length));
    return new PackagesIndex(text, tables);
  }

  /** Versions of a package in the index's order. */
  named(name: string): readonly PackageRecord[] {
    return linesNamed(this.#text, this.#tables, name).map((at) => this.#record(at));
  }

  /** Packages whose Provides mention `name`, in the index's order. */
  providing(name: string): readonly PackageRecord[] {
    return linesProviding(this.#text, this.#tables, name).map((at) => this.#record(at));
  }

  /** Where a package stands in the index. */
  orderOf(name: string): number {
    return linesNamed(this.#text, this.#tables, name)[0] ?? Number.MAX_SAFE_INTEGER;
  }

  /** Names of packages, in the index's order. */
  names(): Iterable<string> {
    return namesOf(this.#text);
  }

  /** Packages of a priority of at most `priority`, and the essential ones. */
  *important(priority: number): Iterable<PackageRecord> {
    // The table has those that are asked for; of lesser ones there are tens of thousands.
    const lines =
      priority <= MOST_IMPORTANT
        ? this.#tables.important
        : [...this.names()].flatMap((name) => linesNamed(this.#text, this.#tables, name));
    for (const at of lines) {
      const record = this.#record(at);
      if (record.essential || record.priority <= priority) yield record;
    }
  }

  #record(at: number): PackageRecord {
    const known = this.#records.get(at);
    if (known !== undefined) return known;
    const row = this.#text.slice(at, this.#text.indexOf('\n', at)).split('\t');
    const record = recordOf(row);
    this.#records.set(at, record);
    return record;
  }
}

function recordOf(row: readonly string[]): PackageRecord {
  const [name = '', provides = '', version = '', architecture = '', essential] = row;
  const [, , , , , priority = '', multiArch, preDepends = '', depends = ''] = row;
  const [recommends = '', conflicts = '', breaks = '', path = '', size, hash = ''] = row.slice(9);
  const digest = parseDigest(`sha256:${hash}`);
  if (digest === undefined) throw new Error(`compact index holds an unchecked digest for ${name}`);
  return {
    name,
    version,
    architecture,
    essential: essential === 'yes',
    priority: priorityOf(priority),
    multiArch:
      multiArch === 'same' || multiArch === 'foreign' || multiArch === 'allowed' ? multiArch : 'no',
    preDepends,
    depends,
    recommends,
    conflicts,
    breaks,
    provides,
    path,
    size: Number(size),
    sha256: digest,
  };
}
