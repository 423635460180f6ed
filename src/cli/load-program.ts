import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { constants, Script } from 'node:vm';

/** The file of the bundle that has the whole program, as a function of what a module knows of itself. */
type ProgramFile = (
  require: (id: string) => unknown,
  module: { exports: unknown },
  url: string,
  dir: string,
) => void;

/** What the program says to whoever starts it. */
export interface Program {
  main(): Promise<void>;
  /** The same for one command after another, in a process that can be no other's. */
  start(): Promise<number>;
}

/** A bundle in a directory. */
export interface Bundle {
  readonly dir: string;
  /** Name of the program's file and, with another ending, of the code that V8 made of it before. */
  readonly name: string;
  readonly require: (id: string) => unknown;
}

/**
 * Loads the program as one script with the code of the functions that its commands run (scripts/bundle.ts): nothing is parsed but what
 * they did not use. Code of another V8 is refused by V8 itself, and then all is compiled when it is first called.
 */
export function loadProgram({ dir, name, require }: Bundle): { script: Script; program: Program } {
  const filename = join(dir, `${name}.cjs`);
  const code = readIfThere(join(dir, `${name}.code`));
  // The bundle has no character outside of ASCII: the text needs no decoding.
  const script = new Script(readFileSync(filename, 'latin1'), {
    filename,
    ...(code === undefined ? {} : { cachedData: code }),
    importModuleDynamically: constants.USE_MAIN_CONTEXT_DEFAULT_LOADER,
  });
  const module: { exports: unknown } = { exports: undefined };
  // What program-entry.ts exports.
  const file = script.runInThisContext() as ProgramFile;
  file(require, module, pathToFileURL(filename).href, dir);
  return { script, program: module.exports as Program };
}

function readIfThere(path: string): Buffer | undefined {
  try {
    return readFileSync(path);
  } catch {
    return undefined;
  }
}
