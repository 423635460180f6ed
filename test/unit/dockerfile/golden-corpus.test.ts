import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { ok, parseJson } from '../../../src/base/index.ts';
import {
  type AstNode,
  type DockerfileFailure,
  type LineRange,
  parseDockerfile,
  parseInstructions,
} from '../../../src/dockerfile/index.ts';
import { GOLDEN, goldenJson, goldenNames, needsGolden, note } from '../../rig/golden.ts';

type Json = Readonly<Record<string, unknown>>;

const each = ([first, last]: LineRange): LineRange[] =>
  Array.from({ length: last - first + 1 }, (_, i) => [first + i, first + i]);

/** A node in the form of the golden data: empty fields are left out. */
function goldenNode(node: AstNode): Json {
  const { value, original, child } = node;
  const args = [
    ...node.args.map((word) => word.value),
    ...(child === undefined ? [] : [{ children: [goldenNode(child)] }]),
  ];
  return {
    value,
    ...(original === '' ? {} : { original }),
    ...(args.length === 0 ? {} : { args }),
    ...(node.flags.length === 0 ? {} : { flags: node.flags.map((flag) => flag.value) }),
    ...(node.json ? { attributes: { json: true } } : {}),
    ...(node.heredocs.length === 0
      ? {}
      : { heredocs: node.heredocs.map(({ span: _, ...heredoc }) => heredoc) }),
    ...(node.lines[0] === 0 ? {} : { lines: node.lines }),
    ...(node.prevComment.length === 0 ? {} : { prevComment: node.prevComment }),
  };
}

const goldenFailure = (failure: DockerfileFailure): Json => ({
  locations: failure.locations,
  text: failure.message,
});

/** What BuildKit recorded of parsing, computed here. */
function parseResult(path: string, text: string): Json {
  const parsed = parseDockerfile({ path, text });
  if (!parsed.ok) {
    const failure = goldenFailure(parsed.error);
    return { ast: null, parseError: failure, stagesError: failure };
  }
  const { ast, escapeToken, warnings, directives } = parsed.value;
  const instructions = parseInstructions(parsed.value);
  return {
    ast: ast.children.map(goldenNode),
    escapeToken,
    parserWarnings: warnings.map(({ short, detail, url, lines }) => ({
      short,
      detail,
      url,
      lines,
    })),
    directives: Object.fromEntries(
      Object.values(directives).map(({ name, value, line }) => [
        name,
        { value, lines: each([line, line]) },
      ]),
    ),
    ...(instructions.ok
      ? {
          stages: instructions.value.stages.map((stage, i, all) => ({
            name: stage.stageName,
            base: stage.base.value,
            platform: stage.platform,
            description: stage.docComment,
            default: i === all.length - 1,
          })),
        }
      : { stages: [], stagesError: goldenFailure(instructions.error) }),
  };
}

/** The recorded result, cut down to what parsing decides. */
function recorded(golden: Json): Json {
  const keys =
    golden['parseError'] === undefined || golden['parseError'] === null
      ? ['ast', 'escapeToken', 'parserWarnings', 'directives', 'stages', 'stagesError']
      : ['ast', 'parseError', 'stagesError'];
  return Object.fromEntries(keys.filter((key) => key in golden).map((key) => [key, golden[key]]));
}

for (const corpus of ['corpus', 'corpus-features']) {
  test(
    `files of ${corpus} parse into the nodes, stages and errors of BuildKit`,
    needsGolden,
    () => {
      const differences: string[] = [];
      const cases = goldenNames(corpus).filter((name) => !name.endsWith('.json'));
      for (const name of cases) {
        const text = readFileSync(join(GOLDEN ?? '', corpus, name, 'Dockerfile'), 'utf8');
        const want = recorded(goldenJson(`${corpus}/${name}/golden.json`));
        try {
          assert.deepEqual(parseResult('Dockerfile', text), want);
        } catch (e) {
          differences.push(`${name}: ${(e as Error).message}`);
        }
      }
      note(`${corpus}: ${cases.length - differences.length} of ${cases.length} equal`);
      assert.deepEqual(differences, []);
    },
  );
}

/** Source text of a word without what continues a line inside it: the escape character, comments, empty lines. */
const unfold = (written: string): string =>
  written.replace(/[\\`][ \t]*\r?\n(?:[ \t]*(?:#[^\n]*)?\r?\n)*/g, '');

test('the span of every word in the corpus holds the word as it is written', needsGolden, () => {
  const differences: string[] = [];
  let words = 0;
  for (const name of goldenNames('corpus').filter((entry) => !entry.endsWith('.json'))) {
    const text = readFileSync(join(GOLDEN ?? '', 'corpus', name, 'Dockerfile'), 'utf8');
    const parsed = parseDockerfile({ path: 'Dockerfile', text });
    for (const node of parsed.ok ? parsed.value.ast.children : []) {
      for (const { value, span } of [...node.args, ...node.flags]) {
        const source = unfold(text.slice(span.offset, span.offset + span.length));
        // Quotes are removed from flags.
        const written = value.startsWith('--') ? source.replaceAll('"', '') : source;
        const plain = node.json && written.startsWith('"') ? parseJson(written) : ok(written);
        words++;
        if (!plain.ok || plain.value !== value) differences.push(`${name}: ${written} is ${value}`);
      }
    }
  }
  note(
    `spans: ${words - differences.length} of ${words} words of the corpus stand where they should`,
  );
  assert.deepEqual(differences, []);
});
