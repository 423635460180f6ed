import { chmodSync, copyFileSync, mkdirSync, statSync, utimesSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { err, type Failure, failure, ok, type Result } from '../../base/index.ts';
import type { LoadedTemplate } from './load-template.ts';

/** The oldest time that a FAT file system can hold, 1980-01-01: what the checkout of a template says is not kept. */
export const FIXED_S = 315_532_800;

/**
 * Gathers a template's additional files in one directory, each below its destination: the context that the stages copy
 * from. TP004: a file is missing.
 */
export function stageFiles(
  loaded: LoadedTemplate,
  dir: string,
): Result<ReadonlyMap<string, string>> {
  const files = new Map<string, string>();
  const missing: Failure[] = [];
  for (const { value, file, span } of loaded.template.files) {
    const from = findFile(loaded.dirs, value.local);
    const final = join('/', value.final);
    if (from === undefined) {
      missing.push(
        failure('TP004', 2, `there is no file ${value.local}`, {
          help: 'the path is relative to the template, or to one that it extends',
          places: [{ file, span }],
        }),
      );
      continue;
    }
    const name = final.slice(1);
    mkdirSync(dirname(join(dir, name)), { recursive: true });
    copyFileSync(from, join(dir, name));
    chmodSync(join(dir, name), statSync(from).mode & 0o7777);
    utimesSync(join(dir, name), FIXED_S, FIXED_S);
    files.set(final, name);
  }
  const [first, ...also] = missing;
  return first === undefined ? ok(files) : err(also.length === 0 ? first : { ...first, also });
}

/** A file that a template names, in the nearest directory that has it. */
export const findFile = (dirs: readonly string[], local: string): string | undefined =>
  dirs
    .map((base) => resolve(base, local))
    .find((path) => statSync(path, { throwIfNoEntry: false })?.isFile() === true);
