export { type ErofsNode, type ErofsTree, type ErofsType, writeErofs } from './image.ts';
