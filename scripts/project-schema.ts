import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { projectJsonSchema } from '../src/project/index.ts';

/** Writes schema/varve.schema.json; with `--check` says whether it is up to date. */
const path = join(import.meta.dirname, '../schema/varve.schema.json');
const text = projectJsonSchema();
if (!process.argv.includes('--check')) writeFileSync(path, text);
else if (readFileSync(path, 'utf8') !== text) {
  process.stderr.write('schema/varve.schema.json is stale: run node scripts/project-schema.ts\n');
  process.exitCode = 1;
}
