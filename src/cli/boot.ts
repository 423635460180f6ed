/** The start of the bundle: the program is a script beside it. */
import { keepCompiledCode } from './compile-cache.ts';
import { loadProgram } from './load-program.ts';

/** Name of the program's file, by its content. */
declare const PROGRAM: string;
declare const require: (id: string) => unknown;
declare const __dirname: string;

let keeps = false;

/** Libraries lie in files of their own, whose compiled code Node keeps. */
const load = (id: string): unknown => {
  if (!keeps && !id.startsWith('node:')) {
    keeps = true;
    keepCompiledCode();
  }
  return require(id);
};

const { program } = loadProgram({ dir: __dirname, name: PROGRAM, require: load });
void program.main();
