import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { CpioReader, decompress, type StrippedFile } from '../archive/index.ts';
import { err, type Failure, failure, hexOf, ok, type Result, sha256 } from '../base/index.ts';
import { INTRO, RpmHeader, TAG } from '../rpm/index.ts';
import { PayloadReader } from './rpm-payload.ts';
import { judgeDetached, type Keyring } from './signature.ts';
import { writeArchive } from './tree-writer.ts';
import { unxz } from './unxz.ts';

/** The outline of a package file (rpm's "RPM V4 Package format"). */
export interface RpmFile {
  readonly path: string;
  readonly signature: RpmHeader;
  readonly header: RpmHeader;
  /** The bytes that a signature of the header is over. */
  readonly headerBytes: Buffer;
  /** Where the payload begins. */
  readonly payload: number;
}

const LEAD = 96;
const LEAD_MAGIC = Buffer.from([0xed, 0xab, 0xee, 0xdb]);

/** Whether a file begins like a package of rpm. */
export async function isRpm(path: string): Promise<boolean> {
  await using file = await open(path, 'r');
  return (await bytesAt(file, 0, 4)).equals(LEAD_MAGIC);
}

/** Reads both headers of a package. PK044: it is none, or damaged. */
export async function readRpm(path: string): Promise<Result<RpmFile>> {
  await using file = await open(path, 'r');
  if (!(await bytesAt(file, 0, 4)).equals(LEAD_MAGIC)) return err(broken(path, 'it has no lead'));
  const first = await headerAt(file, LEAD, path);
  if (!first.ok) return first;
  // The signature header is padded to eight bytes.
  const start = LEAD + Math.ceil(first.value.bytes.length / 8) * 8;
  const second = await headerAt(file, start, path);
  if (!second.ok) return second;
  return ok({
    path,
    signature: first.value.header,
    header: second.value.header,
    headerBytes: second.value.bytes,
    payload: start + second.value.bytes.length,
  });
}

async function headerAt(
  file: FileHandle,
  offset: number,
  path: string,
): Promise<Result<{ readonly header: RpmHeader; readonly bytes: Buffer }>> {
  const size = RpmHeader.sizeOf(await bytesAt(file, offset, INTRO));
  if (size === undefined) return err(broken(path, `there is no header at byte ${offset}`));
  if (size > (await file.stat()).size) return err(broken(path, 'it ends inside a header'));
  const bytes = await bytesAt(file, offset, size);
  const header = RpmHeader.parse(bytes, path);
  return header.ok ? ok({ header: header.value, bytes }) : header;
}

async function bytesAt(file: FileHandle, offset: number, length: number): Promise<Buffer> {
  const { buffer, bytesRead } = await file.read(Buffer.alloc(length), 0, length, offset);
  return buffer.subarray(0, bytesRead);
}

const broken = (path: string, why: string): Failure =>
  failure('PK044', 3, `${path} is not a package of rpm: ${why}`);

/**
 * Checks what a package says of itself: the digest and the OpenPGP signature of its header, and the digest of its payload that
 * the signed header holds. PK043: not signed, not by a key of the ring, or not what was signed. Fingerprints of the signers.
 */
export async function verifyRpm(
  path: string,
  options: { readonly keyring: Keyring; readonly now: number; readonly name: string },
): Promise<Result<readonly string[]>> {
  const { keyring, name } = options;
  const refuse = (why: string) =>
    err(
      failure('PK043', 3, `${name}: ${why}`, {
        help: 'the repository holds a package that is not signed with its key; name the key that it is signed with, or do not use it',
      }),
    );
  const read = await readRpm(path);
  if (!read.ok) return read;
  const { signature, header, headerBytes } = read.value;
  const promised = signature.text(TAG.sha256Header);
  if (promised !== undefined && promised !== hexOf(sha256(headerBytes)))
    return refuse('its header does not have the digest that it names');
  const packets = signatureOf(signature);
  if (packets === undefined) return refuse('its header is not signed');
  const judged = await judgeDetached(headerBytes, packets, options);
  if ('broken' in judged) return refuse(`its signature does not hold: ${judged.broken}`);
  if ('unknown' in judged)
    return refuse(`it is signed by keys that are not in ${keyring.name}: ${judged.unknown}`);
  const fault = await payloadFault(read.value, header);
  return fault === undefined ? ok(judged.signers) : refuse(fault);
}

/** The signature over the header alone; one over header and payload together would say the same of the payload. */
function signatureOf(signature: RpmHeader): Uint8Array | undefined {
  const base64 = signature.text(TAG.openpgp);
  if (base64 !== undefined) return Buffer.from(base64, 'base64');
  return signature.bytes(TAG.rsaHeader) ?? signature.bytes(TAG.dsaHeader);
}

/** OpenPGP's number of SHA-256 (RFC 9580, section 9.5). */
const SHA256 = 8;

/** Packages from before rpm 4.14 do not name a digest of the payload; the digest of the whole file holds for it all the same. */
async function payloadFault(file: RpmFile, header: RpmHeader): Promise<string | undefined> {
  const wanted = header.text(TAG.payloadDigest);
  if (wanted === undefined) return undefined;
  if ((header.number(TAG.payloadDigestAlgo) ?? SHA256) !== SHA256)
    return 'the digest of its payload is of a kind that is not known';
  const hash = createHash('sha256');
  const bytes = createReadStream(file.path, { start: file.payload, highWaterMark: 1 << 20 });
  // A file stream without encoding yields buffers.
  for await (const chunk of bytes) hash.update(chunk as Uint8Array);
  return hash.digest('hex') === wanted.toLowerCase()
    ? undefined
    : 'its payload does not have the digest that its header names';
}

/** Writes the files of a package below `root` (`writeArchive`), all of them owned by root. Nothing is run. */
export async function extractRpm(
  path: string,
  root: string,
  signal: AbortSignal,
): Promise<Result<void>> {
  const read = await readRpm(path);
  if (!read.ok) return read;
  const { header, payload } = read.value;
  if ((header.text(TAG.payloadFormat) ?? 'cpio') !== 'cpio')
    return err(broken(path, 'its payload is no cpio archive'));
  const packed = createReadStream(path, { start: payload, highWaterMark: 256 * 1024, signal });
  // A file stream without encoding yields buffers.
  const bytes = packed as AsyncIterable<Uint8Array>;
  const isXz = /^(?:xz|lzma)$/.test(header.text(TAG.payloadCompressor) ?? '');
  const plain = isXz ? unxz(bytes, { signal }) : decompress(bytes, { signal });
  const files = strippedFiles(header);
  const reader = new PayloadReader(new CpioReader(plain, files), files, path);
  return await writeArchive(reader, { root, name: path }, signal);
}

/** The files of a package by their numbers, for payloads that name them so. */
function strippedFiles(header: RpmHeader): readonly StrippedFile[] {
  const names = header.texts(TAG.baseNames);
  const [dirs, indexes] = [header.texts(TAG.dirNames), header.numbers(TAG.dirIndexes)];
  const long = header.numbers(TAG.longFileSizes);
  const sizes = long.length > 0 ? long : header.numbers(TAG.fileSizes);
  const [modes, times] = [header.numbers(TAG.fileModes), header.numbers(TAG.fileMtimes)];
  const [inodes, devices] = [header.numbers(TAG.fileInodes), header.numbers(TAG.fileRdevs)];
  const last = new Map<number, number>();
  const links = new Map<number, number>();
  for (const [i, inode] of inodes.entries()) {
    last.set(inode, i);
    links.set(inode, (links.get(inode) ?? 0) + 1);
  }
  return names.map((name, i) => {
    const inode = inodes[i] ?? 0;
    const shared = (links.get(inode) ?? 1) > 1 && ((modes[i] ?? 0) & 0o170000) === 0o100000;
    const device = devices[i] ?? 0;
    return {
      name: `${dirs[indexes[i] ?? 0] ?? ''}${name}`,
      mode: modes[i] ?? 0,
      size: ((modes[i] ?? 0) & 0o170000) === 0o040000 ? 0 : (sizes[i] ?? 0),
      mtime: times[i] ?? 0,
      device: { major: (device >> 8) & 0xfff, minor: device & 0xff },
      inode: shared ? inode : undefined,
      hasData: !shared || last.get(inode) === i,
    };
  });
}

/** Seconds since the epoch at which a package was built. */
export async function rpmBuiltAt(path: string): Promise<Result<number>> {
  const read = await readRpm(path);
  if (!read.ok) return read;
  const time = read.value.header.number(TAG.buildTime) ?? 0;
  return time > 0 ? ok(time) : err(broken(path, 'it does not say when it was built'));
}
