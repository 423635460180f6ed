export { type ErofsNode, type ErofsTree, writeErofs } from './image.ts';
