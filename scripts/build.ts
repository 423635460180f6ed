/** Bundles the program into dist/: `varve.mjs`, its worker threads beside it, native libraries left outside. */
import { rmSync } from 'node:fs';
import { build } from 'esbuild';
import { BUNDLE } from './bundle-options.ts';

rmSync('dist', { recursive: true, force: true });
await build({
  ...BUNDLE,
  entryPoints: { varve: 'src/cli/main.ts', 'hash-worker': 'src/context/hash-worker.ts' },
  outdir: 'dist',
  sourcemap: 'linked',
});
