import type { DiskLayout } from './layout.ts';
import { derivedUuid } from './layout.ts';
import { CONTEXTS, UNKNOWN } from './plan.ts';
import { run, script } from './shell.ts';

/** Name of the stage with the tree of hashes, and in `/out/roothash` the hash of its top. */
export const VERITY_STAGE = 'verity';

/** The tree of hashes of a root (dm-verity, veritysetup(8)); salt and identifier come from names in the template. */
export function verityStage(layout: DiskLayout, fsStage: string): readonly string[] {
  const { root, verity } = layout;
  if (verity === undefined) return [];
  const image = `/out/${verity.id}.img`;
  const salt = `${root.fsUuid}${verity.fsUuid}`.replaceAll('-', '');
  const make = script(
    'mkdir -p /out',
    `veritysetup format --salt=${salt} --uuid=${derivedUuid(verity.fsUuid, 'verity')} --root-hash-file=/out/roothash /in/${root.id}.img ${image} >/dev/null`,
    ...(verity.size === undefined
      ? []
      : [
          `if [ "$(stat -c %s ${image})" -gt ${verity.size} ]; then echo "the hashes need $(stat -c %s ${image}) bytes, the partition ${verity.name} has ${verity.size}" >&2; exit 1; fi`,
        ]),
  );
  return [
    [
      `FROM ${CONTEXTS.verity} AS ${VERITY_STAGE}`,
      run([`--mount=type=bind,from=${fsStage},source=/out,target=/in`], make),
    ].join('\n'),
  ];
}

/** Where a step that needs the root hash sees it. */
const SEEN = '/in/verity';

/** Mounts of a step that needs the root hash. */
export const hashMounts = (layout: DiskLayout): readonly string[] =>
  layout.verity === undefined
    ? []
    : [`--mount=type=bind,from=${VERITY_STAGE},source=/out,target=${SEEN}`];

/** Lines that put the root hash, and its halves as identifiers, in the place of `UNKNOWN` in a file. */
export const fillHash = (layout: DiskLayout, file: string): readonly string[] =>
  layout.verity === undefined
    ? []
    : [
        `hash=$(cat ${SEEN}/roothash)`,
        `uuid() { cut -c "$1" ${SEEN}/roothash | sed -E 's/^(.{8})(.{4})(.{4})(.{4})(.{12}).*/\\1-\\2-\\3-\\4-\\5/'; }`,
        `sed -i "s/${UNKNOWN.hash}/$hash/; s/${UNKNOWN.data}/$(uuid 1-32)/; s/${UNKNOWN.tree}/$(uuid 33-64)/" ${file}`,
      ];
