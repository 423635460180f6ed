import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { parseJson } from '../../src/base/index.ts';
import { varveHere } from './in-process.ts';
import { BUSYBOX, type Rig, statesOf } from './rig.ts';

/** An entry as `varve cache ls --json` prints it, as far as tests look at it. */
export interface ListedEntry {
  readonly id: string;
  readonly kind: string;
  readonly label: string;
  readonly bytes: number;
  readonly uses: number;
  readonly madeBy: { readonly build?: string; readonly step?: string; readonly from?: string };
  readonly usedBy: readonly string[];
  readonly holds: readonly { readonly by: string; readonly text: string }[];
  readonly parents: readonly string[];
  readonly twins: readonly string[];
  readonly cost: { readonly ms: number; readonly bytes: number };
  readonly lastCost: { readonly ms: number; readonly bytes: number };
  readonly paths: readonly string[];
}

/** A Dockerfile with a slow small step behind a quick large one, each in a stage of its own. */
export const TWO_STAGES = `${BUSYBOX.replace('scratch', 'scratch AS tool')}
FROM tool AS large
RUN busybox dd if=/dev/urandom of=/large bs=1024 count=4000
FROM tool AS slow
RUN busybox sleep 0.7; echo slow > /slow
FROM scratch
COPY --from=large /large /large
COPY --from=slow /slow /slow
`;

/** Runs `varve cache …`, which must end with `status`; returns what it printed. */
export async function cache(
  rig: Rig,
  args: readonly string[],
  options: { readonly status?: number; readonly env?: Readonly<Record<string, string>> } = {},
): Promise<string> {
  const { env = {}, status = 0 } = options;
  const run = await varveHere(rig, rig.work, ['cache', ...args], env);
  assert.equal(run.status, status, run.stderr);
  return run.stdout;
}

/** The entries that match the filters. */
export async function entries(
  rig: Rig,
  ...filters: readonly string[]
): Promise<readonly ListedEntry[]> {
  const out = await cache(rig, ['ls', '--json', ...filters.flatMap((f) => ['--filter', f])]);
  return jsonLines(out) as readonly ListedEntry[];
}

/** Values of JSON lines. */
export function jsonLines(text: string): readonly unknown[] {
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => {
      const parsed = parseJson(line);
      assert.ok(parsed.ok, line);
      return parsed.value;
    });
}

/** Builds the context `app`; returns the state of each step and what was said. */
export async function build(
  rig: Rig,
  args: readonly string[] = [],
  env: Readonly<Record<string, string>> = {},
): Promise<{ readonly steps: Readonly<Record<string, string>>; readonly stderr: string }> {
  const run = await varveHere(rig, rig.work, ['build', '--progress=rawjson', ...args, 'app'], env);
  assert.equal(run.status, 0, run.stderr);
  return { steps: statesOf(run.stderr), stderr: run.stderr };
}

/** Disk space of a directory as du counts it. */
export function du(dir: string): number {
  const run = spawnSync('du', ['-s', '--block-size=1', dir], { encoding: 'utf8' });
  assert.equal(run.status, 0, run.stderr);
  return Number(run.stdout.split('\t')[0]);
}
