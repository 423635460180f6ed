/**
 * The main job on real input: composes a Debian base with Python from verified packages, builds the sample service of
 * examples/, edits one source file, builds again, and prints what was cached and what each step cost. Everything it makes
 * is under .demo/ and can be deleted; a second run finds the first one's cache there.
 */
import { spawnSync } from 'node:child_process';
import { appendFileSync, cpSync, mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';

const repo = join(import.meta.dirname, '..');
const work = join(repo, '.demo');
const service = join(work, 'service');
const env = { ...process.env, VARVE_ROOT: join(work, 'store') };

interface Step {
  readonly name: string;
  readonly state: string;
  readonly startedAt?: number;
  readonly completedAt?: number;
  readonly decision?: { readonly reason: string };
}

function varve(args: readonly string[], output: 'inherit' | 'pipe'): string {
  const run = spawnSync(join(repo, 'bin/varve'), args, {
    cwd: service,
    env,
    encoding: 'utf8',
    stdio: ['ignore', output, 'inherit'],
  });
  if (run.status !== 0) process.exit(run.status ?? 1);
  return run.stdout;
}

function build(title: string): readonly Step[] {
  console.log(`\n== ${title}\n$ varve build --build-context base=template:base.yml -t sample .\n`);
  varve(['build', '--build-context', 'base=template:base.yml', '-t', 'sample', '.'], 'inherit');
  // The program's own JSON, read back by its own script.
  const shown = JSON.parse(varve(['history', 'show', '--json'], 'pipe')) as {
    readonly steps: readonly Step[];
  };
  return shown.steps;
}

/** Work of the builder itself: reading the Dockerfile, finding the base, exporting. */
function internal(step: Step): boolean {
  return (
    step.name.startsWith('[internal]') ||
    step.name.startsWith('exporting') ||
    (step.name.startsWith('[context') && step.decision?.reason === undefined)
  );
}

function table(title: string, steps: readonly Step[], reasons: 'with reasons' | 'plain'): void {
  console.log(`\n${title}`);
  for (const step of steps) {
    if (internal(step)) continue;
    const took = ((step.completedAt ?? 0) - (step.startedAt ?? 0)) / 1000;
    const state = step.state === 'cached' ? 'CACHED' : `${took.toFixed(2)} s`;
    const name = step.name.length > 76 ? `${step.name.slice(0, 75)}…` : step.name;
    console.log(`  ${state.padStart(8)}  ${name.replaceAll('\n', ' ')}`);
    if (reasons === 'with reasons' && step.state !== 'cached' && step.decision !== undefined)
      console.log(`            because ${step.decision.reason}`);
  }
}

rmSync(service, { recursive: true, force: true });
mkdirSync(work, { recursive: true });
cpSync(join(repo, 'examples/service'), service, { recursive: true });
const first = build('first build');
appendFileSync(join(service, 'app/server.py'), `\n# edited ${new Date().toISOString()}\n`);
const second = build('one source file edited: app/server.py');
table('First build, step by step:', first, 'plain');
table('After the edit:', second, 'with reasons');
const cached = second.filter((s) => s.state === 'cached').length;
console.log(
  `\n${cached} of ${second.filter((s) => !internal(s)).length} steps came from the cache. The image: `,
);
varve(['image', 'layers', 'sample'], 'inherit');
