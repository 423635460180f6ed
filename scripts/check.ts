/** The quick checks, run before each commit: types, lint, format, import table and cycles. Stops at the first that fails. */
import { spawnSync } from 'node:child_process';
import { checkImports } from './import-table.ts';

const steps: readonly (readonly [string, readonly string[]])[] = [
  ['types', ['node_modules/typescript/bin/tsc', '-p', '.']],
  [
    'lint',
    ['node_modules/eslint/bin/eslint.js', '--max-warnings=0', 'src', 'test', 'scripts', 'bench'],
  ],
  [
    'format and cycles',
    [
      'node_modules/@biomejs/biome/bin/biome',
      'check',
      '--error-on-warnings',
      'src',
      'test',
      'scripts',
      'bench',
    ],
  ],
];

for (const [name, argv] of steps) {
  const started = performance.now();
  const { status } = spawnSync(process.execPath, argv, { stdio: 'inherit' });
  if (status !== 0) {
    console.error(`check: ${name} failed`);
    process.exit(1);
  }
  console.error(`check: ${name} ok (${((performance.now() - started) / 1000).toFixed(1)} s)`);
}
const problems = checkImports('src');
for (const problem of problems) console.error(problem);
console.error(`check: import table ${problems.length === 0 ? 'ok' : 'failed'}`);
process.exit(problems.length === 0 ? 0 : 1);
