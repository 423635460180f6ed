import assert from 'node:assert/strict';
import { chmodSync, rmSync, utimesSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { parseJson } from '../../src/base/index.ts';
import { CAUSE_PROJECTS, type CauseProject, type Edit } from '../rig/cause-projects.ts';
import { note } from '../rig/golden.ts';
import { varveHere } from '../rig/in-process.ts';
import { needsSteps, Rig } from '../rig/rig.ts';

/** What an edit led to. */
interface Outcome {
  readonly cause: readonly [kind: string, name: string] | undefined;
  readonly runs: number;
  readonly planned: readonly string[];
  readonly executed: readonly string[];
}

const AS_IT_WAS: Edit = { what: 'as it was', runs: 0 };

async function json(rig: Rig, args: readonly string[]): Promise<unknown> {
  const run = await varveHere(rig, rig.work, args);
  assert.equal(run.status, 0, `varve ${args.join(' ')}: ${run.stderr}`);
  const parsed = parseJson(run.stdout);
  assert.ok(parsed.ok, run.stdout);
  return parsed.value;
}

async function succeed(rig: Rig, args: readonly string[]): Promise<void> {
  const run = await varveHere(rig, rig.work, args);
  assert.equal(run.status, 0, `varve ${args.join(' ')}: ${run.stderr}`);
}

async function apply(rig: Rig, project: CauseProject, edit: Edit): Promise<void> {
  const { files } = project;
  for (const [path, text] of Object.entries({ ...files, ...edit.files })) {
    if (text === undefined) {
      rmSync(join(rig.work, 'app', path));
      continue;
    }
    rig.write(join('app', path), text);
    chmodSync(join(rig.work, 'app', path), 0o644);
  }
  if (edit.dockerfile !== undefined) {
    const [from, to] = edit.dockerfile;
    const text = files['Dockerfile'] ?? '';
    assert.ok(text.includes(from), `the Dockerfile lacks "${from}"`);
    rig.write('app/Dockerfile', text.replace(from, to));
  }
  const day = new Date('2001-02-03');
  if (edit.touch !== undefined) utimesSync(join(rig.work, 'app', edit.touch), day, day);
  const base = edit.base ?? project.base;
  if (base !== undefined) {
    rig.context('base', { Dockerfile: 'FROM scratch\nCOPY v /v\n', v: base });
    await succeed(rig, ['build', '-q', '-t', 'base:1', 'base']);
  }
  if (edit.evict === true) await succeed(rig, ['cache', 'prune', '--all', '--force']);
  if (edit.mode !== undefined) chmodSync(join(rig.work, 'app', edit.mode[0]), edit.mode[1]);
}

/** Undoes an edit: what it added is removed, the rest is as it was. */
async function undo(rig: Rig, project: CauseProject, edit: Edit): Promise<void> {
  for (const path of Object.keys(edit.files ?? {}))
    rmSync(join(rig.work, 'app', path), { force: true });
  await apply(rig, project, AS_IT_WAS);
}

async function build(rig: Rig, project: CauseProject, edit: Edit): Promise<Outcome> {
  const args = [...(project.args ?? []), ...(edit.args ?? []), 'app'];
  // The shape of --plan --json.
  const plan = (await json(rig, ['build', '--plan', '--json', '--progress=quiet', ...args])) as {
    readonly steps: readonly {
      readonly name: string;
      readonly state: string;
      readonly certain: boolean;
    }[];
  };
  const run = await varveHere(rig, rig.work, ['build', '-q', ...args]);
  assert.equal(run.status, 0, `${project.name}, ${edit.what}: ${run.stderr}`);
  // The shape of why --json.
  const why = (await json(rig, ['why', '--json'])) as {
    readonly causes: readonly {
      readonly cause: {
        readonly changes: readonly { readonly kind: string; readonly name: string }[];
      };
      readonly steps: readonly { readonly name: string }[];
    }[];
  };
  const executed = why.causes.flatMap(({ steps }) => steps.map(({ name }) => name)).sort();
  // Of several causes that of the first step.
  const own = executed.filter((name) => !name.startsWith('[internal]'));
  const top = plan.steps.find(({ name }) => own.includes(name))?.name;
  const first = why.causes.find(({ steps }) => steps.some(({ name }) => name === top))?.cause
    .changes[0];
  return {
    // With `*` the step named is the longest of many that are alike.
    cause:
      first === undefined ? undefined : [first.kind, edit.cause?.[1] === '*' ? '*' : first.name],
    runs: executed.length,
    // A step that is found after all when what is above it comes out the same is planned as uncertain.
    planned: plan.steps
      .filter(({ state, certain, name }) => state === 'run' && (certain || executed.includes(name)))
      .map(({ name }) => name)
      .sort(),
    executed,
  };
}

describe('the cause of every rebuild', { skip: needsSteps }, () => {
  let edits = 0;
  for (const project of CAUSE_PROJECTS) {
    test(`${project.name}: each edit is named, and planned as it then runs`, async () => {
      await using rig = new Rig();
      rig.context('app', {});
      await apply(rig, project, AS_IT_WAS);
      await build(rig, project, AS_IT_WAS);
      const seen: Record<string, unknown> = {};
      const expected: Record<string, unknown> = {};
      for (const edit of project.edits) {
        edits++;
        await apply(rig, project, edit);
        const { cause, runs, planned, executed } = await build(rig, project, edit);
        seen[edit.what] = { cause, runs, planned };
        expected[edit.what] = { cause: edit.cause, runs: edit.runs, planned: executed };
        await undo(rig, project, edit);
      }
      assert.deepEqual(seen, expected);
    });
  }

  test('what was evicted is named with the rule that evicted it', async () => {
    await using rig = new Rig();
    rig.context('app', { Dockerfile: 'FROM scratch\nCOPY a /a\nCOPY b /b\n', a: 'a', b: 'b' });
    for (const args of [
      ['build', '-q', 'app'],
      ['cache', 'prune', '--all', '--force'],
      ['build', '-q', 'app'],
    ]) {
      const run = await rig.varve(args);
      assert.equal(run.status, 0, run.stderr);
    }
    const why = await rig.varve(['why']);
    const lasting = why.stdout
      .replace(/\(build [0-9a-f]+\)/, '(build B)')
      .replaceAll(/\d{4}-\d\d-\d\d \d\d:\d\d UTC, .*/g, 'WHEN, RULE')
      .replaceAll(/\d+\.\d+s/g, 'T');
    assert.equal(
      lasting,
      `app: 2 steps ran, 0 cached (build B)

it was built before, but its layers are no longer in the store: evicted WHEN, RULE
    evicted   [1/2] COPY a /a   new: WHEN, RULE
  so these 2 steps ran (T):
    T   [1/2] COPY a /a
    T   [2/2] COPY b /b
`,
    );
  });

  test('at least 120 edits are tried', () => {
    const { length } = CAUSE_PROJECTS;
    const kinds = Object.entries(
      Object.groupBy(
        CAUSE_PROJECTS.flatMap((project) => project.edits),
        ({ cause }) => cause?.[0] ?? 'nothing runs',
      ),
    ).map(([kind, some = []]) => `${kind} ${some.length}`);
    note(
      `${edits} of ${edits} edits in ${length} projects: cause named, and run as planned (${kinds.join(', ')})`,
    );
    assert.ok(edits >= 120, `${edits} edits`);
  });
});
