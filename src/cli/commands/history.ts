import { createReadStream } from 'node:fs';
import { failure, type GoJson, isErrno } from '../../base/index.ts';
import type { HistoryDb, StepRow } from '../../ports/index.ts';
import { findBuild, stepJson, unknownBuild } from '../history-rows.ts';
import { fail, type Io, printJson, table } from '../io.ts';
import { formatSeconds, neutralise } from '../progress/text.ts';
import { openStore } from '../store.ts';

type Build = ReturnType<HistoryDb['builds']>[number];
type Options = Readonly<Record<string, unknown>>;

/** `varve history ls`. */
export function historyList(io: Io, options: Options): Promise<number> {
  return withHistory(io, (history) => {
    const limit = Number(options['limit'] ?? 20);
    if (!Number.isInteger(limit) || limit < 1)
      return fail(io, failure('CL002', 2, `--limit ${String(options['limit'])}: not a count`));
    const builds = history.builds(limit);
    if (options['json'] === true) for (const build of builds) printJson(io, buildJson(build));
    else
      io.out(
        table([
          ['BUILD', 'STARTED', 'TOOK', 'STATE', 'NAME'],
          ...builds.map((b) => [b.id, when(b.startedAt), took(b), stateOf(b), b.name]),
        ]),
      );
    return 0;
  });
}

/** `varve history show`. */
export function historyShow(io: Io, id: string | undefined, options: Options): Promise<number> {
  return withBuild(io, id, (history, build) => {
    const steps = history.steps(build.id);
    if (options['json'] === true) {
      printJson(io, { ...buildJson(build), steps: steps.map(stepJson) });
      return 0;
    }
    io.out(
      table([
        ['build', build.id],
        ['name', build.name],
        ['started', when(build.startedAt)],
        ['took', took(build)],
        ['state', stateOf(build)],
        ...(build.image === undefined ? [] : [['image', build.image]]),
        ...(build.error === undefined ? [] : [['error', build.error]]),
      ]),
    );
    io.out(`\n${table([['STATE', 'TOOK', 'STEP', 'WHY'], ...steps.map(stepRow)])}`);
    return 0;
  });
}

/** `varve history logs`. */
export function historyLogs(io: Io, id: string | undefined, options: Options): Promise<number> {
  return withBuild(io, id, async (history, build) => {
    const wanted = typeof options['step'] === 'string' ? options['step'] : '';
    for (const step of history.steps(build.id)) {
      if (step.log === undefined || !step.name.includes(wanted)) continue;
      io.out(`=> ${neutralise(step.name)}\n`);
      await printLog(io, step.log);
    }
    return 0;
  });
}

/** `varve history rm`. */
export function historyRemove(io: Io, ids: readonly string[]): Promise<number> {
  return withHistory(io, (history) => {
    let exit = 0;
    for (const id of ids) {
      const build = findBuild(history, id);
      if (build === undefined) exit = fail(io, unknownBuild(id));
      else history.removeBuild(build.id);
    }
    return exit;
  });
}

async function withHistory(
  io: Io,
  action: (history: HistoryDb) => number | Promise<number>,
): Promise<number> {
  const store = openStore(io);
  if (!store.ok) return fail(io, store.error);
  using opened = store.value;
  return await action(opened.db.history);
}

function withBuild(
  io: Io,
  id: string | undefined,
  action: (history: HistoryDb, build: Build) => number | Promise<number>,
): Promise<number> {
  return withHistory(io, (history) => {
    const build = id === undefined ? history.builds(1)[0] : findBuild(history, id);
    return build === undefined ? fail(io, unknownBuild(id)) : action(history, build);
  });
}

async function printLog(io: Io, path: string): Promise<void> {
  try {
    const decoder = new TextDecoder();
    let partial = '';
    for await (const chunk of createReadStream(path)) {
      // A stream in binary mode yields buffers.
      const lines = (partial + decoder.decode(chunk as Buffer, { stream: true })).split('\n');
      partial = lines.pop() ?? '';
      for (const line of lines) io.out(`${neutralise(line)}\n`);
    }
    if (partial !== '') io.out(`${neutralise(partial)}\n`);
  } catch (e) {
    if (!isErrno(e, 'ENOENT')) throw e;
    io.err(`the log ${path} is gone\n`);
  }
}

function stateOf(build: Build): string {
  if (build.finishedAt === undefined) return 'unfinished';
  return build.error === undefined ? 'built' : 'failed';
}

/** UTC, ISO 8601. */
function instant(at: number): string {
  return new Date(at).toISOString();
}

function when(at: number): string {
  return instant(at).slice(0, 19).replace('T', ' ');
}

function took(build: Build): string {
  return build.finishedAt === undefined ? '' : formatSeconds(build.finishedAt - build.startedAt);
}

function stepRow(step: StepRow): string[] {
  const time =
    step.startedAt === undefined || step.completedAt === undefined
      ? ''
      : formatSeconds(step.completedAt - step.startedAt);
  return [step.state, time, shortName(step.name), step.error ?? step.decision?.reason ?? ''];
}

/** A step's name on one line that leaves room for the reason; `--json` has it whole. */
function shortName(name: string): string {
  const line = name.replaceAll(/\s+/g, ' ');
  return line.length > STEP_WIDTH ? `${line.slice(0, STEP_WIDTH - 1)}…` : line;
}

const STEP_WIDTH = 72;

function buildJson(build: Build): { readonly [key: string]: GoJson | undefined } {
  return {
    id: build.id,
    name: build.name,
    state: stateOf(build),
    startedAt: instant(build.startedAt),
    finishedAt: build.finishedAt === undefined ? undefined : instant(build.finishedAt),
    image: build.image,
    error: build.error,
  };
}
