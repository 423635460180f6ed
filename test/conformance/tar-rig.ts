import { createHash } from 'node:crypto';
import {
  TAR_END,
  type TarEntry,
  TarReader,
  tarHeader,
  tarPadding,
} from '../../src/archive/index.ts';
import { type Digest, digestOfHex } from '../../src/base/index.ts';

/** A member of a test archive: what is not said is a root-owned 0644 file (0755 directory) of second 1. */
export type Member = Partial<Omit<TarEntry, 'size'>> & {
  readonly name: string;
  readonly data?: string | Uint8Array;
};

/** The bytes of an archive. */
export function tarOf(members: readonly Member[]): Buffer {
  const parts: Uint8Array[] = [];
  for (const { data, ...member } of members) {
    const bytes = Buffer.from(data ?? '');
    const type = member.type ?? (member.name.endsWith('/') ? 'dir' : 'file');
    parts.push(
      tarHeader({
        mode: type === 'dir' ? 0o755 : type === 'symlink' ? 0o777 : 0o644,
        uid: 0,
        gid: 0,
        mtimeNs: 1_000_000_000n,
        xattrs: new Map(),
        ...member,
        type,
        size: bytes.length,
      }),
      bytes,
      tarPadding(bytes.length),
    );
  }
  return Buffer.concat([...parts, TAR_END]);
}

/** A stream of one archive in chunks of `size` bytes. */
export async function* chunked(bytes: Uint8Array, size = 65_536): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
  await Promise.resolve();
}

/** All bytes of a stream. */
export async function collect(source: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const parts: Uint8Array[] = [];
  for await (const part of source) parts.push(part);
  return Buffer.concat(parts);
}

/** SHA-256 of bytes as a digest. */
export function digestOf(bytes: Uint8Array): Digest {
  return digestOfHex(createHash('sha256').update(bytes).digest('hex'));
}

/** The members of an archive with their data as text. */
export async function membersOf(
  bytes: Uint8Array,
  chunk = 65_536,
): Promise<(TarEntry & { readonly data?: string })[]> {
  const reader = new TarReader(chunked(bytes, chunk));
  const members: (TarEntry & { readonly data?: string })[] = [];
  for (;;) {
    const next = await reader.next();
    if (!next.ok) throw new Error(next.error.message);
    if (next.value === undefined) return members;
    const data = (await collect(reader.data())).toString();
    members.push(data === '' ? next.value : { ...next.value, data });
  }
}
