import type { OsTemplate, Provider } from '../template/index.ts';
import { isLive, rootDevice } from './fstab.ts';
import type { DiskLayout, DiskPartition } from './layout.ts';

/** Kinds of disk files. */
export type DiskKind = 'raw' | 'qcow2' | 'vhd' | 'vmdk' | 'iso';
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
  verity: 'os-verity-tools',
  sign: 'os-sign-tools',
  iso: 'os-iso-tools',
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
  /** What the kernel image is signed with for Secure Boot: paths within the context `files`. The key is a secret. */
  readonly signing?: { readonly certificate: string; readonly enrolled: string };
}

/** Name of the secret with the key for Secure Boot. */
export const SIGNING_KEY = 'varve-secure-boot-key';

/** Name of the stage whose `/out` holds the disk. */
export const DISK_STAGE = 'disk';
/** Name of the stage that is the root of packages, before anything is configured. */
export const TREE_STAGE = 'root';
/** Name of the stage that holds the database of installed packages. */
export const PACKAGES_STAGE = 'packages';

/** Label of a live medium, by which its initramfs finds it (ECMA-119, 8.4.8: 32 characters). */
export const mediumLabel = (t: OsTemplate): string =>
  t.image.name
    .toUpperCase()
    .replaceAll(/[^A-Z0-9_]/g, '_')
    .slice(0, 32);

/** What a root hash is written as before it is known. */
export const UNKNOWN = { hash: '@ROOTHASH@', data: '@ROOTDATA@', tree: '@ROOTTREE@' } as const;

/**
 * The kernel's arguments: where the root is, then what the template says. Of a root with hashes they are the names that
 * systemd-veritysetup-generator(8) gives them, with `UNKNOWN` for what is known when the root is made.
 */
export function commandLine(t: OsTemplate, layout: DiskLayout): string {
  const given = t.system.kernel?.cmdline?.trim() ?? '';
  const own = /(?:^|\s)root=/.test(given) ? '' : `${rootArguments(t, layout)} `;
  return `${own}${given === '' ? 'console=tty0 console=ttyS0,115200' : given}`;
}

/**
 * The identifier of a partition. Of a root with hashes and of these it is half of the root hash each, by which others find
 * them (UAPI discoverable partitions): not known yet.
 */
export function partUuid(layout: DiskLayout, p: DiskPartition): string {
  if (layout.verity === undefined || layout.table !== 'gpt') return p.uuid;
  return p === layout.root ? UNKNOWN.data : p === layout.verity ? UNKNOWN.tree : p.uuid;
}

function rootArguments(t: OsTemplate, layout: DiskLayout): string {
  const { root, verity } = layout;
  if (isLive(t))
    return `root=${rootDevice(t)} rootfstype=${root.fs} ro varve.medium=${mediumLabel(t)}`;
  if (verity === undefined)
    return `root=PARTUUID=${root.uuid} rootfstype=${root.fs} ${root.fs === 'ext4' ? 'rw' : 'ro'}`;
  return [
    `root=${rootDevice(t)} rootfstype=${root.fs} ro roothash=${UNKNOWN.hash}`,
    `systemd.verity_root_data=PARTUUID=${partUuid(layout, root)}`,
    `systemd.verity_root_hash=PARTUUID=${partUuid(layout, verity)}`,
  ].join(' ');
}
