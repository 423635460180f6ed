import { createHash } from 'node:crypto';
import { err, type Failure, failure, ok, type Result } from '../base/index.ts';
import type { OsPartition, OsTemplate } from '../template/index.ts';

/** File systems that can be made. */
export type DiskFs = 'vfat' | 'ext4' | 'erofs' | 'squashfs' | 'swap' | 'verity';

/** One partition, every choice made. */
export interface DiskPartition {
  readonly id: string;
  readonly index: number;
  readonly name: string;
  /** Type GUID, or the two digits of MBR. */
  readonly type: string;
  /** What `PARTUUID=` means. */
  readonly uuid: string;
  readonly fs: DiskFs;
  readonly fsUuid: string;
  readonly label: string;
  readonly start: number;
  /** Bytes; absent: the rest of the disk, or as much as the content needs where the disk has no size. */
  readonly size?: number;
  /** Absent: not mounted. */
  readonly mountPoint?: string;
  readonly mountOptions: string;
}

/** A disk, every choice made: identifiers are derived from the names in the template. */
export interface DiskLayout {
  readonly table: 'gpt' | 'dos';
  readonly id: string;
  /** Bytes; absent: as much as the content needs. */
  readonly size?: number;
  readonly partitions: readonly DiskPartition[];
  readonly esp: DiskPartition;
  readonly root: DiskPartition;
  /** The tree of hashes of the root; absent: the root can be written to, or is a live medium's. */
  readonly verity?: DiskPartition;
}

const MIB = 1024 * 1024;
/** Default size of the EFI system partition: room for two unified kernel images. */
const ESP_SIZE = 128 * MIB;

/** Partition types by the names of os-image-composer (UEFI 2.10, table 5.7; UAPI discoverable partitions). */
const TYPES: Readonly<Record<string, readonly [gpt: string, mbr: string]>> = {
  esp: ['C12A7328-F81F-11D2-BA4B-00A0C93EC93B', 'ef'],
  linux: ['0FC63DAF-8483-4772-8E79-3D69D8477DE4', '83'],
  'linux-root-amd64': ['4F68BCE3-E8CD-4DB1-96E7-FBCAF984B709', '83'],
  'linux-root-arm64': ['B921B045-1DF0-41C3-AF44-4C6F280D3FAE', '83'],
  'linux-root-amd64-verity': ['2C7357ED-EBD2-46D9-AEC1-23D437EC2BF5', '83'],
  'linux-root-arm64-verity': ['DF3300CE-D69F-4C92-978C-9BFB0F38D820', '83'],
  'linux-home': ['933AC7E1-2EB4-4F13-B844-0E14E2AEF915', '83'],
  'linux-srv': ['3B8F8425-20E0-4F3B-907F-1A25A76F98E8', '83'],
  'linux-var': ['4D21B016-B534-45C2-A9FB-5C16E091FD2D', '83'],
  'linux-tmp': ['7EC6F557-3BC5-4ACA-B293-16EF5DF639D1', '83'],
  'linux-swap': ['0657FD6D-A4AB-43C4-84E5-0933C84B4F4F', '82'],
};

const FILE_SYSTEMS: Readonly<Record<string, DiskFs>> = {
  fat32: 'vfat',
  vfat: 'vfat',
  fat: 'vfat',
  ext4: 'ext4',
  erofs: 'erofs',
  squashfs: 'squashfs',
  swap: 'swap',
  'linux-swap': 'swap',
};

/** A UUID of version 8 (RFC 9562, section 5.8) that is always the same for the same words. */
export function derivedUuid(...words: readonly string[]): string {
  const hex = createHash('sha256').update(words.join('\0')).digest('hex').slice(0, 32).split('');
  hex[12] = '8';
  hex[16] = '89ab'[Number.parseInt(hex[16] ?? '0', 16) % 4] ?? '8';
  const text = hex.join('');
  return [8, 12, 16, 20, 32].map((end, i) => text.slice([0, 8, 12, 16, 20][i], end)).join('-');
}

/** Lays out the disk of a template. TP009: partitions that cannot be made, or do not fit together. */
export function layOut(t: OsTemplate): Result<DiskLayout> {
  const table = t.disk?.partitionTableType === 'mbr' ? 'dos' : 'gpt';
  const seed = [t.image.name, t.disk?.name ?? ''];
  const id =
    table === 'gpt'
      ? derivedUuid(...seed, 'disk')
      : `0x${derivedUuid(...seed, 'disk').slice(0, 8)}`;
  const size = t.disk?.size === undefined ? undefined : bytesOf(t.disk.size);
  const problems: Failure[] = [];
  const refuse = (path: readonly PropertyKey[], message: string, help: string): undefined => {
    problems.push(failure('TP009', 2, message, { help, places: [t.at(path)] }));
    return undefined;
  };
  const immutable = t.system.immutability?.enabled === true;
  const written = partitionsOf(t);
  const arch = t.target.arch === 'aarch64' ? 'arm64' : 'amd64';
  const partitions = written.flatMap((p, i): DiskPartition[] => {
    const at = ['disk', 'partitions', i];
    const hashes = immutable && HASH_IDS.has(p.id ?? '');
    const fs = hashes ? 'verity' : FILE_SYSTEMS[p.fsType ?? 'ext4'];
    if (fs === undefined)
      refuse(
        [...at, 'fsType'],
        `file system ${p.fsType ?? ''} cannot be made`,
        'known: fat32, ext4, erofs, squashfs, swap',
      );
    const esp = p.type === 'esp' || (p.flags ?? []).includes('esp');
    const root = p.mountPoint === '/';
    const kind = hashes
      ? `linux-root-${arch}-verity`
      : esp
        ? 'esp'
        : (p.type ?? (root ? `linux-root-${arch}` : 'linux'));
    const types = TYPES[kind];
    if (types === undefined && p.typeUUID === undefined)
      refuse(
        [...at, 'type'],
        `unknown partition type ${kind}`,
        `known: ${Object.keys(TYPES).join(', ')}; or give typeUUID`,
      );
    const name = p.name ?? p.id ?? `part${i + 1}`;
    const index = p.index ?? i + 1;
    const start = bytesOf(p.start ?? '1MiB');
    const end = bytesOf(p.end ?? '0');
    if (start % MIB !== 0 || start === 0)
      refuse(
        [...at, 'start'],
        `partition ${name} does not start at a whole MiB`,
        'write 1MiB or more',
      );
    if (end !== 0 && end <= start)
      refuse(
        [...at, 'end'],
        `partition ${name} ends before it starts`,
        'write a later end, or 0 for the rest',
      );
    if (fs === undefined) return [];
    const mountPoint = mountOf(p);
    return [
      {
        id: p.id ?? name,
        index,
        name,
        type: p.typeUUID ?? types?.[table === 'gpt' ? 0 : 1] ?? '',
        uuid:
          table === 'gpt'
            ? derivedUuid(...seed, 'partition', name)
            : `${id.slice(2)}-${String(index).padStart(2, '0')}`,
        fs,
        fsUuid: derivedUuid(...seed, 'fs', name),
        label: p.fsLabel ?? '',
        start,
        ...sizeOf(start, end, size),
        ...(mountPoint === undefined ? {} : { mountPoint }),
        mountOptions: p.mountOptions ?? (esp ? 'umask=0077' : 'defaults'),
      },
    ];
  });
  const root = partitions.find((p) => p.mountPoint === '/');
  const esp = partitions.find((p) => p.type === TYPES['esp']?.[table === 'gpt' ? 0 : 1]);
  if (root === undefined)
    refuse(['disk', 'partitions'], 'no partition is mounted at /', 'give one mountPoint: /');
  else if (root.fs === 'vfat' || root.fs === 'swap')
    refuse(['disk', 'partitions'], `the root cannot be ${root.fs}`, 'use ext4, erofs or squashfs');
  if (esp === undefined || esp.fs !== 'vfat')
    refuse(
      ['disk', 'partitions'],
      'there is no EFI system partition with fat32',
      'give one type: esp, fsType: fat32',
    );
  const verity = partitions.find((p) => p.fs === 'verity');
  if (immutable && verity === undefined)
    refuse(
      ['disk', 'partitions'],
      'an immutable root needs a partition for its hashes',
      'give one id: roothashmap with mountPoint: none, of 1/100 of the root',
    );
  overlaps(partitions, size).forEach((message) =>
    refuse(['disk', 'partitions'], message, 'partitions follow one another within the size'),
  );
  const [first, ...also] = problems;
  if (first !== undefined) return err(also.length === 0 ? first : { ...first, also });
  if (root === undefined || esp === undefined) throw new Error('both were just found');
  return ok({
    table,
    id,
    ...(size === undefined ? {} : { size }),
    partitions,
    esp,
    root,
    ...(verity === undefined ? {} : { verity }),
  });
}

/** Names of the partition for hashes, as os-image-composer has them. */
const HASH_IDS: ReadonlySet<string> = new Set(['roothashmap', 'hash']);
/** Default size of that partition: room for the hashes of 8 GiB. */
const HASH_SIZE = 64 * MIB;

/** The partitions that a template names, or the usual ones of what it describes. */
function partitionsOf(t: OsTemplate): readonly OsPartition[] {
  if (t.target.imageType === 'iso') return [...usual([]).slice(0, 1), LIVE_ROOT];
  if (t.disk?.partitions !== undefined) return t.disk.partitions;
  return usual(t.system.immutability?.enabled === true ? [['roothashmap', HASH_SIZE]] : []);
}

/** What a live medium has in place of a partition for the root. */
const LIVE_ROOT: OsPartition = {
  id: 'root',
  fsType: 'squashfs',
  start: `${1 + ESP_SIZE / MIB}MiB`,
  end: '0',
  mountPoint: '/',
};

/** An EFI system partition, others, and the root in the rest. */
function usual(others: readonly (readonly [id: string, size: number])[]): readonly OsPartition[] {
  let at = MIB;
  const next = (size: number): Pick<OsPartition, 'start' | 'end'> => {
    const start = at;
    at += size;
    return { start: `${start / MIB}MiB`, end: `${at / MIB}MiB` };
  };
  return [
    { id: 'boot', type: 'esp', fsType: 'fat32', mountPoint: '/boot/efi', ...next(ESP_SIZE) },
    ...others.map(([id, size]) => ({ id, mountPoint: 'none', ...next(size) })),
    { id: 'rootfs', fsType: 'ext4', start: `${at / MIB}MiB`, end: '0', mountPoint: '/' },
  ];
}

/** The last partition takes the rest of a disk whose size is given. */
function sizeOf(start: number, end: number, disk: number | undefined): { readonly size?: number } {
  if (end !== 0) return { size: end - start };
  return disk === undefined ? {} : { size: disk - GPT_END - start };
}

function mountOf(p: OsPartition): string | undefined {
  return p.mountPoint === undefined || p.mountPoint === '' || p.mountPoint === 'none'
    ? undefined
    : p.mountPoint;
}

/** Room for the second table at the end of a GPT disk. */
const GPT_END = MIB;

function overlaps(partitions: readonly DiskPartition[], size: number | undefined): string[] {
  const found: string[] = [];
  const ordered = [...partitions].sort((a, b) => a.start - b.start);
  ordered.forEach((p, i) => {
    const next = ordered[i + 1];
    if (next !== undefined && p.size === undefined)
      found.push(`partition ${p.name} takes the rest, but ${next.name} follows`);
    if (next !== undefined && p.size !== undefined && p.start + p.size > next.start)
      found.push(`partitions ${p.name} and ${next.name} overlap`);
    if (size !== undefined && p.start + (p.size ?? 0) > size - GPT_END)
      found.push(`partition ${p.name} does not fit on a disk of ${size} bytes`);
  });
  return found;
}

const UNITS: Readonly<Record<string, number>> = {
  '': 1,
  B: 1,
  KB: 1000,
  MB: 1000 ** 2,
  GB: 1000 ** 3,
  TB: 1000 ** 4,
  K: 1024,
  KIB: 1024,
  M: MIB,
  MIB,
  G: 1024 ** 3,
  GIB: 1024 ** 3,
  T: 1024 ** 4,
  TIB: 1024 ** 4,
};

/** Bytes of `513MiB`; the schema has checked the form. */
function bytesOf(text: string): number {
  const [, digits = '0', unit = ''] = /^([\d.]+)\s*([A-Za-z]*)$/.exec(text) ?? [];
  return Math.round(Number(digits) * (UNITS[unit.toUpperCase()] ?? 1));
}
