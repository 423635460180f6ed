import { err, failure, ok, type Result } from '../base/index.ts';
import { XmlReader } from './xml.ts';

/** One file of metadata that a repository has (`data` in repomd.xml). */
export interface RepomdFile {
  /** `primary`, `filelists`, … */
  readonly type: string;
  /** Path below the repository's address. */
  readonly location: string;
  /** SHA-256 of the file as it is served, hexadecimal; empty when another digest is given. */
  readonly sha256: string;
  readonly size: number;
  /** SHA-256 and size of what it unpacks to; empty and 0 when not said. */
  readonly openSha256: string;
  readonly openSize: number;
}

/** What repomd.xml says of a repository. */
export interface Repomd {
  /** Seconds since the epoch: the newest of its revision and of its files. */
  readonly date: number;
  readonly files: readonly RepomdFile[];
}

/** A path that stays below the address of a repository. */
export const RELATIVE_PATH = /^(?!\/)(?![a-z]+:)(?!(?:.*\/)?\.\.(?:\/|$))[^\0\s\\]+$/i;
const HEX = /^[0-9a-f]{64}$/;
/** A revision that is a time; others are labels. */
const TIME = /^\d{9,11}$/;

/** Reads repomd.xml. PK022: it is none, or names files elsewhere. */
export function parseRepomd(text: string, name: string): Result<Repomd> {
  const files: RepomdFile[] = [];
  let [root, date] = ['', 0];
  let fields = new Map<string, string>();
  const attributes = new Map<string, Readonly<Record<string, string>>>();
  const xml = new XmlReader(name, {
    open: (tag, given) => {
      if (root === '') root = tag;
      if (tag === 'data') {
        fields = new Map([['type', given['type'] ?? '']]);
        attributes.clear();
      }
      attributes.set(tag, given);
    },
    close: (tag, value) => {
      fields.set(tag, value);
      if (tag === 'timestamp' || (tag === 'revision' && TIME.test(value)))
        date = Math.max(date, Math.floor(Number(value)) || 0);
      if (tag === 'data') files.push(fileOf(fields, attributes));
    },
  });
  xml.write(text);
  const read = xml.end();
  if (!read.ok) return read;
  if (root !== 'repomd') return err(failure('PK022', 3, `${name} is no index of a repository`));
  const stray = files.find((f) => !RELATIVE_PATH.test(f.location));
  return stray === undefined
    ? ok({ date, files })
    : err(failure('PK022', 3, `${name} names a file outside the repository: ${stray.location}`));
}

function fileOf(
  fields: ReadonlyMap<string, string>,
  attributes: ReadonlyMap<string, Readonly<Record<string, string>>>,
): RepomdFile {
  const digest = (tag: string): string => {
    const value = (fields.get(tag) ?? '').toLowerCase();
    return attributes.get(tag)?.['type'] === 'sha256' && HEX.test(value) ? value : '';
  };
  const number = (tag: string): number => Math.floor(Number(fields.get(tag) ?? 0)) || 0;
  return {
    type: fields.get('type') ?? '',
    location: attributes.get('location')?.['href'] ?? '',
    sha256: digest('checksum'),
    size: number('size'),
    openSha256: digest('open-checksum'),
    openSize: number('open-size'),
  };
}
