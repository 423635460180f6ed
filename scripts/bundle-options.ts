import type { BuildOptions } from 'esbuild';

/** With these flags Node runs the bundle (bin/varve says why); V8 takes code that was compiled with other flags for foreign. */
export const NODE_FLAGS: readonly string[] = [
  '--disable-warning=ExperimentalWarning',
  '--min-semi-space-size=4',
  '--max-semi-space-size=4',
  '--initial-old-space-size=128',
];

/** Packages with native parts, which cannot be bundled. */
export const NATIVE: readonly string[] = ['koffi', '@napi-rs/lzma'];

/** How all files of the bundle are made. */
export const COMMON = {
  bundle: true,
  platform: 'node',
  target: 'node24',
  minifySyntax: true,
  logLevel: 'warning',
} as const satisfies BuildOptions;
