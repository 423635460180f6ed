export { type LocalSourceDeps, openLocalSource } from './local-source.ts';
