export { type ErofsMount, mountErofs } from './erofs.ts';
export {
  copyRange,
  deviceNumber,
  deviceParts,
  makeNode,
  makePipe,
  renameWith,
  seek,
  setTimes,
  syncFileSystem,
  tryLock,
  unlock,
} from './file.ts';
export {
  bindMount,
  type MountFlag,
  mount,
  mountTmpfs,
  unmount,
  unmountIfMounted,
} from './mount.ts';
export { mountOverlay, type OverlayMount } from './overlay.ts';
export { inUserNamespace } from './user-namespace.ts';
export { getXattr, listXattrs, readXattrs, removeXattr, setXattr } from './xattr.ts';
