import { CONTEXTS, commandLine, type DiskPlan, SIGNING_KEY } from './plan.ts';
import { quoted, run, script } from './shell.ts';
import { fillHash, hashMounts } from './verity.ts';

/**
 * A unified kernel image (UAPI group specification): sections added to systemd's stub. The stub finds them by name; their
 * addresses must only not overlap.
 */
export function ukiStage({ template, provider, layout }: DiskPlan): string {
  const stub = provider.stub[template.target.arch] ?? '';
  const section = (name: string, from: string, at: string): string =>
    `--add-section .${name}=${from} --change-section-vma .${name}=${at}`;
  return [
    `FROM ${CONTEXTS.disk} AS uki`,
    run(
      ['--mount=type=bind,from=initramfs,source=/varve,target=/in/kernel', ...hashMounts(layout)],
      script(
        'epoch=$(stat -c %Y /in/kernel/initrd)',
        'export SOURCE_DATE_EPOCH=$epoch',
        'mkdir -p /out',
        `printf '%s' ${quoted(commandLine(template, layout))} > /tmp/cmdline`,
        ...fillHash(layout, '/tmp/cmdline'),
        "printf '\\0' >> /tmp/cmdline",
        [
          // With -p the header keeps the time that the stub has.
          'objcopy -p',
          section('osrel', '/in/kernel/os-release', '0x20000'),
          section('cmdline', '/tmp/cmdline', '0x30000'),
          section('linux', '/in/kernel/vmlinuz', '0x2000000'),
          section('initrd', '/in/kernel/initrd', '0x8000000'),
          `${stub} /out/linux.efi`,
        ].join(' '),
        'rm /tmp/cmdline',
        'touch -d "@$epoch" /out/linux.efi',
      ),
    ),
  ].join('\n');
}

/** Name of the stage whose `/out/linux.efi` is started. */
export const kernelImageStage = (plan: DiskPlan): string =>
  plan.signing === undefined ? 'uki' : 'signed';

/**
 * The kernel image signed for Secure Boot (UEFI 2.10, section 32.2). A signature holds its time, which is that of the
 * image here. The key is a secret; which one it is, the certificate says.
 */
export function signingStage({ signing }: DiskPlan): readonly string[] {
  if (signing === undefined) return [];
  const { certificate, enrolled } = signing;
  const key = `/run/secrets/${SIGNING_KEY}`;
  return [
    [
      `FROM ${CONTEXTS.sign} AS signed`,
      run(
        [
          '--mount=type=bind,from=uki,source=/out,target=/in/uki',
          `--mount=type=bind,from=${CONTEXTS.files},source=/${certificate},target=/in/db.crt`,
          `--mount=type=bind,from=${CONTEXTS.files},source=/${enrolled},target=/in/db.cer`,
          `--mount=type=secret,id=${SIGNING_KEY},required=true`,
        ],
        script(
          'epoch=$(stat -c %Y /in/uki/linux.efi)',
          'mkdir -p /out',
          `TZ=UTC faketime -f "$(date -u -d "@$epoch" '+%Y-%m-%d %H:%M:%S')" sbsign --key ${key} --cert /in/db.crt --output /out/linux.efi /in/uki/linux.efi 2>/dev/null`,
          'sbverify --cert /in/db.crt /out/linux.efi >/dev/null 2>&1',
          'cp /in/db.cer /out/db.cer',
          'touch -d "@$epoch" /out/linux.efi /out/db.cer',
        ),
      ),
    ].join('\n'),
  ];
}

/** The EFI system partition: the kernel image where firmware looks for it, and what is to be enrolled. */
export function espStage(plan: DiskPlan): string {
  const { template, provider, layout, signing } = plan;
  const { esp } = layout;
  const name = provider.efiName[template.target.arch] ?? '';
  const size = esp.size ?? 0;
  // A FAT32 needs 65525 clusters (Microsoft's FAT specification 1.03); smaller ones are FAT16, which firmware reads too.
  const fat = size >= 64 * 1024 * 1024 ? '-F 32 -s 1' : '';
  const label = esp.label === '' ? 'ESP' : esp.label.toUpperCase();
  return [
    `FROM ${CONTEXTS.disk} AS esp`,
    run(
      [`--mount=type=bind,from=${kernelImageStage(plan)},source=/out,target=/in`],
      script(
        'export SOURCE_DATE_EPOCH=$(stat -c %Y /in/linux.efi) TZ=UTC',
        'mkdir -p /out',
        `truncate -s ${size} /out/esp.img`,
        `mkfs.vfat --invariant ${fat} -i ${esp.fsUuid.slice(0, 8)} -n ${quoted(label.slice(0, 11))} /out/esp.img >/dev/null`,
        'mmd -i /out/esp.img ::/EFI ::/EFI/BOOT',
        `mcopy -m -i /out/esp.img /in/linux.efi ::/EFI/BOOT/${name}`,
        ...(signing === undefined
          ? []
          : [
              'mmd -i /out/esp.img ::/EFI/keys',
              'mcopy -m -i /out/esp.img /in/db.cer ::/EFI/keys/DB.cer',
            ]),
        'touch -r /in/linux.efi /out/esp.img',
      ),
    ),
  ].join('\n');
}
