import type { Result } from '../base/index.ts';
import type { BuildDeps } from '../build/index.ts';
import { buildRequest, Options } from './build-request.ts';
import { createBuildDeps } from './build-world.ts';
import { fail, type Io } from './io.ts';
import { createDisplay, type ProgressMode } from './progress/display.ts';
import { openStore, type Store } from './store.ts';

/** What a command that moves a cache works with. */
export interface CacheWorld {
  readonly options: Options;
  readonly deps: BuildDeps;
  readonly store: Store;
  /** The build that the arguments name. */
  readonly request: (context: string) => ReturnType<typeof buildRequest>;
}

/** Opens the store, shows progress while `work` lasts, and prints the failure or what `report` says. */
export async function withCacheWorld<T>(
  io: Io,
  values: Readonly<Record<string, unknown>>,
  work: (world: CacheWorld) => Promise<Result<T>>,
  report: (value: T) => number,
): Promise<number> {
  const options = new Options(values);
  await using resources = new AsyncDisposableStack();
  const opened = openStore(io);
  if (!opened.ok) return fail(io, opened.error);
  const store = resources.use(opened.value);
  const mode = MODES.find((each) => each === options.text('progress')) ?? 'auto';
  const display = createDisplay(mode, io.terminal, () => io.clock.now());
  const deps = createBuildDeps(io, store, resources, display.accept);
  let done: Result<T>;
  // Rows and blobs that it makes before anything leads to them are nobody's to remove.
  await using _lease = deps.leases.open('a cache on its way');
  try {
    const request = (context: string): ReturnType<typeof buildRequest> =>
      buildRequest(io, context, options, { root: store.root, resources });
    done = await work({ options, deps, store, request });
  } finally {
    display.end();
    await deps.tidy();
  }
  return done.ok ? report(done.value) : fail(io, done.error);
}

const MODES: readonly ProgressMode[] = ['auto', 'tty', 'plain', 'rawjson', 'quiet'];
