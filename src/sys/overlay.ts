import { bytesOfName } from '../base/index.ts';
import { FsContext, ShortNames, STRING_LIMIT } from './fs-context.ts';
import { systemError } from './libc.ts';
import { mount } from './mount.ts';

/** An overlay mount. */
export interface OverlayMount {
  /** Read-only layers, topmost first (the order of `lowerdir`). */
  readonly lower: readonly string[];
  /** Writable layer and its work directory on the same file system; absent: the mount is read-only. */
  readonly upper?: { readonly dir: string; readonly work: string };
  readonly target: string;
  /** `user.overlay.*` attributes instead of `trusted.overlay.*`: for mounts inside a user namespace. */
  readonly userXattrs?: boolean;
  /** Skips fsync on copy-up and unmount: the upper directory is thrown away after a crash anyway. */
  readonly volatile?: boolean;
  /** The lower directories are on several file systems with small inode numbers: keeps device and numbers as on one. */
  readonly mixed?: boolean;
}

/** The options of mount(2) must fit a page. */
const PAGE = 4096;

/**
 * Mounts an overlay. Uses fsopen(2) with one `lowerdir+` a layer (Linux 6.5), so that hundreds of layers work; an older
 * kernel gets the option string of mount(2). Index, redirect_dir and metacopy are off, so that an upper directory is a
 * plain layer.
 */
export function mountOverlay(m: OverlayMount): void {
  if (m.lower.length === 0) throw new Error('an overlay needs a lower directory');
  using names = new ShortNames();
  if (!tryNewMount(m, names)) {
    const data = optionString(m, names);
    mount({
      source: 'overlay',
      target: m.target,
      type: 'overlay',
      flags: m.upper === undefined ? ['readonly'] : [],
      data,
    });
  }
}

/** False when the kernel lacks the calls or `lowerdir+`; any other failure is thrown with the kernel's own words. */
function tryNewMount(m: OverlayMount, names: ShortNames): boolean {
  using fs = FsContext.open('overlay', m.target);
  if (fs === undefined) return false;
  fs.set('source', 'overlay');
  for (const [i, dir] of m.lower.entries()) {
    const value = names.of(dir, STRING_LIMIT);
    if (i > 0) fs.set('lowerdir+', value);
    else if (!fs.trySet('lowerdir+', value)) return false;
  }
  if (m.upper !== undefined) {
    fs.set('upperdir', names.of(m.upper.dir, STRING_LIMIT));
    fs.set('workdir', names.of(m.upper.work, STRING_LIMIT));
  }
  for (const [key, value] of switches(m)) fs.set(key, value);
  fs.attach(m.target, { readonly: m.upper === undefined });
  return true;
}

function switches(m: OverlayMount): (readonly [key: string, value: string | undefined])[] {
  const list: (readonly [string, string | undefined])[] = [];
  if (m.upper !== undefined) list.push(['index', 'off'], ['metacopy', 'off']);
  if (m.userXattrs === true) list.push(['userxattr', undefined]);
  else list.push(['redirect_dir', m.upper === undefined ? 'nofollow' : 'off']);
  if (m.mixed === true) list.push(['xino', 'on']);
  if (m.volatile === true && m.upper !== undefined) list.push(['volatile', undefined]);
  return list;
}

function optionString(m: OverlayMount, names: ShortNames): string {
  const plain = (dir: string): string => names.of(dir, STRING_LIMIT, /[:,\\]/);
  const make = (name: (dir: string) => string): string =>
    [
      `lowerdir=${m.lower.map(name).join(':')}`,
      ...(m.upper === undefined
        ? []
        : [`upperdir=${name(m.upper.dir)}`, `workdir=${name(m.upper.work)}`]),
      ...switches(m).map(([key, value]) => (value === undefined ? key : `${key}=${value}`)),
    ].join(',');
  const text = make(plain);
  const short = bytesOfName(text).length < PAGE ? text : make((dir) => names.of(dir, 0));
  if (bytesOfName(short).length >= PAGE)
    throw systemError(
      7,
      'mount overlay',
      m.target,
      `${m.lower.length} layers are too many for this kernel`,
    );
  return short;
}
