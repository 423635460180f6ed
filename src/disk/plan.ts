import type { OsTemplate, Provider } from '../template/index.ts';
import type { DiskLayout } from './layout.ts';

/** Kinds of disk files. */
export type DiskKind = 'raw' | 'qcow2' | 'vhd' | 'vmdk';
/** Ways to compress them. */
export type DiskCompression = 'gzip' | 'zstd' | 'xz' | 'bzip2';

/** A form in which a disk is wanted. */
export interface DiskFormat {
  readonly kind: DiskKind;
  readonly compression?: DiskCompression;
}

/** How a disk is booted to see that it does. */
export interface BootTest {
  /** `efi`: the firmware starts what is on the disk; `direct`: QEMU starts kernel and initramfs. */
  readonly mode: 'efi' | 'direct';
  /** Text on the serial console that ends the test well. */
  readonly marker: string;
  readonly timeoutS: number;
}

/** Names of the contexts that the stages begin with: root file systems made from templates, and files of the template. */
export const CONTEXTS = {
  root: 'os-root',
  kernel: 'os-kernel-root',
  disk: 'os-disk-tools',
  convert: 'os-convert-tools',
  boot: 'os-boot-tools',
  files: 'os-files',
} as const;

/** A disk to be made. */
export interface DiskPlan {
  readonly template: OsTemplate;
  readonly provider: Provider;
  readonly layout: DiskLayout;
  readonly formats: readonly DiskFormat[];
  readonly boot?: BootTest;
  /** Path of each additional file within the context `files`, by destination. */
  readonly files: ReadonlyMap<string, string>;
}

/** Name of the stage whose `/out` holds the disk. */
export const DISK_STAGE = 'disk';
/** Name of the stage that is the root of packages, before anything is configured. */
export const TREE_STAGE = 'root';
/** Name of the stage that holds the database of installed packages. */
export const PACKAGES_STAGE = 'packages';

/** The kernel's arguments: where the root is, then what the template says. */
export function commandLine(t: OsTemplate, layout: DiskLayout): string {
  const given = t.system.kernel?.cmdline?.trim() ?? '';
  const { root } = layout;
  const own = /(?:^|\s)root=/.test(given)
    ? ''
    : `root=PARTUUID=${root.uuid} rootfstype=${root.fs} ${root.fs === 'ext4' ? 'rw' : 'ro'} `;
  return `${own}${given === '' ? 'console=tty0 console=ttyS0,115200' : given}`;
}
