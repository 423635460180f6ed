import { bootStage } from './boot.ts';
import { configurationStages } from './configure.ts';
import { convertStage } from './convert.ts';
import { DATABASE_COPY, databaseFile } from './database.ts';
import { isLive } from './fstab.ts';
import { espStage, signingStage, ukiStage } from './kernel-image.ts';
import type { DiskLayout, DiskPartition } from './layout.ts';
import { makeFs } from './make-fs.ts';
import { mediumStage } from './medium.ts';
import {
  CONTEXTS,
  DISK_STAGE,
  type DiskPlan,
  PACKAGES_STAGE,
  partUuid,
  TREE_STAGE,
} from './plan.ts';
import { quoted, run, script, shellFile } from './shell.ts';
import { fillHash, VERITY_STAGE, verityStage } from './verity.ts';

/**
 * The stages from a template to its disks, in the language of Dockerfiles: each is a step of the one graph, with the keys,
 * records and reasons of any other. Templates have become root file systems before (`CONTEXTS`).
 */
export function diskStages(plan: DiskPlan): string {
  const { layout } = plan;
  return [
    ...configurationStages(plan),
    ...layout.partitions
      .filter((p) => p !== layout.esp && p !== layout.verity)
      .flatMap((p) => fsStages(plan, p)),
    ...verityStage(layout, fsStage(layout.root)),
    ukiStage(plan),
    ...signingStage(plan),
    espStage(plan),
    isLive(plan.template) ? mediumStage(plan, fsStage(layout.root)) : assemblyStage(layout),
    `FROM ${CONTEXTS.root} AS ${TREE_STAGE}`,
    `FROM scratch AS ${PACKAGES_STAGE}\nCOPY --from=configured ${databaseFile(plan.provider)} /${DATABASE_COPY}`,
    ...plan.formats.flatMap((format) => convertStage(format)),
    ...(plan.boot === undefined ? [] : [bootStage(plan, plan.boot)]),
    '',
  ].join('\n\n');
}

const fsStage = (p: DiskPartition): string =>
  p.fs === 'verity' ? VERITY_STAGE : `fs-${p.id.toLowerCase()}`;

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
        : `/in/${p.fs === 'verity' ? 'verity' : p.id}/${p.id}.img`;
  const rest = layout.partitions.find((p) => p.size === undefined);
  return [
    `FROM ${fsStage(layout.root)} AS ${DISK_STAGE}`,
    run(
      [
        '--mount=type=bind,from=esp,source=/out,target=/in/esp',
        ...mounted.map(
          (p) =>
            `--mount=type=bind,from=${fsStage(p)},source=/out,target=/in/${p.fs === 'verity' ? 'verity' : p.id}`,
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
        ...fillHash(layout, '/tmp/table'),
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
          ...(layout.table === 'gpt' ? [`uuid=${partUuid(layout, p)}`, `name="${p.name}"`] : []),
        ].join(', '),
      ),
  ].join('\n');
}
