import { mkdirSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { bundle } from '../../scripts/bundle.ts';
import { NODE_FLAGS } from '../../scripts/bundle-options.ts';

const ROOT = join(import.meta.dirname, '../..');

/** Bundles the program into a directory, as users run it; the answer is the command line that starts it. */
export async function bundledProgram(dir: string): Promise<readonly string[]> {
  mkdirSync(dir, { recursive: true });
  symlinkSync(join(ROOT, 'node_modules'), join(dir, 'node_modules'));
  await bundle(dir);
  return [process.execPath, ...NODE_FLAGS, join(dir, 'varve.cjs')];
}
