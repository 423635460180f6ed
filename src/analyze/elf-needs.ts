/** Largest program that is read. */
export const MAX_PROGRAM = 64 << 20;

const [PT_LOAD, PT_DYNAMIC, PT_INTERP] = [1, 2, 3];
const [DT_NEEDED, DT_STRTAB] = [1n, 5n];

/** Whether a file begins as a program does: ELF, or a script that names its interpreter. */
export const isProgram = (start: Uint8Array): boolean =>
  (start[0] === 0x7f && start[1] === 0x45) || (start[0] === 0x23 && start[1] === 0x21);

/** What a program needs to start: libraries by name, and its interpreter by path (System V ABI, "Program Header", "Dynamic Section"). */
export function programNeeds(data: Buffer): readonly string[] {
  if (data[0] === 0x23) {
    const [line = ''] = data.subarray(2, 258).toString('latin1').split('\n');
    return line
      .trim()
      .split(/\s+/)
      .slice(0, 1)
      .filter((path) => path !== '');
  }
  try {
    return elfNeeds(data);
  } catch (e) {
    // Numbers in a damaged file that lead out of it.
    if (e instanceof RangeError) return [];
    throw e;
  }
}

interface Segment {
  readonly type: number;
  readonly offset: number;
  readonly address: number;
  readonly size: number;
}

function elfNeeds(data: Buffer): readonly string[] {
  // Only what Linux runs here: little-endian, 64 or 32 bits.
  if (data[5] !== 1) return [];
  const wide = data[4] === 2;
  const word = (at: number): number =>
    wide ? Number(data.readBigUInt64LE(at)) : data.readUInt32LE(at);
  const table = wide ? word(32) : word(28);
  const [size, count] = [data.readUInt16LE(wide ? 54 : 42), data.readUInt16LE(wide ? 56 : 44)];
  const segments = Array.from({ length: count }, (_, i): Segment => {
    const at = table + i * size;
    const type = data.readUInt32LE(at);
    return wide
      ? { type, offset: word(at + 8), address: word(at + 16), size: word(at + 32) }
      : { type, offset: word(at + 4), address: word(at + 8), size: word(at + 16) };
  });
  const interpreter = segments
    .filter(({ type }) => type === PT_INTERP)
    .map(({ offset }) => text(data, offset));
  return [...interpreter, ...libraries(data, segments, wide)];
}

function libraries(data: Buffer, segments: readonly Segment[], wide: boolean): readonly string[] {
  const dynamic = segments.find(({ type }) => type === PT_DYNAMIC);
  if (dynamic === undefined) return [];
  const step = wide ? 16 : 8;
  const word = (at: number): bigint =>
    wide ? data.readBigUInt64LE(at) : BigInt(data.readUInt32LE(at));
  const entries = Array.from({ length: Math.floor(dynamic.size / step) }, (_, i) => {
    const at = dynamic.offset + i * step;
    return { tag: word(at), value: Number(word(at + step / 2)) };
  });
  const strings = entries.find(({ tag }) => tag === DT_STRTAB)?.value ?? 0;
  const load = segments.find(
    ({ type, address, size }) => type === PT_LOAD && address <= strings && strings < address + size,
  );
  if (load === undefined) return [];
  const base = strings - load.address + load.offset;
  return entries
    .filter(({ tag }) => tag === DT_NEEDED)
    .map(({ value }) => text(data, base + value));
}

function text(data: Buffer, at: number): string {
  const end = data.indexOf(0, at);
  return data.subarray(at, end === -1 ? data.length : end).toString('utf8');
}
