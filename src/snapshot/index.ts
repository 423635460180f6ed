export { type DiskUse, LinkedFiles, measureDisk } from './disk-usage.ts';
export { obstacleToMounting } from './lowers.ts';
export { createSnapshotter, type LayerStore, type SnapshotterOptions } from './snapshotter.ts';
export { type LayerFault, type LayerReport, verifyLayer } from './verify-layer.ts';
