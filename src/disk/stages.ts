import { DISK_STEP, type DiskPart, type DiskStep } from '../llb/index.ts';
import { bootStage } from './boot.ts';
import { configurationStages } from './configure.ts';
import { convertStage } from './convert.ts';
import { DATABASE_COPY, databaseFile } from './database.ts';
import { isLive } from './fstab.ts';
import { espStage, signingStage, ukiStage } from './kernel-image.ts';
import type { DiskPartition } from './layout.ts';
import { makeFs } from './make-fs.ts';
import { mediumStage } from './medium.ts';
import { CONTEXTS, DISK_STAGE, type DiskPlan, PACKAGES_STAGE, TREE_STAGE } from './plan.ts';
import { quoted, run, script } from './shell.ts';
import { VERITY_STAGE, verityStage } from './verity.ts';

/**
 * The stages from a template to its disks, in the language of Dockerfiles: each is a step of the one graph, with the keys,
 * records and reasons of any other. Templates have become root file systems before (`CONTEXTS`).
 */
export function diskStages(plan: DiskPlan): string {
  const { layout } = plan;
  return [
    ...configurationStages(plan),
    ...layout.partitions
      .filter((p) => p !== layout.esp && p !== layout.verity && !isDirect(plan, p))
      .flatMap((p) => fsStages(plan, p)),
    ...verityStage(layout, fsStage(layout.root)),
    ukiStage(plan),
    ...signingStage(plan),
    espStage(plan),
    isLive(plan.template) ? mediumStage(plan, fsStage(layout.root)) : assemblyStage(plan),
    `FROM ${CONTEXTS.root} AS ${TREE_STAGE}`,
    `FROM scratch AS ${PACKAGES_STAGE}\nCOPY --from=configured ${databaseFile(plan.provider)} /${DATABASE_COPY}`,
    ...plan.formats.flatMap((format) => convertStage(format)),
    ...(plan.boot === undefined ? [] : [bootStage(plan, plan.boot)]),
    '',
  ].join('\n\n');
}

const fsStage = (p: DiskPartition): string =>
  p.fs === 'verity' ? VERITY_STAGE : `fs-${p.id.toLowerCase()}`;

/** Target of the mount with the configured root. */
const TREE = '/in/tree';

/** Mount points of other partitions within that of `p`: what they hold is not in it. */
const below = ({ layout }: DiskPlan, p: DiskPartition): readonly string[] =>
  layout.partitions.flatMap((other) =>
    other !== p &&
    other !== layout.esp &&
    other.mountPoint !== undefined &&
    p.mountPoint !== undefined &&
    other.mountPoint !== p.mountPoint &&
    `${other.mountPoint}/`.startsWith(p.mountPoint === '/' ? '/' : `${p.mountPoint}/`)
      ? [other.mountPoint]
      : [],
  );

/** An ext4 file system of the configured root. */
const ext4 = (plan: DiskPlan, p: DiskPartition): DiskPart['content'] => ({
  ...{ kind: 'ext4', mount: TREE, path: p.mountPoint ?? '/var/empty' },
  ...{ uuid: p.fsUuid, label: p.label, emptied: below(plan, p) },
});

/** Whether a partition is written straight to the disk: nothing else needs it as a file. */
const isDirect = ({ layout, template }: DiskPlan, p: DiskPartition): boolean =>
  p.fs === 'ext4' && !(p === layout.root && (layout.verity !== undefined || isLive(template)));

/** The content of one partition as a file. */
function fsStages(plan: DiskPlan, p: DiskPartition): readonly string[] {
  const name = fsStage(p);
  const database = databaseFile(plan.provider);
  if (p.fs === 'ext4')
    return [
      diskStage(name, [`from=configured,target=${TREE}`], {
        file: `/out/${p.id}.img`,
        parts: [
          {
            ...{ name: p.name, start: 0, content: ext4(plan, p) },
            ...(p.size === undefined ? {} : { size: p.size }),
          },
        ],
        newest: { mount: TREE, path: database },
      }),
    ];
  const emptied = below(plan, p);
  const make = [
    `FROM ${CONTEXTS.disk} AS ${name}`,
    run(
      [`--mount=type=bind,from=${emptied.length === 0 ? 'configured' : `tree-${name}`},target=/in`],
      makeFs(p, database),
    ),
  ].join('\n');
  if (emptied.length === 0) return [make];
  const cut = [
    `FROM configured AS tree-${name}`,
    run(
      [],
      script(
        `for dir in ${emptied.map(quoted).join(' ')}; do find "$dir" -xdev -mindepth 1 -delete; done`,
      ),
    ),
  ].join('\n');
  return [cut, make];
}

/** A stage that this process executes: it writes a disk, or a part of one. */
function diskStage(name: string, mounts: readonly string[], step: DiskStep): string {
  const flags = mounts.map((mount) => `--mount=type=bind,${mount}`);
  const command = JSON.stringify([DISK_STEP, JSON.stringify(step)]);
  return [`FROM scratch AS ${name}`, `RUN --network=none ${flags.join(' ')} ${command}`].join('\n');
}

/**
 * Partition table and content. What the root holds is written where it stands on the disk: it is read once and written
 * once, and no file system exists as a file beside.
 */
function assemblyStage(plan: DiskPlan): string {
  const { layout } = plan;
  const image = (p: DiskPartition): string => (p.fs === 'verity' ? 'verity' : p.id);
  const partitions = [...layout.partitions].sort((a, b) => a.start - b.start);
  const images = partitions.filter((p) => p !== layout.esp && !isDirect(plan, p));
  const content = (p: DiskPartition): DiskPart['content'] =>
    p === layout.esp
      ? { kind: 'image', mount: '/in/esp', path: '/esp.img' }
      : isDirect(plan, p)
        ? ext4(plan, p)
        : { kind: 'image', mount: `/in/part/${image(p)}`, path: `/${p.id}.img` };
  const uuid = (p: DiskPartition): string | 0 | 1 =>
    layout.verity === undefined ? p.uuid : p === layout.root ? 0 : p === layout.verity ? 1 : p.uuid;
  const { verity } = layout;
  return diskStage(
    DISK_STAGE,
    [
      `from=configured,target=${TREE}`,
      'from=esp,source=/out,target=/in/esp',
      ...images.map((p) => `from=${fsStage(p)},source=/out,target=/in/part/${image(p)}`),
    ],
    {
      file: '/out/disk.raw',
      table: {
        ...{ kind: layout.table, id: layout.id.replace(/^0x/, '') },
        ...(layout.size === undefined ? {} : { size: layout.size }),
      },
      parts: partitions.map((p) => ({
        ...{ name: p.name, start: p.start, content: content(p) },
        ...(p.size === undefined ? {} : { size: p.size }),
        entry: { index: p.index, type: p.type, uuid: uuid(p) },
      })),
      ...(verity === undefined
        ? {}
        : { rootHash: { mount: `/in/part/${image(verity)}`, path: '/roothash' } }),
      newest: { mount: TREE, path: databaseFile(plan.provider) },
    },
  );
}
