import { CONTEXTS, DISK_STAGE, type DiskPlan, mediumLabel } from './plan.ts';
import { run, script } from './shell.ts';

/**
 * A live medium: ISO 9660 (ECMA-119) with the root as a file, and the EFI system partition as an El Torito image and as a
 * partition, so that it starts from an optical drive and from a stick. It is a file of the volume: the catalogue can say no
 * size above 32 MiB, and firmware then reads from there to the end of the volume (UEFI 2.10, section 13.3.2.1). Its times and
 * identifiers are those of the image.
 */
export function mediumStage({ template, layout }: DiskPlan, fsStage: string): string {
  const { id } = layout.root;
  return [
    `FROM ${CONTEXTS.iso} AS ${DISK_STAGE}`,
    run(
      [
        '--mount=type=bind,from=esp,source=/out,target=/in/esp',
        `--mount=type=bind,from=${fsStage},source=/out,target=/in/root`,
      ],
      script(
        'export SOURCE_DATE_EPOCH=$(stat -c %Y /in/esp/esp.img) TZ=UTC',
        'dates=$(date -u -d "@$SOURCE_DATE_EPOCH" +%Y%m%d%H%M%S00)',
        'mkdir -p /out',
        [
          'xorriso -as mkisofs -quiet -R',
          // The variable alone leaves directories that only the image has.
          `-V ${mediumLabel(template)} -o /out/disk.iso --set_all_file_dates $dates`,
          '-e boot/esp.img -no-emul-boot -efi-boot-part --efi-boot-image',
          `-graft-points boot/esp.img=/in/esp/esp.img live/root.img=/in/root/${id}.img`,
        ].join(' '),
      ),
    ),
  ].join('\n');
}
