import { type Digest, parseDigest, sha256 } from '../base/index.ts';

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
 * The compact form of an index: a first line `varve-index 1 <SHA-256 of the rest> <stanzas left out>`, then one line a
 * package with tab-separated columns. Name and Provides come first, for they are all that is read of most lines.
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
const HEAD = 'varve-index 1 ';

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
  const body = Buffer.from(lines.length === 0 ? '' : `${lines.join('\n')}\n`, 'latin1');
  return Buffer.concat([Buffer.from(`${HEAD}${sha256(body)} ${leftOut}\n`), body]);
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
  readonly #byName = new Map<string, number[]>();
  readonly #byProvided = new Map<string, number[]>();
  readonly #records = new Map<number, PackageRecord>();

  private constructor(text: string) {
    this.#text = text;
    for (let at = 0; at < text.length; ) {
      const tab = text.indexOf('\t', at);
      const next = text.indexOf('\t', tab + 1);
      append(this.#byName, text.slice(at, tab), at);
      if (next > tab + 1)
        for (const match of text.slice(tab + 1, next).matchAll(PROVIDED))
          append(this.#byProvided, match[1] ?? '', at);
      at = text.indexOf('\n', next) + 1;
      if (at === 0) break;
    }
  }

  /** Reads a compact index; undefined when it is damaged or of another version. */
  static read(bytes: Buffer): PackagesIndex | undefined {
    const newline = bytes.indexOf(10);
    const head = bytes.subarray(0, Math.max(0, newline)).toString('latin1');
    const body = bytes.subarray(newline + 1);
    if (!head.startsWith(HEAD) || head.split(' ')[2] !== sha256(body)) return undefined;
    return new PackagesIndex(body.toString('latin1'));
  }

  /** Versions of a package in the index's order. */
  named(name: string): readonly PackageRecord[] {
    return (this.#byName.get(name) ?? []).map((at) => this.#record(at));
  }

  /** Packages whose Provides mention `name`, in the index's order. */
  providing(name: string): readonly PackageRecord[] {
    return (this.#byProvided.get(name) ?? []).map((at) => this.#record(at));
  }

  /** Where a package stands in the index. */
  orderOf(name: string): number {
    return this.#byName.get(name)?.[0] ?? Number.MAX_SAFE_INTEGER;
  }

  /** Names of packages, in the index's order. */
  names(): Iterable<string> {
    return this.#byName.keys();
  }

  /** Packages of a priority of at most `priority`, and the essential ones. */
  *important(priority: number): Iterable<PackageRecord> {
    for (const offsets of this.#byName.values())
      for (const at of offsets)
        if (this.#mayBeImportant(at, priority)) {
          const record = this.#record(at);
          if (record.essential || record.priority <= priority) yield record;
        }
  }

  /** Looks at two columns only: taking 60,000 lines apart would take longer than everything else. */
  #mayBeImportant(at: number, priority: number): boolean {
    let from = at;
    for (let i = 0; i < ESSENTIAL_COLUMN; i++) from = this.#text.indexOf('\t', from) + 1;
    const essentialEnd = this.#text.indexOf('\t', from);
    if (essentialEnd > from) return true;
    const end = this.#text.indexOf('\t', essentialEnd + 1);
    return priorityOf(this.#text.slice(essentialEnd + 1, end)) <= priority;
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

const ESSENTIAL_COLUMN = COLUMNS.indexOf('essential');
const PROVIDED = /(?:^|,)\s*([a-z0-9][a-z0-9+.-]*)/g;

function append(map: Map<string, number[]>, key: string, at: number): void {
  const list = map.get(key);
  if (list === undefined) map.set(key, [at]);
  else if (list.at(-1) !== at) list.push(at);
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

const PRIORITIES = ['required', 'important', 'standard', 'optional', 'extra'];

function priorityOf(text: string): number {
  const at = PRIORITIES.indexOf(text);
  return at === -1 ? PRIORITIES.length : at + 1;
}
