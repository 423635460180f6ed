import { zstdCompressSync, zstdDecompressSync } from 'node:zlib';
import { byCodeUnit, type Digest, hexOf } from '../base/index.ts';
import type { Change } from '../events/index.ts';
import { changed } from './change.ts';

/** Hexadecimal digits of an entry's digest that are kept: enough to tell two versions of one file apart. */
const DIGITS = 16;

/** The files behind a content digest: path to the beginning of the entry's digest (contenthash, header and data). */
export type Listing = ReadonlyMap<string, string>;

/** Listings are read from the own database, but never grow beyond this. */
const MAX_BYTES = 1 << 28;

const digits = (digest: Digest): string => hexOf(digest).slice(0, DIGITS);

/** The listing of entries whose digests are known. */
export function listingOf(entries: ReadonlyMap<string, Digest>): Listing {
  return new Map([...entries].map(([path, digest]) => [path, digits(digest)]));
}

/** Packs a listing: sorted `path NUL digits` lines, compressed. */
export function encodeListing(entries: ReadonlyMap<string, Digest>): Uint8Array {
  const lines = [...entries].map(([path, digest]) => `${path}\0${digits(digest)}\n`);
  return zstdCompressSync(Buffer.from(lines.sort(byCodeUnit).join('')));
}

/** Reads a packed listing; an unreadable one is empty: it only explains. */
export function decodeListing(packed: Uint8Array): Listing {
  const listing = new Map<string, string>();
  let text: string;
  try {
    text = zstdDecompressSync(packed, { maxOutputLength: MAX_BYTES }).toString('utf8');
  } catch {
    return listing;
  }
  for (let at = 0; at < text.length; ) {
    const end = text.indexOf('\0', at);
    if (end === -1) break;
    listing.set(text.slice(at, end), text.slice(end + 1, end + 1 + DIGITS));
    at = end + 2 + DIGITS;
  }
  return listing;
}

/**
 * The files that differ. A directory whose own entry is the same is no difference; one that appears or disappears is
 * named itself, what is below it is named too.
 */
export function diffListings(before: Listing, after: Listing): Change[] {
  const names = new Set([...before.keys(), ...after.keys()]);
  return [...names]
    .sort(byCodeUnit)
    .flatMap((path) => changed('file', relative(path), before.get(path), after.get(path)));
}

/** A path as the Dockerfile's author writes it. */
function relative(path: string): string {
  return path === '/' ? '.' : path.replace(/^\//, '');
}
