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
    'export SOURCE_DATE_EPOCH=$epoch E2FSPROGS_FAKE_TIME=$epoch',
    'mkdir -p /out',
    ...body(p, image, from),
  );
}

function body(p: DiskPartition, image: string, from: string): readonly string[] {
  switch (p.fs) {
    case 'ext4':
      return ext4(p, image, from);
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
    case 'verity':
      throw new Error('hashes are made of the finished root');
    case 'vfat':
      return [
        `truncate -s ${p.size ?? SPARE} ${image}`,
        `mkfs.vfat --invariant${p.label === '' ? '' : ` -n ${quoted(p.label)}`} ${image} >/dev/null`,
      ];
  }
}

/**
 * Blocks are as large as those of a tree of hashes, whatever the size: dm-verity mounts nothing with smaller ones.
 * mke2fs takes times from the tree: those of this machine, and those later than the root's own, are set after it.
 */
function ext4(p: DiskPartition, image: string, from: string): readonly string[] {
  return [
    ...(p.size === undefined
      ? [
          `size=$(find ${from} -xdev -printf '%y %s\\n' | awk '$1 == "f" { used += int(($2 + 4095) / 4096) * 4096 } END { printf "%.0f", (used + NR * 2048) * 1.15 + ${SPARE} }')`,
          'size=$(( size / 1048576 * 1048576 ))',
        ]
      : [`size=${p.size}`]),
    `mke2fs -q -F -t ext4 -b 4096 -U ${p.fsUuid}${p.label === '' ? '' : ` -L ${quoted(p.label)}`} -E hash_seed=${p.fsUuid},lazy_itable_init=1,lazy_journal_init=1,root_owner=0:0 -d ${from} ${image} "$((size / 1024))k"`,
    `inodes=$(dumpe2fs -h ${image} 2>/dev/null | awk -F: '/^Inode count/ { n = $2 } /^Free inodes/ { n -= $2 } END { print n + 0 }')`,
    `{ echo 'sif <2> ctime @'"$epoch"; echo 'sif <2> atime @'"$epoch"; find ${from} -xdev -newermt "@$epoch" -printf 'sif "/%P" mtime @'"$epoch"'\\n'; seq 11 "$inodes" | awk -v t="$epoch" '{ print "sif <" $1 "> ctime @" t; print "sif <" $1 "> atime @" t }'; } > /tmp/times`,
    `debugfs -w -f /tmp/times ${image} >/dev/null 2>&1`,
    'rm /tmp/times',
    `e2fsck -fn ${image} >/dev/null`,
  ];
}
