import type { BuildOptions } from 'esbuild';

/** How the program is bundled; what is left to say is from where to where. */
export const BUNDLE = {
  outExtension: { '.js': '.mjs' },
  bundle: true,
  splitting: true,
  chunkNames: '[name]-[hash]',
  platform: 'node',
  target: 'node24',
  format: 'esm',
  minifySyntax: true,
  // Native parts cannot be bundled.
  external: ['koffi', '@napi-rs/lzma'],
  // CommonJS dependencies call require().
  banner: {
    js: "import { createRequire as varveRequire } from 'node:module'; const require = varveRequire(import.meta.url);",
  },
  logLevel: 'warning',
} as const satisfies BuildOptions;
