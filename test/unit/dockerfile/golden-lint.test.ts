import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import {
  Linter,
  lintLines,
  lintStages,
  parseDockerfile,
  parseInstructions,
  RULES,
  type RuleName,
} from '../../../src/dockerfile/index.ts';
import { GOLDEN, goldenJson, goldenNames, needsGolden, note } from '../../rig/golden.ts';

/** Rules that need nothing but the file; the others need variables, platforms or reachability. */
const HERE: ReadonlySet<string> = new Set<RuleName>([
  'NoEmptyContinuation',
  'StageNameCasing',
  'FromAsCasing',
  'MaintainerDeprecated',
  'InvalidDefinitionDescription',
  'ReservedStageName',
  'DuplicateStageName',
  'ConsistentInstructionCasing',
]);

interface GoldenWarning {
  readonly rule: string;
  readonly text: string;
  readonly lines: readonly (readonly [number, number])[];
  readonly description?: string;
  readonly url?: string;
}

function lint(text: string): GoldenWarning[] {
  const parsed = parseDockerfile({ path: 'Dockerfile', text });
  if (!parsed.ok) return [];
  const linter = Linter.forFile(parsed.value);
  if (!linter.ok) return [];
  lintLines(parsed.value, linter.value);
  const instructions = parseInstructions(parsed.value, { linter: linter.value });
  if (instructions.ok) lintStages(instructions.value, linter.value);
  return linter.value.warnings.map(({ rule, message, lines: [first, last], description, url }) => ({
    rule,
    text: message,
    lines: Array.from({ length: last - first + 1 }, (_, i) => [first + i, first + i] as const),
    description,
    url,
  }));
}

const sortKey = (w: GoldenWarning): string =>
  `${String(w.lines[0]?.[0] ?? 0).padStart(6, '0')} ${w.rule} ${w.text}`;

const sorted = (warnings: readonly GoldenWarning[]): GoldenWarning[] =>
  warnings.toSorted((a, b) => (sortKey(a) < sortKey(b) ? -1 : 1));

for (const corpus of ['corpus', 'corpus-features']) {
  test(
    `warnings about the files of ${corpus} that need nothing but the file are BuildKit's`,
    needsGolden,
    () => {
      const differences: string[] = [];
      const names = goldenNames(corpus).filter((name) => !name.endsWith('.json'));
      let warnings = 0;
      for (const name of names) {
        const text = readFileSync(join(GOLDEN ?? '', corpus, name, 'Dockerfile'), 'utf8');
        const golden = goldenJson<{ readonly warnings: readonly GoldenWarning[] }>(
          `${corpus}/${name}/golden.json`,
        );
        const want = sorted(golden.warnings.filter((warning) => HERE.has(warning.rule)));
        warnings += want.length;
        try {
          assert.deepEqual(sorted(lint(text)), want);
        } catch (e) {
          differences.push(`${name}: ${(e as Error).message}`);
        }
      }
      note(
        `${corpus}: file-level lint of ${names.length - differences.length} of ${names.length} files equal (${warnings} warnings)`,
      );
      assert.deepEqual(differences, []);
    },
  );
}

test(
  'description and page of every rule that the golden data names are BuildKit’s',
  needsGolden,
  () => {
    const want = new Map<string, { description: unknown; url: unknown }>();
    for (const corpus of ['corpus', 'corpus-features']) {
      for (const name of goldenNames(corpus).filter((entry) => !entry.endsWith('.json'))) {
        const { warnings } = goldenJson<{ readonly warnings: readonly GoldenWarning[] }>(
          `${corpus}/${name}/golden.json`,
        );
        for (const { rule, description, url } of warnings) want.set(rule, { description, url });
      }
    }
    const got = new Map(
      RULES.filter(({ name }) => want.has(name)).map(({ name, description, url }) => [
        name,
        { description, url },
      ]),
    );
    note(`lint rules: ${got.size} of ${want.size} found in the golden data`);
    assert.deepEqual([...got].toSorted(), [...want].toSorted());
  },
);
