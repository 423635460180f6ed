import { deepEqual, ok } from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { goldenNames, needsGolden, note } from '../../rig/golden.ts';

const root = join(import.meta.dirname, '../../..');
const page = readFileSync(join(root, 'docs/dockerfile.md'), 'utf8');
const citations = page
  .split('\n')
  .filter((line) => /^\| (?!rule \||---)/.test(line))
  .map((line) => line.slice(line.lastIndexOf(' | ') + 3));

/** What the tests of the project say, to look their names up in. */
function textOfTests(): string {
  return readdirSync(join(root, 'test'), { recursive: true, withFileTypes: true })
    .filter((e) => e.isFile() && e.name.endsWith('.test.ts'))
    .map((e) => readFileSync(join(e.parentPath, e.name), 'utf8'))
    .join('\n');
}

/** Names that are made of a table. */
const MADE: readonly RegExp[] = [/^EXPOSE (.*) is refused$/, /^refused: --mount=(.*)$/];

test('every test that shows a rule of the Dockerfile language exists', () => {
  const text = textOfTests().replaceAll("\\'", "'");
  const names = citations.flatMap((c) =>
    [...c.matchAll(/`([^`]+)`/g)].map(([, name = '']) => name),
  );
  const wanted = names.map((name) => MADE.flatMap((made) => made.exec(name)?.[1] ?? [])[0] ?? name);
  deepEqual(
    wanted.filter((name) => !["'", '"'].some((quote) => text.includes(`${quote}${name}${quote}`))),
    [],
  );
  ok(citations.length > 40, `only ${citations.length} rules`);
  note(`Dockerfile rules: ${citations.length} rules, ${names.length} tests named`);
});

test(
  'every golden case that shows a rule exists, and every golden case shows one',
  needsGolden,
  () => {
    const known = new Set(goldenNames('corpus-features').map((name) => name.slice(0, 3)));
    const named = citations.flatMap((c) => c.replace(/`[^`]+`/g, '').match(/\b\d{3}\b/g) ?? []);
    deepEqual(
      named.filter((n) => !known.has(n)),
      [],
    );
    deepEqual(
      [...known].filter((n) => !named.includes(n)),
      [],
    );
    note(`Dockerfile rules: ${known.size} golden cases, all of them named`);
  },
);
