import { bootStage } from './boot.ts';
import { configurationStages } from './configure.ts';
import { convertStage } from './convert.ts';
import { DATABASE_COPY, databaseFile } from './database.ts';
import type { DiskLayout, DiskPartition } from './layout.ts';
import { makeFs } from './make-fs.ts';
import {
  CONTEXTS,
  commandLine,
  DISK_STAGE,
  type DiskPlan,
  PACKAGES_STAGE,
  TREE_STAGE,
} from './plan.ts';
import { quoted, run, script, shellFile } from './shell.ts';

/**
 * The stages from a template to its disks, in the language of Dockerfiles: each is a step of the one graph, with the keys,
 * records and reasons of any other. Templates have become root file systems before (`CONTEXTS`).
 */
export function diskStages(plan: DiskPlan): string {
  const { layout } = plan;
  return [
    ...configurationStages(plan),
    ukiStage(plan),
    espStage(plan),
    ...layout.partitions.filter((p) => p !== layout.esp).flatMap((p) => fsStages(plan, p)),
    assemblyStage(layout),
    `FROM ${CONTEXTS.root} AS ${TREE_STAGE}`,
    `FROM scratch AS ${PACKAGES_STAGE}\nCOPY --from=configured ${databaseFile(plan.provider)} /${DATABASE_COPY}`,
    ...plan.formats.flatMap((format) => convertStage(format)),
    ...(plan.boot === undefined ? [] : [bootStage(plan, plan.boot)]),
    '',
  ].join('\n\n');
}

/**
 * A unified kernel image (UAPI group specification): sections added to systemd's stub. The stub finds them by name; their
 * addresses must only not overlap.
 */
function ukiStage({ template, provider, layout }: DiskPlan): string {
  const stub = provider.stub[template.target.arch] ?? '';
  const section = (name: string, from: string, at: string): string =>
    `--add-section .${name}=${from} --change-section-vma .${name}=${at}`;
  return [
    `FROM ${CONTEXTS.disk} AS uki`,
    run(
      ['--mount=type=bind,from=initramfs,source=/varve,target=/in'],
      script(
        'epoch=$(stat -c %Y /in/initrd)',
        'export SOURCE_DATE_EPOCH=$epoch',
        'mkdir -p /out',
        `printf '%s\\0' ${quoted(commandLine(template, layout))} > /tmp/cmdline`,
        [
          // With -p the header keeps the time that the stub has.
          'objcopy -p',
          section('osrel', '/in/os-release', '0x20000'),
          section('cmdline', '/tmp/cmdline', '0x30000'),
          section('linux', '/in/vmlinuz', '0x2000000'),
          section('initrd', '/in/initrd', '0x8000000'),
          `${stub} /out/linux.efi`,
        ].join(' '),
        'rm /tmp/cmdline',
        'touch -d "@$epoch" /out/linux.efi',
      ),
    ),
  ].join('\n');
}

function espStage({ template, provider, layout }: DiskPlan): string {
  const { esp } = layout;
  const name = provider.efiName[template.target.arch] ?? '';
  const size = esp.size ?? 0;
  // A FAT32 needs 65525 clusters (Microsoft's FAT specification 1.03); smaller ones are FAT16, which firmware reads too.
  const fat = size >= 64 * 1024 * 1024 ? '-F 32 -s 1' : '';
  const label = esp.label === '' ? 'ESP' : esp.label.toUpperCase();
  return [
    `FROM ${CONTEXTS.disk} AS esp`,
    run(
      ['--mount=type=bind,from=uki,source=/out,target=/in'],
      script(
        'export SOURCE_DATE_EPOCH=$(stat -c %Y /in/linux.efi) TZ=UTC',
        'mkdir -p /out',
        `truncate -s ${size} /out/esp.img`,
        `mkfs.vfat --invariant ${fat} -i ${esp.fsUuid.slice(0, 8)} -n ${quoted(label.slice(0, 11))} /out/esp.img >/dev/null`,
        'mmd -i /out/esp.img ::/EFI ::/EFI/BOOT',
        `mcopy -m -i /out/esp.img /in/linux.efi ::/EFI/BOOT/${name}`,
      ),
    ),
  ].join('\n');
}

const fsStage = (p: DiskPartition): string => `fs-${p.id.toLowerCase()}`;

/** The content of one partition; what other partitions hold is not in it. */
function fsStages(plan: DiskPlan, p: DiskPartition): readonly string[] {
  const below = plan.layout.partitions.filter(
    (other) =>
      other !== p &&
      other !== plan.layout.esp &&
      other.mountPoint !== undefined &&
      p.mountPoint !== undefined &&
      other.mountPoint !== p.mountPoint &&
      `${other.mountPoint}/`.startsWith(p.mountPoint === '/' ? '/' : `${p.mountPoint}/`),
  );
  const name = fsStage(p);
  const make = [
    `FROM ${CONTEXTS.disk} AS ${name}`,
    run(
      [`--mount=type=bind,from=${below.length === 0 ? 'configured' : `tree-${name}`},target=/in`],
      makeFs(p, databaseFile(plan.provider)),
    ),
  ].join('\n');
  if (below.length === 0) return [make];
  const dirs = below.map((other) => quoted(other.mountPoint ?? '')).join(' ');
  const cut = [
    `FROM configured AS tree-${name}`,
    run([], script(`for dir in ${dirs}; do find "$dir" -xdev -mindepth 1 -delete; done`)),
  ].join('\n');
  return [cut, make];
}

/**
 * Partition table and content; empty blocks stay holes. The stage stands on the file system of the root: what it stands on is
 * known by its key, so that the largest file of all is not read to be known by its content.
 */
function assemblyStage(layout: DiskLayout): string {
  const mounted = layout.partitions.filter((p) => p !== layout.esp && p !== layout.root);
  const image = (p: DiskPartition): string =>
    p === layout.esp
      ? '/in/esp/esp.img'
      : p === layout.root
        ? `/out/${p.id}.img`
        : `/in/${p.id}/${p.id}.img`;
  const rest = layout.partitions.find((p) => p.size === undefined);
  return [
    `FROM ${fsStage(layout.root)} AS ${DISK_STAGE}`,
    run(
      [
        '--mount=type=bind,from=esp,source=/out,target=/in/esp',
        ...mounted.map(
          (p) => `--mount=type=bind,from=${fsStage(p)},source=/out,target=/in/${p.id}`,
        ),
      ],
      script(
        rest === undefined
          ? 'rest=0'
          : `rest=$(( ($(stat -c %s ${image(rest)}) + 1048575) / 1048576 * 1048576 ))`,
        layout.size === undefined
          ? `size=$(( ${Math.max(...layout.partitions.map((p) => p.start + (p.size ?? 0)))} + rest + 1048576 ))`
          : `size=${layout.size}`,
        shellFile('/tmp/table', partitionTable(layout)),
        'sed -i "s/@REST@/$((rest / 512))/" /tmp/table',
        'truncate -s "$size" /out/disk.raw',
        'sfdisk -q /out/disk.raw < /tmp/table',
        'rm /tmp/table',
        ...layout.partitions.map(
          (p) =>
            `dd if=${image(p)} of=/out/disk.raw bs=1M seek=${p.start} oflag=seek_bytes conv=notrunc,sparse status=none`,
        ),
        `rm ${image(layout.root)}`,
      ),
    ),
  ].join('\n');
}

/** What sfdisk(8) makes the table of. */
function partitionTable(layout: DiskLayout): string {
  return [
    `label: ${layout.table}`,
    `label-id: ${layout.id}`,
    'unit: sectors',
    ...(layout.table === 'gpt' ? ['first-lba: 2048'] : []),
    ...[...layout.partitions]
      .sort((a, b) => a.index - b.index)
      .map((p) =>
        [
          `${p.index} : start=${p.start / 512}`,
          `size=${p.size === undefined ? '@REST@' : p.size / 512}`,
          `type=${p.type}`,
          ...(layout.table === 'gpt' ? [`uuid=${p.uuid}`, `name="${p.name}"`] : []),
        ].join(', '),
      ),
  ].join('\n');
}
