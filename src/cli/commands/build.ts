import { writeFileSync } from 'node:fs';
import { resolve } from 'node:path';
import {
  coveredFailure,
  err,
  failure,
  isErrno,
  ok,
  type Result,
  terminalJson,
} from '../../base/index.ts';
import {
  type BuildDeps,
  type BuildEdge,
  type BuildOutcome,
  type BuildRequest,
  buildImage,
  type PlannedStep,
  planBuild,
} from '../../build/index.ts';
import type { Event, EventSink } from '../../events/index.ts';
import { withRuntime } from '../bounded-run.ts';
import { buildRequest, Options } from '../build-request.ts';
import { withTimeout } from '../build-timeout.ts';
import { createBuildDeps } from '../build-world.ts';
import { progressMode } from '../command-log.ts';
import { loadDocker } from '../docker-load.ts';
import { type CallFlag, callFlag } from '../flags/call.ts';
import { positive } from '../flags/limits.ts';
import { fail, type Io, printJson } from '../io.ts';
import type { GivenTemplates } from '../lazy-packages.ts';
import { planJson, planText } from '../plan-text.ts';
import { createDisplay, type Display } from '../progress/display.ts';
import { sparing } from '../progress/sparing.ts';
import { openStore, type Store } from '../store.ts';
import { runCall } from './build-call.ts';

/** `varve build`. */
export async function buildCommand(
  given: Io,
  context: string | undefined,
  values: Readonly<Record<string, unknown>>,
): Promise<number> {
  const options = new Options(values);
  const io = withRuntime(given, options.text('runtime'));
  await using resources = new AsyncDisposableStack();
  const opened = openStore(io);
  if (!opened.ok) return fail(io, opened.error);
  const store = resources.use(opened.value);
  const request = await buildRequest(io, context, options, { root: store.root, resources });
  if (!request.ok) return fail(io, request.error);
  return await runBuild(io, store, { request: request.value, options, resources });
}

type TakeResults = NonNullable<BuildEdge['take']>;

/** A request and what it was made of. */
export interface Work {
  readonly request: BuildRequest;
  readonly options: Options;
  readonly resources: AsyncDisposableStack;
  /** Templates that are no files. */
  readonly templates?: GivenTemplates;
  /** Takes the results besides the outputs. */
  readonly take?: (
    results: Parameters<TakeResults>[0],
    work: {
      readonly deps: BuildDeps;
      readonly outputs: Parameters<TakeResults>[1];
      readonly signal: AbortSignal;
    },
  ) => Promise<Result<void>>;
}

/** Runs a request with its display, and reports what came of it. */
export async function runBuild(io: Io, store: Store, work: Work): Promise<number> {
  const { request, options } = work;
  const mode = progressMode(io, options);
  const display = createDisplay(mode, io.terminal, () => io.clock.now());
  const { log } = io;
  const shown: EventSink = (event) => {
    display.accept(event);
    log?.(event);
  };
  const emit = options.is('json') ? jsonEvents(io, shown) : shown;
  const deps = createBuildDeps(io, store, work.resources, emit, work.templates);
  if (options.is('plan')) return await showPlan(io, request, options, { deps, display });
  const call = callOf(options);
  if (!call.ok) return fail(io, call.error);
  if (call.value !== undefined)
    return await runCall(io, { flag: call.value, request, deps, display });
  const seconds = positive('--timeout', options.text('timeout'));
  if (!seconds.ok) return fail(io, seconds.error);
  let done: Result<BuildOutcome>;
  const executed = new Set<string>();
  const watching: EventSink = (event) => {
    if (event.type === 'decision' && event.decision.outcome !== 'hit') executed.add(event.vertex);
    emit(event);
  };
  const watched = { ...deps, emit: watching };
  const { take } = work;
  try {
    done = await withTimeout(
      async (signal) =>
        await buildImage(wantingImage(request, options), watched, {
          ...edgeOf(io, signal),
          ...(take === undefined
            ? {}
            : {
                take: async (results, outputs) =>
                  await take(results, { deps: watched, outputs, signal }),
              }),
        }),
      { seconds: seconds.value, signal: io.signal, late: () => io.stopped() },
    );
  } finally {
    display.end();
    if (executed.size > 0) await deps.tidy();
  }
  if (executed.size > 0) {
    const { trimAfterBuild } = await import('../trim-after-build.ts');
    await trimAfterBuild(io, store);
  }
  if (!done.ok) return fail(io, done.error);
  return report(io, display, done.value, options);
}

/** What is asked instead of a build; `--check` is short for `--call=check`, and `--json` for its format. */
function callOf(options: Options): Result<CallFlag | undefined> {
  const flag = callFlag(options.is('check') ? 'check' : (options.text('call') ?? ''));
  if (!flag.ok || flag.value === undefined) return flag;
  return ok({ ...flag.value, json: flag.value.json || options.is('json') });
}

/** `--plan`. */
async function showPlan(
  io: Io,
  request: BuildRequest,
  options: Options,
  { deps, display }: { readonly deps: BuildDeps; readonly display: Display },
): Promise<number> {
  let steps: Result<readonly PlannedStep[]>;
  try {
    // One value on standard output: no events between.
    steps = await planBuild(request, { ...deps, emit: display.accept }, io.signal);
  } finally {
    display.end();
  }
  if (!steps.ok) return fail(io, steps.error);
  if (options.is('json')) printJson(io, planJson(steps.value));
  else io.out(planText(steps.value));
  return 0;
}

/** What an event has that is printed otherwise than it is held. */
function printed(event: Event): object {
  if (event.type === 'log') return { data: Buffer.from(event.data).toString('utf8') };
  if (event.type !== 'build-finished' || event.failure === undefined) return {};
  return { failure: coveredFailure(event.failure) };
}

/** Every event as a line of JSON on standard output, besides the display; `v` is the version of the shape. */
function jsonEvents(io: Io, then: EventSink): EventSink {
  const lines = sparing(
    {
      get pending() {
        return io.pending;
      },
      write: (text) => io.out(text),
    },
    (event) => `${terminalJson(JSON.stringify({ v: 1, ...event, ...printed(event) }))}\n`,
  );
  return (event) => {
    lines.accept(event);
    then(event);
  };
}

/** Something that names the image was asked for: then it is made even without an output. */
function wantingImage(request: BuildRequest, options: Options): BuildRequest {
  const named =
    request.tags.length > 0 ||
    options.is('quiet') ||
    options.text('iidfile') !== undefined ||
    options.text('metadataFile') !== undefined;
  const asked =
    options.list('output').length > 0 ||
    options.is('push') ||
    options.is('load') ||
    request.outputs.some((output) => output.type !== 'image');
  return asked || named ? request : { ...request, outputs: [] };
}

function report(io: Io, _display: Display, outcome: BuildOutcome, options: Options): number {
  const id = imageId(outcome);
  const metadataFile = options.text('metadataFile');
  const iidFile = options.text('iidfile');
  const files: (readonly [string, string])[] = [];
  if (metadataFile !== undefined)
    files.push([
      metadataFile,
      `${JSON.stringify({ ...outcome.metadata, 'varve.build': outcome.id }, null, 2)}\n`,
    ]);
  if (iidFile !== undefined && id !== undefined) files.push([iidFile, id]);
  for (const [path, text] of files) {
    const written = writeText(resolve(io.cwd, path), text);
    if (!written.ok) return fail(io, written.error);
  }
  if (options.is('quiet') && id !== undefined) io.out(`${id}\n`);
  return 0;
}

/** The image ID as Docker has it: the digest of the configuration, of an index its own. */
function imageId(outcome: BuildOutcome): string | undefined {
  const config = outcome.image?.metadata['containerimage.config.digest'];
  return typeof config === 'string' ? config : outcome.image?.target.digest;
}

function writeText(path: string, text: string): Result<void> {
  try {
    writeFileSync(path, text);
    return ok(undefined);
  } catch (e) {
    if (!isErrno(e, 'ENOENT', 'EACCES', 'EISDIR', 'ENOTDIR', 'ENOSPC', 'EROFS')) throw e;
    return err(failure('EX001', 3, `writing ${path}: ${e.code ?? ''}`, { cause: e }));
  }
}

function edgeOf(io: Io, signal: AbortSignal): BuildEdge {
  return {
    signal,
    writeOut: (data) => io.outStream(data, signal),
    loadDocker: (data, own) => loadDocker(io, data, own),
  };
}
