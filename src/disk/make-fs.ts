import type { DiskPartition } from './layout.ts';
import { quoted, script } from './shell.ts';

/** Bytes a file system that fits its content has beside it. */
const SPARE = 64 * 1024 * 1024;

/**
 * The script that makes a partition's file system of the tree below `/in` in `/out/NAME.img`. No loop device, no mount, and
 * nothing of the machine in the bytes: identifiers come from the layout, times from `database`, the database of
 * packages of the root.
 */
export function makeFs(p: DiskPartition, database: string): string {
  const image = `/out/${p.id}.img`;
  const from = p.mountPoint === '/' ? '/in' : `/in${p.mountPoint ?? '/var/empty'}`;
  return script(
    `epoch=$(stat -c %Y /in${database})`,
    'export SOURCE_DATE_EPOCH=$epoch',
    'mkdir -p /out',
    ...body(p, image, from),
  );
}

function body(p: DiskPartition, image: string, from: string): readonly string[] {
  switch (p.fs) {
    case 'erofs':
      return [`mkfs.erofs -T "$epoch" -U ${p.fsUuid} ${image} ${from} >/dev/null`];
    case 'squashfs':
      return [
        // It takes its times from one place only.
        'unset SOURCE_DATE_EPOCH',
        `mksquashfs ${from} ${image} -quiet -no-progress -noappend -comp zstd -Xcompression-level 3 -all-time "$epoch" -mkfs-time "$epoch" >/dev/null`,
      ];
    case 'swap':
      return [
        `truncate -s ${p.size ?? SPARE} ${image}`,
        `mkswap -U ${p.fsUuid}${p.label === '' ? '' : ` -L ${quoted(p.label)}`} ${image} >/dev/null`,
      ];
    case 'ext4':
    case 'verity':
      throw new Error(`${p.fs} is made elsewhere`);
    case 'vfat':
      return [
        `truncate -s ${p.size ?? SPARE} ${image}`,
        `mkfs.vfat --invariant${p.label === '' ? '' : ` -n ${quoted(p.label)}`} ${image} >/dev/null`,
      ];
  }
}
