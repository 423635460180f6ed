import { mkdirSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { build } from 'esbuild';
import { BUNDLE } from '../../scripts/bundle-options.ts';

const ROOT = join(import.meta.dirname, '../..');

/** Bundles the program into a directory, as users run it; the answer is the command line that starts it. */
export async function bundledProgram(dir: string): Promise<readonly string[]> {
  mkdirSync(dir, { recursive: true });
  await build({
    ...BUNDLE,
    entryPoints: {
      varve: join(ROOT, 'src/cli/main.ts'),
      'hash-worker': join(ROOT, 'src/context/hash-worker.ts'),
    },
    outdir: dir,
  });
  symlinkSync(join(ROOT, 'node_modules'), join(dir, 'node_modules'));
  const flags = ['--min-semi-space-size=4', '--max-semi-space-size=4'];
  return [
    process.execPath,
    '--disable-warning=ExperimentalWarning',
    ...flags,
    join(dir, 'varve.mjs'),
  ];
}
