import { accessSync, constants, readFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { isErrno } from '../base/index.ts';

/** Where a program is, as a shell with this `PATH` and these further directories would find it. */
export function findProgram(
  path: string,
  program: string,
  further: readonly string[] = [],
): string | undefined {
  return [...path.split(delimiter), ...further].map((dir) => join(dir, program)).find(isExecutable);
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch (e) {
    if (isErrno(e, 'ENOENT', 'EACCES', 'ENOTDIR')) return false;
    throw e;
  }
}

/** The text of a file of this machine; empty where there is none. */
export function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (e) {
    if (isErrno(e, 'ENOENT', 'EACCES')) return '';
    throw e;
  }
}
