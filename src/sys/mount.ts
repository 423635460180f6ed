import { isErrno } from '../base/index.ts';
import { cString, must } from './libc.ts';

/** Flags of mount(2). */
const FLAGS = {
  readonly: 1n,
  nosuid: 2n,
  nodev: 4n,
  noexec: 8n,
  remount: 32n,
  bind: 4096n,
  recursive: 16384n,
  private: 1n << 18n,
  slave: 1n << 19n,
  noatime: 1024n,
} as const;

/** A flag of mount(2). */
export type MountFlag = keyof typeof FLAGS;

/** mount(2) as it is; the helpers below say what is usually meant. */
export function mount(m: {
  readonly source?: string;
  readonly target: string;
  readonly type?: string;
  readonly flags?: readonly MountFlag[];
  readonly data?: string;
}): void {
  const flags = (m.flags ?? []).reduce((all, flag) => all | FLAGS[flag], 0n);
  const text = (value: string | undefined): Uint8Array | null =>
    value === undefined ? null : cString(value);
  must('mount', m.target, text(m.source), cString(m.target), text(m.type), flags, text(m.data));
}

/** Mounts an existing file or directory a second time; read-only needs a second step, which is made here. */
export function bindMount(
  source: string,
  target: string,
  options: { readonly readonly?: boolean; readonly recursive?: boolean } = {},
): void {
  const deep: readonly MountFlag[] = options.recursive === true ? ['recursive'] : [];
  mount({ source, target, flags: ['bind', ...deep] });
  if (options.readonly !== true) return;
  try {
    mount({ source: 'none', target, flags: ['bind', 'remount', 'readonly'] });
  } catch (e) {
    unmount(target, { lazy: true });
    throw e;
  }
}

/** Mounts an empty file system in memory. */
export function mountTmpfs(
  target: string,
  options: { readonly sizeBytes?: number; readonly mode?: number } = {},
): void {
  const data = [
    options.sizeBytes === undefined ? [] : [`size=${options.sizeBytes}`],
    options.mode === undefined ? [] : [`mode=${options.mode.toString(8)}`],
  ].flat();
  mount({
    source: 'tmpfs',
    target,
    type: 'tmpfs',
    flags: ['nosuid', 'nodev'],
    data: data.join(','),
  });
}

/** Removes the topmost mount at `target`; `lazy` detaches it even while it is in use. */
export function unmount(target: string, options: { readonly lazy?: boolean } = {}): void {
  must('umount2', target, cString(target), options.lazy === true ? 2 : 0);
}

/** Detaches what is mounted at `target`, if anything is. */
export function unmountIfMounted(target: string): void {
  try {
    unmount(target, { lazy: true });
  } catch (e) {
    if (!isErrno(e, 'EINVAL', 'ENOENT')) throw e;
  }
}
