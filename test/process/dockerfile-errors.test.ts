import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { GOLDEN, goldenJson, goldenNames, needsGolden, note } from '../rig/golden.ts';
import { varveHere } from '../rig/in-process.ts';
import { Rig } from '../rig/rig.ts';

interface Case {
  readonly name: string;
  readonly dockerfile: string | Buffer;
  readonly options: Readonly<Record<string, string>>;
  /** BuildKit's text. */
  readonly text: string;
  /** First lines of what BuildKit points at. */
  readonly lines: readonly number[];
}

interface Golden {
  readonly error: {
    readonly text: string;
    readonly locations?: readonly (readonly (readonly [number, number])[])[];
  } | null;
}

/** Base images that the cases are built on. */
async function makeBases(rig: Rig): Promise<void> {
  rig.write('base/Dockerfile', 'FROM scratch\nENV PATH=/bin\n');
  for (const name of ['a', 'b']) {
    const run = await varveHere(rig, rig.work, ['build', '--progress=quiet', '-t', name, 'base']);
    assert.deepEqual(run, { status: 0, stdout: '', stderr: '' });
  }
}

function argumentsOf(options: Case['options']): readonly string[] {
  return Object.entries(options).flatMap(([key, value]) => {
    const [kind = '', name] = key.split(/:(.*)/s, 2);
    return name === undefined ? [`--${kind}`, value] : [`--${kind}`, `${name}=${value}`];
  });
}

/** Where BuildKit names the line before the one that is too long. */
const LINES_OF_OUR_OWN: Readonly<Record<string, readonly number[]>> = {
  '091-err-long-line-arg': [2],
};

/** What is wrong with the output of one case; empty when nothing is. */
async function problemsOf(rig: Rig, each: Case): Promise<readonly string[]> {
  const { name, dockerfile, options, text } = each;
  const lines = LINES_OF_OUR_OWN[name] ?? each.lines;
  rig.write(`${name}/Dockerfile`, dockerfile);
  const cwd = join(rig.work, name);
  const args = ['build', '--progress=quiet', ...argumentsOf(options), '.'];
  const { status, stdout, stderr } = await varveHere(rig, cwd, args);
  const [first = ''] = stderr.split('\n');
  const shown = (line: number): boolean =>
    new RegExp(`^ *--> Dockerfile:${line}:\\d+$`, 'm').test(stderr);
  return [
    ...(status === 2 ? [] : [`exit code ${status}`]),
    ...(stdout === '' ? [] : [`standard output ${stdout}`]),
    ...(/^error\[[A-Z]{2}\d{3}\]: /.test(first) && first.includes(text)
      ? []
      : [`"${first}", want "${text}"`]),
    ...lines.flatMap((line) => (shown(line) ? [] : [`no excerpt of line ${line}:\n${stderr}`])),
  ].map((problem) => `${name}: ${problem}`);
}

async function check(cases: readonly Case[]): Promise<void> {
  await using rig = new Rig();
  await makeBases(rig);
  const problems: string[] = [];
  const failed = new Set<string>();
  for (const each of cases) {
    const found = await problemsOf(rig, each);
    problems.push(...found);
    if (found.length > 0) failed.add(each.name);
  }
  note(`Dockerfile errors: ${cases.length - failed.size} of ${cases.length} as BuildKit says them`);
  assert.deepEqual(problems, []);
}

test('errors of the parser, of a flag, of a stage and of the request are found', async () => {
  const none = {};
  const big = `FROM a\nRUN ${'x'.repeat(70_000)}\n`;
  await check([
    {
      name: 'instruction',
      dockerfile: 'FROM a\nRUNN x\n',
      options: none,
      text: 'dockerfile parse error on line 2: unknown instruction: RUNN (did you mean RUN?)',
      lines: [2],
    },
    {
      name: 'flag',
      dockerfile: 'FROM a\n\nCOPY --frm=b x y\n',
      options: none,
      text: 'dockerfile parse error on line 3: unknown flag: --frm (did you mean from?)',
      lines: [3],
    },
    {
      name: 'circle',
      dockerfile: 'FROM a AS x\nCOPY --from=y . .\nFROM b AS y\nCOPY --from=x . .\n',
      options: none,
      text: 'circular dependency detected on stage: x',
      lines: [2, 4],
    },
    {
      name: 'target',
      dockerfile: 'FROM a AS one\n',
      options: { target: 'onee' },
      text: 'target stage "onee" could not be found (did you mean one?)',
      lines: [],
    },
    {
      name: 'long',
      dockerfile: big,
      options: none,
      text: 'dockerfile line greater than max allowed size of 65535',
      lines: [2],
    },
  ]);
});

test(
  'every error of the golden corpus is that of BuildKit, with its place, and exits with 2',
  needsGolden,
  async () => {
    const folder = 'corpus-features';
    const cases = goldenNames(folder).flatMap((name): Case[] => {
      const path = `${folder}/${name}`;
      const file = (inner: string): string => join(GOLDEN ?? '', path, inner);
      if (!existsSync(file('golden.json'))) return [];
      const { error } = goldenJson<Golden>(`${path}/golden.json`);
      if (error === null) return [];
      const options = existsSync(file('opts.json'))
        ? goldenJson<Case['options']>(`${path}/opts.json`)
        : {};
      const lines = (error.locations ?? []).flatMap(([range]) =>
        range === undefined ? [] : [range[0]],
      );
      return [
        { name, dockerfile: readFileSync(file('Dockerfile')), options, text: error.text, lines },
      ];
    });
    assert.ok(cases.length > 30, `only ${cases.length} cases`);
    await check(cases);
  },
);
