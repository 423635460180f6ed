import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { lintCaching, modelOf } from '../../../src/advice/index.ts';
import { parseDockerfile, parseInstructions } from '../../../src/dockerfile/index.ts';
import { GOLDEN, goldenNames, needsGolden, note } from '../../rig/golden.ts';

test(
  'every Dockerfile of the corpus is linted, and every finding lies inside its file',
  needsGolden,
  () => {
    const outside: string[] = [];
    const rules = new Map<string, number>();
    let files = 0;
    for (const name of goldenNames('corpus')) {
      if (name === 'index.json') continue;
      const text = readFileSync(join(GOLDEN ?? '', 'corpus', name, 'Dockerfile'), 'utf8');
      const parsed = parseDockerfile({ path: name, text });
      assert.ok(parsed.ok, name);
      const instructions = parseInstructions(parsed.value);
      assert.ok(instructions.ok, name);
      files++;
      for (const { rule, span, affected } of lintCaching(
        modelOf(parsed.value, instructions.value),
      )) {
        rules.set(rule, (rules.get(rule) ?? 0) + 1);
        for (const each of [...affected, ...(span === undefined ? [] : [span])])
          if (each.length === 0 || each.offset + each.length > text.length)
            outside.push(`${name}: ${rule}`);
      }
    }
    const counts = [...rules].map(([rule, count]) => `${rule} ${count}`).sort();
    note(`${files} files of the corpus linted: ${counts.join(', ')}`);
    assert.deepEqual(outside, []);
    assert.equal(files, 248);
  },
);
