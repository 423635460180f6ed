import { readFileSync, writeFileSync } from 'node:fs';
import { type TarEntry, tarHeader } from '../../src/archive/index.ts';

/** Zeros that a block of four bytes stands for (RFC 8878, section 3.1.1.2: a block of the kind RLE). */
const BLOCK = 128 * 1024;

/** A zstd frame that begins with some bytes and goes on with so many zeros, 32,000 times as long as what it is packed to. */
export function zstdBomb(zeros: number, head: Uint8Array = new Uint8Array()): Buffer {
  const blocks = Math.ceil(zeros / BLOCK);
  // No content size, no checksum, a window of 128 KiB.
  const frame = Buffer.alloc(6 + 3 + head.length + blocks * 4);
  Buffer.from('28b52ffd0038', 'hex').copy(frame);
  frame.writeUIntLE(head.length << 3, 6, 3);
  frame.set(head, 9);
  for (let i = 0; i < blocks; i++) {
    const last = i === blocks - 1 ? 1 : 0;
    frame.writeUIntLE((BLOCK << 3) | (1 << 1) | last, 9 + head.length + i * 4, 3);
  }
  return frame;
}

/** The header of a member whose data are the zeros behind it. */
export function headOfFile(name: string, size: number): Uint8Array {
  const entry: TarEntry = {
    ...{ name, type: 'file', mode: 0o644, uid: 0, gid: 0, size, mtimeNs: 0n, xattrs: new Map() },
  };
  return tarHeader(entry);
}

/** The most memory that this process had at a time while something was done, in MiB. */
export async function peakOf(work: () => Promise<unknown>): Promise<number> {
  // Linux begins to count anew (proc(5), clear_refs).
  writeFileSync('/proc/self/clear_refs', '5');
  await work();
  const status = readFileSync('/proc/self/status', 'utf8');
  return Math.round(Number(/^VmHWM:\s*(\d+) kB$/m.exec(status)?.[1] ?? Infinity) / 1024);
}
