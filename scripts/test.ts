/**
 * Runs the tests: `test.ts [--update] [folder…]`, folders below test/ (all when none is named).
 * Prints why a test failed or was skipped as it happens, and last the names of those that failed and `N passed, N failed, N skipped`.
 */
import { readdirSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { run } from 'node:test';

const args = process.argv.slice(2);
const update = args.includes('--update');
const wanted = args.filter((a) => !a.startsWith('--'));
if (update) process.env['VARVE_TEST_UPDATE'] = '1';

const files = readdirSync('test', { recursive: true, encoding: 'utf8' })
  .filter((f) => f.endsWith('.test.ts'))
  .filter((f) => wanted.length === 0 || wanted.some((w) => `test/${f}`.includes(w)))
  .map((f) => join('test', f))
  .sort();
// `bin/varve` runs the bundle without asking: tests are of these sources.
const bundled = statSync('dist/varve.cjs', { throwIfNoEntry: false })?.mtimeMs;
if (bundled !== undefined && newestSource() > bundled) {
  console.error('test: the bundle in dist/ is older than the sources and removed');
  rmSync('dist', { recursive: true });
}
const counts = { passed: 0, failed: 0, skipped: 0 };
const failures: string[] = [];

const stream = run({ files, concurrency: 2, timeout: 20 * 60_000 });
stream.on('test:pass', (event) => {
  if (event.details.type === 'suite' || isFile(event.name)) return;
  if (event.skip !== undefined && event.skip !== false) {
    counts.skipped++;
    console.log(`skip  ${event.name}: ${event.skip === true ? 'no reason given' : event.skip}`);
  } else counts.passed++;
});
stream.on('test:fail', (event) => {
  if (event.details.type === 'suite') return;
  const error: Error & { readonly failureType?: string } = event.details.error;
  const cause = error.cause instanceof Error ? error.cause : error;
  // A file is itself reported as a test: it counts only when it failed on its own (it could not be loaded).
  if (isFile(event.name) && error.failureType === 'subtestsFailed') return;
  counts.failed++;
  const text = cause.stack ?? cause.message;
  const name = `FAIL  ${event.file ?? '?'} > ${event.name}`;
  failures.push(name);
  console.log(`${name}\n${text}`);
});
stream.on('test:diagnostic', (event) => {
  if (event.message.startsWith('note:')) console.log(event.message);
});
stream.on('test:stdout', (event) => process.stdout.write(event.message));
stream.on('test:stderr', (event) => process.stderr.write(event.message));
await new Promise((resolve) => stream.on('close', resolve).resume());

for (const name of failures) console.log(name);
console.log(`\n${counts.passed} passed, ${counts.failed} failed, ${counts.skipped} skipped`);
process.exit(counts.failed === 0 && counts.passed > 0 ? 0 : 1);

function newestSource(): number {
  const names = readdirSync('src', { recursive: true, encoding: 'utf8' });
  return Math.max(...names.map((name) => statSync(join('src', name)).mtimeMs));
}

function isFile(name: string): boolean {
  return name.endsWith('.test.ts');
}
