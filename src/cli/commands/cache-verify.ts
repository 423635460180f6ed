import { type Digest, failure, type GoJson, type Result } from '../../base/index.ts';
import { internalVertex } from '../../build/index.ts';
import { createBlobFetcher, createImageResolver } from '../../ops/index.ts';
import {
  type Problem,
  type Repair,
  repairStore,
  type UpkeepDeps,
  type Verified,
  verifyStore,
} from '../../upkeep/index.ts';
import { createBuildDeps } from '../build-world.ts';
import { fail, type Io, printJson, table } from '../io.ts';
import { formatBytes, neutralise } from '../progress/text.ts';
import type { Store } from '../store.ts';
import { withUpkeep } from '../upkeep-world.ts';

type Options = Readonly<Record<string, unknown>>;

/** `varve cache verify`: compares everything in the store with what is promised of it, and repairs it with `--repair`. */
export function cacheVerify(io: Io, options: Options): Promise<number> {
  return withUpkeep(io, { values: options }, async (deps, store) => {
    const shown = progress(io);
    const verified = await verifyStore(deps, { signal: io.signal, onProgress: shown.update });
    shown.end();
    const repairs =
      options['repair'] === true && verified.problems.length > 0
        ? await repairAll(io, { deps, store }, verified.problems)
        : verified.problems.map((problem): Repair => ({ problem, done: 'left', note: '' }));
    const left = repairs.filter((repair) => repair.done === 'left');
    if (options['json'] === true) printJson(io, resultJson(verified, repairs));
    else io.out(resultText(verified, repairs));
    if (left.length === 0) return 0;
    const help =
      options['repair'] === true
        ? 'see docs/errors/ST043.md for what is left to do'
        : 'varve cache verify --repair moves damaged files aside and fetches again what a registry has';
    const count = left.length === 1 ? '1 thing is' : `${left.length} things are`;
    return fail(io, failure('ST043', 3, `${count} not what they should be`, { help }));
  });
}

async function repairAll(
  io: Io,
  { deps, store }: { readonly deps: UpkeepDeps; readonly store: Store },
  problems: readonly Problem[],
): Promise<readonly Repair[]> {
  await using resources = new AsyncDisposableStack();
  const world = createBuildDeps(io, store, resources, () => undefined);
  const fetchBlob = createBlobFetcher(world);
  const images = createImageResolver(world);
  const fetchAgain = async (digest: Digest): Promise<Result<unknown> | undefined> => {
    const row = deps.db.layers().find((l) => l.blobs.some((b) => b.digest === digest));
    const blob = row?.blobs.find((b) => b.digest === digest);
    if (row?.origin !== undefined && blob !== undefined)
      return await internalVertex(
        { ...world },
        `fetching ${digest}`,
        async ({ op }) =>
          await fetchBlob({ ...row, blob }, { signal: io.signal, emit: world.emit, vertex: op }),
      );
    const named = deps.images.list().find((image) => image.target.digest === digest);
    if (named === undefined) return undefined;
    const platform = world.buildPlatform;
    return await images.image(`${named.name.split('@')[0] ?? ''}@${digest}`, {
      ...{ platform, signal: io.signal, mode: 'registry' },
    });
  };
  return await repairStore(deps, problems, { signal: io.signal, fetchAgain });
}

/** One line on a terminal, at most ten times a second; nothing elsewhere. */
function progress(io: Io): {
  readonly update: (done: { readonly count: number; readonly bytes: number }) => void;
  readonly end: () => void;
} {
  let last = 0;
  return {
    update: ({ count, bytes }) => {
      const now = io.clock.now();
      if (!io.terminal.isTTY || now - last < 100) return;
      last = now;
      io.terminal.write(`\r\x1b[Kverified ${count} things, ${formatBytes(bytes)}`);
    },
    end: () => {
      if (io.terminal.isTTY && last > 0) io.terminal.write('\r\x1b[K');
    },
  };
}

function resultText(verified: Verified, repairs: readonly Repair[]): string {
  const rows = repairs.map(({ problem, done, note }) => [
    problem.what,
    problem.id,
    neutralise(problem.text),
    [done === 'left' && note === '' ? '' : done, note].filter((part) => part !== '').join(': '),
  ]);
  const list = rows.length === 0 ? '' : `${table([['WHAT', 'ENTRY', 'FOUND', 'DONE'], ...rows])}\n`;
  const sums = Object.entries(verified.checked)
    .map(
      ([kind, { count, bytes }]) =>
        `${count} ${kind}${bytes > 0 ? ` (${formatBytes(bytes)})` : ''}`,
    )
    .join(', ');
  const recorded =
    verified.recorded === 0
      ? ''
      : `digests of ${verified.recorded} files of layers were not known: they are remembered from now on\n`;
  const unchecked =
    verified.unchecked === 0
      ? ''
      : `not compared: ${verified.unchecked} large files of packed layers, whose digests are not kept\n`;
  const found = verified.problems.length;
  return `${list}verified ${sums}: ${found} problem${found === 1 ? '' : 's'}\n${recorded}${unchecked}`;
}

function resultJson(verified: Verified, repairs: readonly Repair[]): GoJson {
  return {
    checked: Object.fromEntries(
      Object.entries(verified.checked).map(([kind, sum]) => [kind, { ...sum }]),
    ),
    recorded: verified.recorded,
    unchecked: verified.unchecked,
    problems: repairs.map(({ problem, done, note }) => ({
      what: problem.what,
      id: problem.id,
      path: problem.path,
      text: problem.text,
      done,
      note,
    })),
  };
}
