export { Chunker } from './chunker.ts';
export { CHUNK, cutLength } from './cut.ts';
