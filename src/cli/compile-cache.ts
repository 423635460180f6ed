import { existsSync, statfsSync, statSync } from 'node:fs';
import { enableCompileCache } from 'node:module';
import { dirname, join } from 'node:path';
import { storeRoot } from './store-root.ts';

const PROC_SUPER_MAGIC = 0x9fa0; // statfs(2)

/** Has Node keep compiled code of modules in the store; what is loaded before is not kept. */
export function keepCompiledCode(): void {
  const root = storeRoot({ env: process.env, uid: process.getuid?.() ?? -1 });
  if (!ownsOrLacks(root)) return;
  // Node makes missing directories with the mode that is left by this mask: nobody else may look into the store.
  const mask = process.umask(0o077);
  enableCompileCache(join(root, 'compile-cache'));
  process.umask(mask);
}

/** Code that another user could have written into the cache of compiled code is not run. */
function ownsOrLacks(path: string): boolean {
  const stat = statSync(path, { throwIfNoEntry: false });
  return stat === undefined ? !isBelowProc(path) : stat.uid === process.getuid?.();
}

/** Node never stops trying to make a directory there. */
function isBelowProc(path: string): boolean {
  let above = dirname(path);
  while (!existsSync(above)) above = dirname(above);
  return statfsSync(above).type === PROC_SUPER_MAGIC;
}
