export type { Ext4Data, Ext4Node, Ext4Options, Ext4Source, Ext4Target } from './format.ts';
export { writeExt4 } from './image.ts';
