import { zstdCompressSync, zstdDecompressSync } from 'node:zlib';
import { byCodeUnit, type Digest, hexOf } from '../base/index.ts';
import type { Change } from '../events/index.ts';
import { changed } from './change.ts';

/** Hexadecimal digits of an entry's digest that are kept: enough to tell two versions of one file apart. */
const DIGITS = 16;

/**
 * The files behind a content digest as one text: `path NUL digits LF`, the beginning of the entry's digest (contenthash,
 * header and data), in the order of paths by code unit, each path once. One text, as there may be 100,000 files.
 */
export type Listing = string & { readonly __brand: 'Listing' };

/** Listings are read from the own database, but never grow beyond this. */
const MAX_BYTES = 1 << 28;

/** The listing of entries whose digests are known. */
export function listingOf(entries: Iterable<readonly [path: string, digest: Digest]>): Listing {
  const lines: string[] = [];
  // As it comes back from bytes: a name that is no UTF-8 must equal itself.
  for (const [path, digest] of entries)
    lines.push(`${path.toWellFormed()}\0${hexOf(digest).slice(0, DIGITS)}\n`);
  // NUL sorts before every character of a longer path.
  lines.sort();
  // Brand constructor.
  return lines.filter((line, i) => line !== lines[i - 1]).join('') as Listing;
}

/** Packs a listing. */
export function encodeListing(listing: Listing): Uint8Array {
  return zstdCompressSync(Buffer.from(listing));
}

/** Reads a packed listing; an unreadable one is empty: it only explains. */
export function decodeListing(packed: Uint8Array): Listing {
  try {
    const bytes = zstdDecompressSync(packed, { maxOutputLength: MAX_BYTES });
    // Brand constructor: made by `encodeListing`.
    return bytes.toString('utf8') as Listing;
  } catch {
    return '' as Listing;
  }
}

/**
 * The files that differ. A directory whose own entry is the same is no difference; one that appears or disappears is
 * named itself, what is below it is named too.
 */
export function diffListings(before: Listing, after: Listing): Change[] {
  const changes: Change[] = [];
  let [a, b] = [lineAt(before, 0), lineAt(after, 0)];
  while (a !== undefined || b !== undefined) {
    if (a !== undefined && b !== undefined && before.startsWith(b.text, a.at)) {
      [a, b] = [lineAt(before, a.end), lineAt(after, b.end)];
      continue;
    }
    const order = a === undefined ? 1 : b === undefined ? -1 : byCodeUnit(a.path, b.path);
    const [old, now] = [order <= 0 ? a : undefined, order >= 0 ? b : undefined];
    const path = (old ?? now)?.path ?? '';
    changes.push(...changed('file', relative(path), old?.digits, now?.digits));
    if (old !== undefined) a = lineAt(before, old.end);
    if (now !== undefined) b = lineAt(after, now.end);
  }
  return changes;
}

/** Paths with nothing listed below them, the root aside: at most `limit` of them, in order. */
export function leavesOf(listing: Listing, limit: number): string[] {
  const parents = new Set<string>();
  for (let line = lineAt(listing, 0); line !== undefined; line = lineAt(listing, line.end)) {
    let parent = parentOf(line.path);
    for (; parent !== '' && !parents.has(parent); parent = parentOf(parent)) parents.add(parent);
  }
  const leaves: string[] = [];
  for (let line = lineAt(listing, 0); line !== undefined; line = lineAt(listing, line.end)) {
    if (line.path !== '/' && !parents.has(line.path)) leaves.push(line.path);
    if (leaves.length === limit) break;
  }
  return leaves;
}

const parentOf = (path: string): string => path.slice(0, path.lastIndexOf('/'));

/** A line of a listing; a path may hold line feeds. */
class Line {
  readonly text: string;
  readonly at: number;
  readonly end: number;

  constructor(text: string, at: number) {
    this.text = text;
    this.at = at;
    this.end = at + text.length;
  }

  get path(): string {
    return this.text.slice(0, -DIGITS - 2);
  }

  get digits(): string {
    return this.text.slice(-DIGITS - 1, -1);
  }
}

function lineAt(listing: Listing, at: number): Line | undefined {
  const end = listing.indexOf('\0', at);
  return end === -1 ? undefined : new Line(listing.slice(at, end + DIGITS + 2), at);
}

/** A path as the Dockerfile's author writes it. */
function relative(path: string): string {
  return path === '/' ? '.' : path.replace(/^\//, '');
}
