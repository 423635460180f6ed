export { createSnapshotter, type LayerStore, type SnapshotterOptions } from './snapshotter.ts';
