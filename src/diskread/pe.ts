import { DamagedDisk, textOf } from './bytes.ts';

/** A program of EFI, as its headers describe it. */
export interface EfiProgram {
  readonly sections: readonly { readonly name: string; readonly data: Buffer }[];
  /** Whether it has an attribute certificate: whose signature that is, is not checked. */
  readonly signed: boolean;
}

/** Reads a PE32+ program (Microsoft's PE format); undefined for what is none. */
export function readEfiProgram(bytes: Buffer): EfiProgram | undefined {
  if (bytes.length < 64 || bytes.toString('latin1', 0, 2) !== 'MZ') return undefined;
  const pe = bytes.readUInt32LE(60);
  if (pe + 24 > bytes.length || bytes.toString('latin1', pe, pe + 4) !== 'PE\0\0') return undefined;
  const [count, optional] = [bytes.readUInt16LE(pe + 6), bytes.readUInt16LE(pe + 20)];
  const table = pe + 24 + optional;
  if (table + count * 40 > bytes.length) throw new DamagedDisk('a program without its sections');
  // The fifth data directory, "certificate table", begins at byte 144 of the optional header of PE32+.
  const certificates = optional >= 152 ? bytes.readUInt32LE(pe + 24 + 148) : 0;
  const sections = Array.from({ length: count }, (_, i) => {
    const at = table + i * 40;
    const [virtual, raw, offset] = [8, 16, 20].map((o) => bytes.readUInt32LE(at + o));
    const length = Math.min(virtual ?? 0, raw ?? 0) || (raw ?? 0);
    return {
      name: textOf(bytes.subarray(at, at + 8)),
      data: bytes.subarray(offset ?? 0, (offset ?? 0) + length),
    };
  });
  return { sections, signed: certificates > 0 };
}
