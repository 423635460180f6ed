import type { Cost } from '../gc/index.ts';

/** Bytes a second: rough figures of an ordinary machine, for what was never measured. */
const [DOWNLOAD, EXTRACT, COMPRESS] = [20e6, 150e6, 60e6];

/** Fetching so many bytes. */
export const downloading = (bytes: number): Cost => ({ ms: (bytes / DOWNLOAD) * 1000, bytes });

/** Unpacking a layer whose compressed form is here. */
export const extracting = (bytes: number): Cost => ({ ms: (bytes / EXTRACT) * 1000, bytes: 0 });

/** Packing an extracted layer again. */
export const compressing = (bytes: number): Cost => ({ ms: (bytes / COMPRESS) * 1000, bytes: 0 });

/** Running a step again, as long as it took. */
export const running = (ms: number): Cost => ({ ms, bytes: 0 });

/** One after the other. */
export const both = (a: Cost, b: Cost): Cost => ({ ms: a.ms + b.ms, bytes: a.bytes + b.bytes });

/** Nothing is lost. */
export const FREE: Cost = { ms: 0, bytes: 0 };
