import {
  CONTEXTS,
  DISK_STAGE,
  type DiskCompression,
  type DiskFormat,
  type DiskKind,
} from './plan.ts';
import { run, script } from './shell.ts';

const SUFFIXES: Readonly<Record<DiskCompression, string>> = {
  gzip: 'gz',
  zstd: 'zst',
  xz: 'xz',
  bzip2: 'bz2',
};

/** Name of the file of a format. */
export const diskFile = ({ kind, compression }: DiskFormat): string =>
  `disk.${kind}${compression === undefined ? '' : `.${SUFFIXES[compression]}`}`;

/** Name of the stage whose `/out` holds the file of a format. */
export const formatStage = (format: DiskFormat): string =>
  (format.kind === 'raw' || format.kind === 'iso') && format.compression === undefined
    ? DISK_STAGE
    : diskFile(format).replaceAll('.', '-');

/** The stages of a format that are not the raw disk itself; a compressed one begins with the one that is not. */
export function convertStage(format: DiskFormat): readonly string[] {
  const { kind, compression } = format;
  const plain = kind === 'raw' || kind === 'iso' ? [] : [conversion(kind)];
  if (compression === undefined) return plain;
  const from = `disk.${kind}`;
  const packed = [
    `FROM ${CONTEXTS.convert} AS ${formatStage(format)}`,
    run(
      [`--mount=type=bind,from=${formatStage({ kind })},source=/out,target=/in`],
      script('mkdir -p /out', `${COMMANDS[compression]} < /in/${from} > /out/${diskFile(format)}`),
    ),
  ].join('\n');
  return [...plain, packed];
}

/** None of them writes names, times or the number of threads. */
const COMMANDS: Readonly<Record<DiskCompression, string>> = {
  gzip: 'gzip -n -c',
  zstd: 'zstd -q -T2 -3 -c',
  xz: 'xz -T2 --block-size=16MiB -c',
  bzip2: 'bzip2 -c',
};

function conversion(kind: Exclude<DiskKind, 'raw' | 'iso'>): string {
  const file = `/out/disk.${kind}`;
  const lines: Readonly<Record<typeof kind, readonly string[]>> = {
    qcow2: [`qemu-img convert -f raw -O qcow2 /in/disk.raw ${file}`],
    vhd: [
      `qemu-img convert -f raw -O vpc -o subformat=fixed,force_size=on /in/disk.raw ${file}`,
      ...fixVhd(file),
    ],
    vmdk: [`qemu-img convert -f raw -O vmdk /in/disk.raw ${file}`, ...fixVmdk(file)],
  };
  return [
    `FROM ${CONTEXTS.convert} AS ${formatStage({ kind })}`,
    run(
      [`--mount=type=bind,from=${DISK_STAGE},source=/out,target=/in`],
      script('mkdir -p /out', ...lines[kind]),
    ),
  ].join('\n');
}

/**
 * The footer of a VHD (Virtual Hard Disk Image Format Specification 1.0, "Hard Disk Footer Format") holds the time and a
 * random UUID: both become zero, and the checksum is made again.
 */
function fixVhd(file: string): readonly string[] {
  return [
    `at=$(( $(stat -c %s ${file}) - 512 ))`,
    `zero() { head -c "$2" /dev/zero | dd of=${file} bs=1 seek=$((at + $1)) conv=notrunc status=none; }`,
    'zero 24 4; zero 68 16; zero 64 4',
    `n=$(tail -c 512 ${file} | od -An -v -tu1 | awk '{ for (i = 1; i <= NF; i++) n += $i } END { print n }')`,
    // Octal: the printf of dash knows no other escapes.
    `inverted() { printf "\\\\$(printf %03o $((255 - ($1 & 255))))"; }`,
    '{ inverted $((n >> 24)); inverted $((n >> 16)); inverted $((n >> 8)); inverted "$n"; } > /tmp/sum',
    `dd if=/tmp/sum of=${file} bs=1 seek=$((at + 64)) conv=notrunc status=none`,
    'rm /tmp/sum',
  ];
}

/** The descriptor of a sparse VMDK has a random content id: 20 sectors from the second on (Virtual Disk Format 5.0). */
function fixVmdk(file: string): readonly string[] {
  return [
    `dd if=${file} bs=512 skip=1 count=20 status=none | tr -d '\\0' | sed 's/^CID=.*/CID=fffffffe/' > /tmp/descriptor`,
    'truncate -s 10240 /tmp/descriptor',
    `dd if=/tmp/descriptor of=${file} bs=512 seek=1 conv=notrunc status=none`,
    'rm /tmp/descriptor',
  ];
}
