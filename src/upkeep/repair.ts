import { mkdirSync, renameSync } from 'node:fs';
import { basename, join } from 'node:path';
import { type Digest, isErrno, type Result } from '../base/index.ts';
import type { LayerId } from '../ports/index.ts';
import type { UpkeepDeps } from './deps.ts';
import { quarantineFor } from './package-dirs.ts';
import { trimming } from './remove.ts';
import type { Problem } from './verify.ts';

/** What was done about a problem. */
export interface Repair {
  readonly problem: Problem;
  /** `left`: nothing, and why. */
  readonly done: 'fetched again' | 'moved aside' | 'written again' | 'forgotten' | 'left';
  readonly note: string;
}

/** How a store is repaired. */
export interface RepairOptions {
  readonly signal: AbortSignal;
  /** Brings a blob back from where it came; the first failure tells why it cannot. */
  readonly fetchAgain: (digest: Digest) => Promise<Result<unknown> | undefined>;
}

/**
 * Repairs what a verification found: a damaged file is moved to a quarantine and, where a remote is known that has it,
 * fetched again; what can be told from elsewhere is written again. Nothing is deleted, and what a running build works with is
 * left to it.
 */
export async function repairStore(
  deps: UpkeepDeps,
  problems: readonly Problem[],
  options: RepairOptions,
): Promise<readonly Repair[]> {
  const done = await trimming(deps, { signal: options.signal, wait: true }, async () => {
    const repairs: Repair[] = [];
    for (const problem of problems) {
      options.signal.throwIfAborted();
      repairs.push({ problem, ...(await repair(deps, problem, options)) });
    }
    return repairs;
  });
  return done ?? [];
}

type Done = Omit<Repair, 'problem'>;

async function repair(deps: UpkeepDeps, problem: Problem, options: RepairOptions): Promise<Done> {
  const held = deps.db.held().resources.get(problem.id);
  if (held !== undefined) return { done: 'left', note: `${held} is at work with it` };
  switch (problem.what) {
    case 'blob':
      return await repairBlob(deps, problem, options);
    case 'image':
      return problem.digest === undefined
        ? { done: 'left', note: 'it is not known what is missing' }
        : await fetched(problem.digest, options, { done: 'left', note: 'pull or build it again' });
    case 'layer':
      return await quarantineLayer(deps, problem);
    case 'layer-memo':
    case 'layer-image':
    case 'package':
    case 'git':
    case 'context':
      return problem.path !== undefined && moveAside(deps, problem.path)
        ? { done: 'moved aside', note: AGAIN[problem.what] }
        : { done: 'left', note: 'it is gone' };
    case 'names':
      deps.names.save(deps.images.list());
      return { done: 'written again', note: 'from the database' };
    case 'record':
      return deps.db.removeBrokenResults() > 0
        ? { done: 'forgotten', note: 'the step runs again when it is needed' }
        : { done: 'forgotten', note: 'with another one' };
    case 'database':
      return {
        done: 'left',
        note: 'the next command that meets the damage moves the database aside and rebuilds it',
      };
  }
}

const AGAIN = {
  'layer-memo': 'the digests are found out again',
  'layer-image': 'it is made again when the layer is mounted',
  git: 'it is fetched again when it is needed',
  package: 'it is fetched again when it is needed',
  context: 'the files are read again',
} as const;

async function repairBlob(
  deps: UpkeepDeps,
  { digest, text }: Problem,
  options: RepairOptions,
): Promise<Done> {
  if (digest === undefined) throw new Error('a damaged blob without a digest');
  await deps.content.quarantine(digest, text);
  return await fetched(digest, options, {
    done: 'moved aside',
    note: 'it is fetched or made again when it is needed',
  });
}

async function fetched(digest: Digest, options: RepairOptions, otherwise: Done): Promise<Done> {
  const again = await options.fetchAgain(digest);
  if (again === undefined) return otherwise;
  return again.ok
    ? { done: 'fetched again', note: '' }
    : { ...otherwise, note: `${otherwise.note}; fetching it failed: ${again.error.message}` };
}

/** The results that need the layer are forgotten first, unless another form of it is here or elsewhere. */
async function quarantineLayer(deps: UpkeepDeps, problem: Problem): Promise<Done> {
  const row = deps.db.layers().find((layer) => layer.id === problem.layer);
  let replaceable = row?.origin !== undefined;
  for (const { digest } of row?.blobs ?? [])
    replaceable ||= (await deps.content.size(digest)) !== undefined;
  const at = deps.clock.now();
  const done = deps.db.exclusively((held) => {
    if (held.resources.has(problem.id)) return false;
    const resource = problem.id;
    const rule = `it was damaged: ${problem.text}`;
    if (problem.layer !== undefined && !replaceable)
      // Brand: problems are made of the database's layer ids.
      deps.db.evict([{ resource, rule, at, layers: [problem.layer as LayerId] }]);
    return problem.path !== undefined && moveAside(deps, problem.path);
  });
  if (!done) return { done: 'left', note: 'it is gone, or a build works with it' };
  const note = replaceable ? 'it is extracted again when it is needed' : 'its step runs again';
  return { done: 'moved aside', note };
}

/** Moves a file or directory to `quarantine/` of the store; false when it is gone. */
function moveAside(deps: UpkeepDeps, path: string): boolean {
  const dir = quarantineFor(deps.paths, path);
  mkdirSync(dir, { recursive: true, mode: 0o700 });
  const stamp = Math.floor(deps.clock.now()).toString(36);
  try {
    renameSync(path, join(dir, `${basename(path)}-${stamp}`));
    return true;
  } catch (e) {
    if (!isErrno(e, 'ENOENT')) throw e;
    return false;
  }
}
