import { createHash } from 'node:crypto';
import { gunzipSync, zstdDecompressSync } from 'node:zlib';

/** One entry of a layer tar in the form of the golden `layers.json`. Times are whole seconds. */
export interface ListedEntry {
  readonly name: string;
  readonly type: string;
  readonly mode: string;
  readonly uid: number;
  readonly gid: number;
  readonly size?: number;
  readonly sha256?: string;
  readonly linkname?: string;
  readonly dev?: readonly number[];
  readonly mtime: number | null;
  readonly whiteout?: string;
  readonly pax?: Readonly<Record<string, string>>;
}

const TYPES: Readonly<Record<string, string>> = {
  '0': 'file',
  '\0': 'file',
  '1': 'hardlink',
  '2': 'symlink',
  '3': 'char',
  '4': 'block',
  '5': 'dir',
  '6': 'fifo',
};

/** Lists a layer blob (gzip, zstd or plain), written apart from the product's own tar code. */
export function listLayer(blob: Uint8Array): ListedEntry[] {
  const tar =
    blob[0] === 0x1f
      ? gunzipSync(blob)
      : blob[0] === 0x28
        ? zstdDecompressSync(blob)
        : Buffer.from(blob);
  const entries: ListedEntry[] = [];
  let pax: Record<string, string> = {};
  for (let at = 0; at + 512 <= tar.length; ) {
    const header = tar.subarray(at, at + 512);
    if (header.every((b) => b === 0)) break;
    const size = number(header, 124, 12);
    const data = tar.subarray(at + 512, at + 512 + size);
    at += 512 + Math.ceil(size / 512) * 512;
    const flag = String.fromCharCode(header[156] ?? 0);
    if (flag === 'x') pax = readPax(data);
    else {
      entries.push(entryOf(header, flag, pax, data));
      pax = {};
    }
  }
  return entries;
}

function entryOf(
  header: Buffer,
  flag: string,
  pax: Readonly<Record<string, string>>,
  data: Buffer,
): ListedEntry {
  const prefix = text(header, 345, 155);
  const short = text(header, 0, 100);
  const name = pax['path'] ?? (prefix === '' ? short : `${prefix}/${short}`);
  const type = TYPES[flag] ?? `flag ${flag}`;
  const base = name.slice(name.lastIndexOf('/') + 1);
  const rest = Object.fromEntries(
    Object.entries(pax).filter(
      ([k]) => !/^(path|linkpath|size|uid|gid|mtime|atime|ctime)$/.test(k),
    ),
  );
  return {
    name,
    type,
    mode: (number(header, 100, 8) & 0o7777).toString(8).padStart(4, '0'),
    uid: Number(pax['uid'] ?? number(header, 108, 8)),
    gid: Number(pax['gid'] ?? number(header, 116, 8)),
    ...(type === 'file'
      ? { size: data.length, sha256: createHash('sha256').update(data).digest('hex') }
      : {}),
    ...(type === 'symlink' || type === 'hardlink'
      ? { linkname: pax['linkpath'] ?? text(header, 157, 100) }
      : {}),
    ...(type === 'char' || type === 'block'
      ? { dev: [number(header, 329, 8), number(header, 337, 8)] }
      : {}),
    mtime: Math.floor(Number(pax['mtime'] ?? number(header, 136, 12))),
    ...(base.startsWith('.wh.') ? { whiteout: base.slice(4) } : {}),
    ...(Object.keys(rest).length > 0 ? { pax: rest } : {}),
  };
}

function text(header: Buffer, at: number, length: number): string {
  const field = header.subarray(at, at + length);
  const end = field.indexOf(0);
  return field.subarray(0, end === -1 ? length : end).toString('utf8');
}

function number(header: Buffer, at: number, length: number): number {
  if (((header[at] ?? 0) & 0x80) !== 0) {
    return header
      .subarray(at + 1, at + length)
      .reduce((sum, byte) => sum * 256 + byte, (header[at] ?? 0) & 0x7f);
  }
  const digits = text(header, at, length).trim();
  return digits === '' ? 0 : Number.parseInt(digits, 8);
}

function readPax(data: Buffer): Record<string, string> {
  const records: Record<string, string> = {};
  for (let at = 0; at < data.length; ) {
    const space = data.indexOf(0x20, at);
    const length = Number.parseInt(data.subarray(at, space).toString(), 10);
    const record = data.subarray(space + 1, at + length - 1).toString('utf8');
    const equals = record.indexOf('=');
    records[record.slice(0, equals)] = record.slice(equals + 1);
    at += length;
  }
  return records;
}
