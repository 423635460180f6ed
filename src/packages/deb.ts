import { createReadStream } from 'node:fs';
import { open } from 'node:fs/promises';
import { decompress } from '../archive/index.ts';
import { err, type Failure, FailureError, failure, ok, type Result } from '../base/index.ts';
import { unxz } from './unxz.ts';

/** One member of the ar archive that a .deb is (deb(5)). */
export interface DebMember {
  readonly name: string;
  readonly offset: number;
  readonly size: number;
  /** Seconds since the epoch. */
  readonly mtime: number;
}

/** The members of a binary package. */
export interface Deb {
  readonly path: string;
  readonly control: DebMember;
  readonly data: DebMember;
  /** When the package was built: the time stamp of its first member. */
  readonly builtAt: number;
}

const MAGIC = '!<arch>\n';
const HEADER = 60;
/** Members before the data; a package has three, and signatures may stand between. */
const MAX_MEMBERS = 16;

/** Reads the outline of a .deb: `debian-binary`, `control.tar*`, `data.tar*`, in this order. PK041: it is not one. */
export async function readDeb(path: string): Promise<Result<Deb>> {
  await using file = await open(path, 'r');
  const { size } = await file.stat();
  const at = async (offset: number, length: number): Promise<string> => {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(length), 0, length, offset);
    return buffer.toString('latin1', 0, bytesRead);
  };
  if ((await at(0, MAGIC.length)) !== MAGIC) return err(broken(path, 'it is no ar archive'));
  const members: DebMember[] = [];
  for (let offset = MAGIC.length; offset < size && members.length < MAX_MEMBERS; ) {
    const member = parseHeader(await at(offset, HEADER), offset);
    if (member === undefined || member.offset + member.size > size)
      return err(broken(path, `its archive is damaged at byte ${offset}`));
    members.push(member);
    if (member.name.startsWith('data.tar')) break;
    offset = member.offset + member.size + (member.size % 2);
  }
  const [first] = members;
  const control = members.find((m) => m.name.startsWith('control.tar'));
  const data = members.find((m) => m.name.startsWith('data.tar'));
  if (first?.name !== 'debian-binary' || !(await at(first.offset, 4)).startsWith('2.'))
    return err(broken(path, 'it is not of format 2'));
  if (control === undefined || data === undefined)
    return err(broken(path, 'it lacks control or data'));
  return ok({ path, control, data, builtAt: first.mtime });
}

function parseHeader(header: string, offset: number): DebMember | undefined {
  const match = /^([^ /]{1,16})\/? *$/.exec(header.slice(0, 16));
  const size = /^(\d{1,10}) *$/.exec(header.slice(48, 58))?.[1];
  const mtime = /^(\d{0,12}) *$/.exec(header.slice(16, 28))?.[1];
  if (header.length !== HEADER || header.slice(58) !== '`\n') return undefined;
  if (match?.[1] === undefined || size === undefined || mtime === undefined) return undefined;
  return { name: match[1], offset: offset + HEADER, size: Number(size), mtime: Number(mtime) };
}

const broken = (path: string, why: string): Failure =>
  failure('PK041', 3, `${path} is not a Debian package: ${why}`);

/** The uncompressed tar of a member; throws a `FailureError` (PK041) where the data is damaged. */
export async function* openMember(
  deb: Deb,
  member: DebMember,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array> {
  const packed = createReadStream(deb.path, {
    start: member.offset,
    end: member.offset + member.size - 1,
    highWaterMark: 256 * 1024,
    signal,
  });
  const kind = member.name.slice(member.name.indexOf('.tar') + 4);
  // A file stream without encoding yields buffers.
  const bytes = packed as AsyncIterable<Uint8Array>;
  try {
    switch (kind) {
      case '':
        yield* bytes;
        return;
      case '.xz':
        yield* unxz(bytes, { signal });
        return;
      case '.gz':
        yield* decompress(bytes, { signal, format: 'gzip' });
        return;
      case '.zst':
        yield* decompress(bytes, { signal, format: 'zstd' });
        return;
      default:
        break;
    }
  } catch (e) {
    signal.throwIfAborted();
    if (!(e instanceof Error)) throw e;
    const why = e instanceof FailureError ? e.failure.message : e.message;
    throw new FailureError({ ...broken(deb.path, `${member.name}: ${why}`), cause: e });
  } finally {
    packed.destroy();
  }
  throw new FailureError(broken(deb.path, `${member.name} is compressed in an unknown way`));
}
