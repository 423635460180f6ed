/** Bundles the program into dist/: `varve.mjs`, its worker threads beside it, native libraries left outside. */
import { rmSync } from 'node:fs';
import { build } from 'esbuild';

rmSync('dist', { recursive: true, force: true });
await build({
  entryPoints: { varve: 'src/cli/main.ts', 'hash-worker': 'src/context/hash-worker.ts' },
  outdir: 'dist',
  outExtension: { '.js': '.mjs' },
  bundle: true,
  splitting: true,
  chunkNames: '[name]-[hash]',
  platform: 'node',
  target: 'node24',
  format: 'esm',
  minifySyntax: true,
  sourcemap: 'linked',
  // Native parts cannot be bundled.
  external: ['koffi', '@napi-rs/lzma'],
  // CommonJS dependencies call require().
  banner: {
    js: "import { createRequire as varveRequire } from 'node:module'; const require = varveRequire(import.meta.url);",
  },
  logLevel: 'warning',
});
