import { FsContext, ShortNames, STRING_LIMIT } from './fs-context.ts';
import { systemError } from './libc.ts';

/** A mount of EROFS images that are plain files (Linux 6.12). */
export interface ErofsMount {
  readonly image: string;
  /** What its device table names, in its order. */
  readonly devices: readonly string[];
  readonly target: string;
}

/** Mounts an image read-only. Throws what the kernel says where it cannot. */
export function mountErofs(m: ErofsMount): void {
  using names = new ShortNames();
  using fs = FsContext.open('erofs', m.target);
  if (fs === undefined) throw systemError(38, 'fsopen', m.target);
  fs.set('source', names.of(m.image, STRING_LIMIT));
  for (const device of m.devices) fs.set('device', names.of(device, STRING_LIMIT));
  fs.attach(m.target, { readonly: true });
}
