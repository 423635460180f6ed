import { appendFileSync, readFileSync } from 'node:fs';
import { crc32 } from 'node:zlib';
import { type Digest, hexOf, isErrno, parseDigest, parseJson } from '../base/index.ts';
import type { DigestMemo } from './layer-view.ts';

/**
 * Digests of the files of one layer, which never change once known. One line each, `<crc32> <hex> <path as JSON>`; a torn
 * or damaged line is passed over and its digest found out again.
 */
export class DigestFile implements DigestMemo {
  readonly #path: string;
  #known: Map<string, Digest> | undefined;

  constructor(path: string) {
    this.#path = path;
  }

  /** The line that remembers a digest. */
  static line(path: string, digest: Digest): string {
    const body = `${hexOf(digest)} ${JSON.stringify(path)}`;
    return `${checksum(body)} ${body}\n`;
  }

  get(path: string): Digest | undefined {
    return this.#load().get(path);
  }

  set(path: string, digest: Digest): void {
    this.#load().set(path, digest);
    try {
      appendFileSync(this.#path, DigestFile.line(path, digest));
    } catch (e) {
      // A layer that is being removed, or a full disk: the digest is only not remembered.
      if (!isErrno(e, 'ENOENT', 'ENOSPC', 'EDQUOT', 'EROFS', 'EACCES')) throw e;
    }
  }

  /** Lines that are torn or damaged. */
  damagedLines(): number {
    const lines = readText(this.#path)
      .split('\n')
      .filter((line) => line !== '');
    return lines.filter((line) => parseLine(line) === undefined).length;
  }

  #load(): Map<string, Digest> {
    this.#known ??= parse(readText(this.#path));
    return this.#known;
  }
}

function parse(text: string): Map<string, Digest> {
  const known = new Map<string, Digest>();
  for (const line of text.split('\n')) {
    const parsed = parseLine(line);
    if (parsed !== undefined) known.set(parsed.path, parsed.digest);
  }
  return known;
}

function parseLine(line: string): { readonly path: string; readonly digest: Digest } | undefined {
  const match = /^([0-9a-f]{8}) (([0-9a-f]{64}) (".*"))$/.exec(line);
  if (match === null || checksum(match[2] ?? '') !== match[1]) return undefined;
  const digest = parseDigest(`sha256:${match[3] ?? ''}`);
  const path = parseJson(match[4] ?? '');
  return digest !== undefined && path.ok && typeof path.value === 'string'
    ? { path: path.value, digest }
    : undefined;
}

function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (e) {
    if (isErrno(e, 'ENOENT')) return '';
    throw e;
  }
}

function checksum(text: string): string {
  return crc32(text).toString(16).padStart(8, '0');
}
