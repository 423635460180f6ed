export { type Bytes, partOf } from './bytes.ts';
export { type FoundPartition, type PartitionTable, readPartitions } from './partitions.ts';
export { type EfiProgram, readEfiProgram } from './pe.ts';
export { type OpenDisk, readDisk } from './read-disk.ts';
export { type FoundFs, findFs, type Volume, type VolumeEntry } from './volume.ts';
