import { deepEqual } from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';

const root = join(import.meta.dirname, '../../..');
const pages = readdirSync(join(root, 'docs/errors'));

/** The codes that are written as string literals in the source. */
function codesOfSource(): readonly string[] {
  const codes = new Set<string>();
  for (const entry of readdirSync(join(root, 'src'), { recursive: true, withFileTypes: true })) {
    if (!entry.isFile() || !entry.name.endsWith('.ts')) continue;
    const text = readFileSync(join(entry.parentPath, entry.name), 'utf8');
    for (const [, code = ''] of text.matchAll(/'([A-Z]{2}\d{3})'/g)) codes.add(code);
  }
  return [...codes].sort();
}

test('every failure code has a page, and every page is of a code that exists', () => {
  deepEqual(
    [...pages].sort(),
    codesOfSource().map((code) => `${code}.md`),
  );
});

test('every page of a failure code begins with a title that names the code, and says more', () => {
  const wrong = pages.filter((page) => {
    const text = readFileSync(join(root, 'docs/errors', page), 'utf8');
    const [title = '', blank, next = ''] = text.split('\n');
    return !title.startsWith(`# ${page.replace('.md', '')}: `) || blank !== '' || next === '';
  });
  deepEqual(wrong, []);
});

test('every page of a failure code has an example: what is printed with its code, or a file that is wrong', () => {
  const wrong = pages.filter((page) => {
    const code = page.replace('.md', '');
    const text = readFileSync(join(root, 'docs/errors', page), 'utf8');
    const blocks = [...text.matchAll(/^```(\w*)\n([^]*?)^```$/gm)];
    return !blocks.some(
      ([, language = '', body = '']) =>
        body.trim() !== '' &&
        (language !== '' || body.startsWith('$ ') || body.includes(`[${code}]: `)),
    );
  });
  deepEqual(wrong, []);
});
