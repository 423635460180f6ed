import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { err, failure, isErrno, ok, type Result } from '../base/index.ts';
import { type Bytes, DamagedDisk, MAX_READ, partOf, place } from './bytes.ts';
import { openQcow2, QCOW2_MAGIC } from './qcow2.ts';

/** An open disk. */
export interface OpenDisk {
  readonly format: 'raw' | 'qcow2' | 'vhd';
  readonly bytes: Bytes;
  /** Bytes of the file itself. */
  readonly fileSize: number;
}

const OTHERS: readonly (readonly [magic: string, what: string])[] = [
  ['KDMV', 'a VMDK file'],
  ['\x1f\x8b', 'compressed by gzip'],
  ['\x28\xb5\x2f\xfd', 'compressed by zstd'],
  ['\xfd7zXZ', 'compressed by xz'],
  ['BZh', 'compressed by bzip2'],
];

/**
 * Opens a raw, QCOW2 or fixed VHD disk and hands it to `use`; nothing of the machine but the file is needed. TP012: the
 * file cannot be read, is of another format or is not what its format says.
 */
export function readDisk<T>(path: string, use: (disk: OpenDisk) => T): Result<T> {
  let fd: number | undefined;
  try {
    fd = openSync(path, 'r');
    const opened = fd;
    const { size } = fstatSync(opened);
    const file: Bytes = {
      size,
      read: (at, length) => {
        if (length > MAX_READ) throw new DamagedDisk(`${length} bytes at once`);
        const buffer = Buffer.alloc(length);
        for (let done = 0; done < length; ) {
          const n = readSync(opened, buffer, done, length - done, at + done);
          if (n === 0) throw new DamagedDisk(`the file ends at ${at + done}`);
          done += n;
        }
        return buffer;
      },
    };
    return ok(use(openFormat(file)));
  } catch (e) {
    if (e instanceof DamagedDisk)
      return err(failure('TP012', 2, `${path} cannot be read as a disk: ${e.message}`));
    if (isErrno(e, 'ENOENT', 'EACCES', 'EISDIR', 'ENOTDIR'))
      return err(failure('TP012', 2, `${path} cannot be read: ${e.code ?? ''}`));
    throw e;
  } finally {
    if (fd !== undefined) closeSync(fd);
  }
}

function openFormat(file: Bytes): OpenDisk {
  const head = file.read(0, Math.min(512, file.size));
  const other = OTHERS.find(([magic]) => head.toString('latin1', 0, magic.length) === magic);
  if (other !== undefined) throw new DamagedDisk(`it is ${other[1]}`);
  const fileSize = file.size;
  if (head.length >= 104 && head.readUInt32BE(0) === QCOW2_MAGIC)
    return { format: 'qcow2', bytes: openQcow2(file), fileSize };
  const footer = file.size >= 1024 ? file.read(file.size - 512, 512) : Buffer.alloc(512);
  // Virtual Hard Disk Image Format Specification 1.0: type 2 is a fixed disk, which its footer follows.
  if (footer.toString('latin1', 0, 8) === 'conectix' && footer.readUInt32BE(60) === 2)
    return { format: 'vhd', bytes: partOf(file, 0, place(footer.readBigUInt64BE(48))), fileSize };
  return { format: 'raw', bytes: file, fileSize };
}
