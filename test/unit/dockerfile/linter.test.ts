import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  isSecretName,
  Linter,
  lintLines,
  lintStages,
  parseDockerfile,
  parseInstructions,
  parseLintOptions,
  RULES,
  rule,
} from '../../../src/dockerfile/index.ts';

/** Rules that a file breaks, and the text a build would fail with. */
function lint(text: string, override?: string): { rules: string[]; error: string | undefined } {
  const parsed = parseDockerfile({ path: 'Dockerfile', text });
  assert.ok(parsed.ok);
  const linter = Linter.forFile(parsed.value, override);
  if (!linter.ok) return { rules: [], error: linter.error };
  lintLines(parsed.value, linter.value);
  const instructions = parseInstructions(parsed.value, { linter: linter.value });
  if (instructions.ok) lintStages(instructions.value, linter.value);
  return {
    rules: linter.value.warnings.map((warning) => warning.rule),
    error: linter.value.error(),
  };
}

test('options of a check directive are read, "all" and blanks included', () => {
  assert.deepEqual(parseLintOptions(' skip = A , B ; error = 1;experimental=all '), {
    ok: true,
    value: {
      skipAll: false,
      skip: ['A', 'B'],
      experimentalAll: true,
      experimental: [],
      returnAsError: true,
    },
  });
});

test('options of a check directive that make no sense are refused with the text of BuildKit', () => {
  const errors = ['skip', 'x=1', 'error=maybe'].map((text) => {
    const parsed = parseLintOptions(text);
    return parsed.ok ? 'ok' : parsed.error;
  });
  assert.deepEqual(errors, [
    'invalid check option "skip"',
    'invalid check option "x"',
    'failed to parse check option "error=maybe": strconv.ParseBool: parsing "maybe": invalid syntax',
  ]);
});

test('a check directive skips rules and a build argument overrides it', () => {
  const text = '# check=skip=MaintainerDeprecated\nFROM a\nMAINTAINER b\n';
  assert.deepEqual(lint(text).rules, []);
  assert.deepEqual(lint(text, 'skip=StageNameCasing').rules, ['MaintainerDeprecated']);
});

test('error=true turns a warning into a failure that names the rule once', () => {
  const text = '# check=error=true\nFROM a\nMAINTAINER b\nMAINTAINER c\n';
  assert.equal(lint(text).error, 'lint violation found for rules: MaintainerDeprecated');
  assert.equal(lint('# check=error=true\nFROM a\n').error, undefined);
});

test('a check comment above an instruction silences rules there and nowhere else', () => {
  const text = [
    'FROM a',
    '# check=skip=MaintainerDeprecated',
    'MAINTAINER b',
    '# check=skip=all;error=true',
    'MAINTAINER c',
    'MAINTAINER d',
  ].join('\n');
  assert.deepEqual(lint(text), { rules: ['MaintainerDeprecated'], error: undefined });
});

test('an experimental rule reports only where it is asked for', () => {
  const text = '# a stage\nFROM a AS build\n';
  assert.deepEqual(lint(text).rules, []);
  const asked = `# check=experimental=InvalidDefinitionDescription\n${text}`;
  assert.deepEqual(lint(asked).rules, ['InvalidDefinitionDescription']);
  assert.deepEqual(lint(`# check=experimental=all;skip=all\n${text}`).rules, [
    'InvalidDefinitionDescription',
  ]);
});

test('warnings are reported although a later instruction is wrong', () => {
  const text = 'FROM a AS Build\nMAINTAINER b\nCOPY c\n';
  assert.deepEqual(lint(text).rules, ['StageNameCasing', 'MaintainerDeprecated']);
});

test('names of rules become the pages that explain them', () => {
  assert.deepEqual(
    ['JSONArgsRecommended', 'SecretsUsedInArgOrEnv', 'FromAsCasing'].map(
      (name) => RULES.find((known) => known.name === name)?.url,
    ),
    ['json-args-recommended', 'secrets-used-in-arg-or-env', 'from-as-casing'].map(
      (page) => `https://docs.docker.com/go/dockerfile/rule/${page}/`,
    ),
  );
  assert.equal(rule('InvalidBaseImagePlatform').url, '');
});

test('names that say "secret" are told from those that only hold such a word', () => {
  const names = [
    'API_TOKEN',
    'apikey',
    'MY_key_ID',
    'MONKEY',
    'TOKEN_FILE',
    'PUBLIC_KEY',
    'AUTHOR',
  ];
  assert.deepEqual(names.filter(isSecretName), ['API_TOKEN', 'apikey', 'MY_key_ID']);
});
