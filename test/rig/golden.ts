import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseJson } from '../../src/base/index.ts';

/** The folder of golden data computed by BuildKit, beside the repository, or undefined where it is not. */
export const GOLDEN: string | undefined = [
  process.env['VARVE_GOLDEN'] ?? '',
  join(import.meta.dirname, '../../../shared/golden'),
].find((dir) => dir !== '' && existsSync(join(dir, 'README.md')));

/** Option for `test()`: skips with a reason where the golden data is absent. */
export const needsGolden: { readonly skip?: string } =
  GOLDEN === undefined ? { skip: 'golden data of BuildKit is not beside the repository' } : {};

/** A parsed JSON file of the golden data. The shape is the caller's knowledge (golden README). */
export function goldenJson<T>(path: string): T {
  const parsed = parseJson(readFileSync(join(GOLDEN ?? '', path), 'utf8'));
  if (!parsed.ok) throw new Error(`${path}: ${parsed.error}`);
  // Test data: the shape is asserted by its use.
  return parsed.value as T;
}

/** A parsed JSON-lines file of the golden data. */
export function goldenLines<T>(path: string): T[] {
  return readFileSync(join(GOLDEN ?? '', path), 'utf8')
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => {
      const parsed = parseJson(line);
      if (!parsed.ok) throw new Error(`${path}: ${parsed.error}`);
      return parsed.value as T;
    });
}

/** Names in a folder of the golden data, sorted. */
export function goldenNames(folder: string): string[] {
  return GOLDEN === undefined ? [] : readdirSync(join(GOLDEN, folder)).sort();
}

/** Prints a count that the test command shows (`note: …`). */
export function note(text: string): void {
  process.stdout.write(`note: ${text}\n`);
}
