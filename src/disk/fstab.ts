import type { OsTemplate } from '../template/index.ts';
import type { DiskLayout } from './layout.ts';

/** Whether nothing is written to the root: its hashes are on the disk, or it is a live medium's. */
export const isReadOnly = (t: OsTemplate, layout: DiskLayout): boolean =>
  layout.verity !== undefined || isLive(t);

/** Whether the template describes a live medium, whose root is a file on it. */
export const isLive = (t: OsTemplate): boolean => t.target.imageType === 'iso';

/** The device that the root of a template is on, where it is no partition. */
export const rootDevice = (t: OsTemplate): string =>
  isLive(t) ? '/dev/loop0' : '/dev/mapper/root';

/** In memory, above what the image has (the initramfs makes the two directories). */
const VOLATILE =
  'overlay /var overlay lowerdir=/var,upperdir=/run/varve/var/upper,workdir=/run/varve/var/work 0 0\ntmpfs /tmp tmpfs mode=1777,nosuid,nodev 0 0\n';

/** The lines of fstab(5). A root that is only read has its own device, and what is written to /var is kept in memory. */
export function fstab(t: OsTemplate, layout: DiskLayout): string {
  const partitions = layout.partitions.flatMap((p) => {
    if (p.fs === 'swap') return [`PARTUUID=${p.uuid} none swap sw 0 0\n`];
    if (p.mountPoint === undefined || p.fs === 'verity') return [];
    if (p.mountPoint === '/' && isReadOnly(t, layout))
      return [`${rootDevice(t)} / ${p.fs} ro 0 0\n`];
    if (isLive(t)) return [];
    const pass = p.mountPoint === '/' ? 1 : p.fs === 'ext4' || p.fs === 'vfat' ? 2 : 0;
    return [
      `PARTUUID=${p.uuid} ${p.mountPoint} ${p.fs} ${p.mountOptions} 0 ${p.fs === 'ext4' || p.fs === 'vfat' ? pass : 0}\n`,
    ];
  });
  const own = layout.partitions.some((p) => p.mountPoint === '/var');
  return [...partitions, ...(isReadOnly(t, layout) && !own ? [VOLATILE] : [])].join('');
}
