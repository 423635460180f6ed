import { isLive } from './fstab.ts';
import { type BootTest, CONTEXTS, commandLine, DISK_STAGE, type DiskPlan } from './plan.ts';
import { quoted, run, script } from './shell.ts';
import { fillHash, hashMounts } from './verity.ts';

/** Name of the stage whose `/out/serial.log` is what the machine wrote. */
export const BOOT_STAGE = 'boot-test';

/** Boots the disk in QEMU by emulation, without writing to it; the result is known by the content of the disk. */
export function bootStage({ template, layout }: DiskPlan, boot: BootTest): string {
  const machine = [
    'qemu-system-x86_64 -machine q35 -accel tcg,thread=multi -cpu max -smp 2 -m 1024',
    '-display none -monitor none -nic none -no-reboot -serial file:/out/serial.log',
    // A live medium lies in the optical drive (of an AHCI controller, as q35 has it).
    isLive(template)
      ? '-drive file=/in/disk/disk.iso,format=raw,media=cdrom,readonly=on'
      : '-drive file=/in/disk/disk.raw,format=raw,if=virtio,snapshot=on',
  ];
  const start =
    boot.mode === 'direct'
      ? '-kernel /in/kernel/vmlinuz -initrd /in/kernel/initrd -append "$(cat /tmp/cmdline)"'
      : '-drive if=pflash,format=raw,readonly=on,file=/usr/share/OVMF/OVMF_CODE_4M.fd -drive if=pflash,format=raw,file=/tmp/vars.fd';
  return [
    `FROM ${CONTEXTS.boot} AS ${BOOT_STAGE}`,
    run(
      [
        `--mount=type=bind,from=${DISK_STAGE},source=/out,target=/in/disk`,
        ...(boot.mode === 'direct'
          ? [
              '--mount=type=bind,from=initramfs,source=/varve,target=/in/kernel',
              ...hashMounts(layout),
            ]
          : []),
      ],
      script(
        'mkdir -p /out',
        ': > /out/serial.log',
        ...(boot.mode === 'direct'
          ? [
              `printf '%s' ${quoted(commandLine(template, layout))} > /tmp/cmdline`,
              ...fillHash(layout, '/tmp/cmdline'),
            ]
          : ['cp /usr/share/OVMF/OVMF_VARS_4M.fd /tmp/vars.fd']),
        `TMPDIR=/tmp ${machine.join(' ')} ${start} &`,
        'pid=$!',
        'waited=0',
        `until grep -aqF -e ${quoted(boot.marker)} /out/serial.log; do`,
        `if ! kill -0 $pid 2>/dev/null || [ $waited -ge ${boot.timeoutS} ]; then`,
        `tail -n 15 /out/serial.log; echo "the marker did not appear within $waited s" >&2; kill $pid 2>/dev/null; exit 1`,
        'fi',
        'sleep 1; waited=$((waited + 1))',
        'done',
        'kill $pid; wait $pid || :',
        'rm -f /tmp/vars.fd /tmp/cmdline',
        'echo "the marker appeared after $waited s"',
      ),
    ),
  ].join('\n');
}
