/** `node parse-run.ts DIR NAME FILE`, measured by `parse.ts` in a process of its own: loads the program as its start does, then parses one file. */
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { loadProgram, type Program } from '../src/cli/load-program.ts';
import type { Parsed } from './parse-file.ts';

const [dir = '', name = '', file = ''] = process.argv.slice(2);
const require = createRequire(join(dir, 'varve.cjs'));
// parse-file.ts is the program.
const program = loadProgram({ dir, name, require }).program as Program & {
  parse(text: string): Promise<Parsed>;
};
process.stdout.write(`${JSON.stringify(await program.parse(readFileSync(file, 'utf8')))}\n`);
