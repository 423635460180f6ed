import { writeFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { err, failure, type GoJson, isErrno, ok, type Result } from '../../base/index.ts';
import { type BuildEdge, type ProjectReport, projectBuilds } from '../../build/index.ts';
import type { EventSink } from '../../events/index.ts';
import { bakePrint, type Goals, goalsOf, parseOverrides } from '../../project/index.ts';
import { bakeTargets } from '../bake-targets.ts';
import { boundedRun } from '../bounded-run.ts';
import { Options } from '../build-request.ts';
import { createBuildDeps } from '../build-world.ts';
import { loadDocker } from '../docker-load.ts';
import { fail, type Io, printJson } from '../io.ts';
import { createDisplay, type ProgressMode } from '../progress/display.ts';
import {
  projectPlanJson,
  projectPlanText,
  reportJson,
  reportMarkdown,
  reportText,
} from '../project-text.ts';
import { noProject, type OpenProject, openProject, projectWorld } from '../project-world.ts';
import { openStore } from '../store.ts';
import { trimAfterBuild } from '../trim-after-build.ts';
import { buildCommand } from './build.ts';

/** `varve bake`. */
export async function bakeCommand(
  io: Io,
  names: readonly string[],
  values: Readonly<Record<string, unknown>>,
): Promise<number> {
  const options = new Options(values);
  const overrides = parseOverrides(options.list('set'), io.env);
  if (!overrides.ok) return fail(io, overrides.error);
  const opened = openProject(io, options.list('file'), overrides.value);
  if (!opened.ok) return fail(io, opened.error);
  if (opened.value === undefined) return fail(io, noProject(undefined));
  const goals = goalsOf(opened.value.project, names);
  if (!goals.ok) return fail(io, goals.error);
  if (options.is('print')) {
    const { layers, images, targets } = goals.value;
    const isBake = layers.length === 0 && images.length === 0;
    // Everything in it is a JSON value; an interface has no index signature to say so.
    printJson(io, (isBake ? bakePrint(targets) : goals.value) as unknown as GoJson);
    return 0;
  }
  const work = { open: opened.value, goals: goals.value };
  return await boundedRun(io, options, (bounded, own) => run(bounded, { ...work, options: own }));
}

/** `varve plan`: of a project where there is one, else of the Dockerfile. */
export async function planCommand(
  io: Io,
  names: readonly string[],
  values: Readonly<Record<string, unknown>>,
): Promise<number> {
  const options = new Options(values);
  const opened = openProject(io, options.text('file'));
  const isDockerfile =
    options.text('file') !== undefined && !/\.(?:ya?ml|json|hcl)$/.test(options.text('file') ?? '');
  if (isDockerfile || (opened.ok && opened.value === undefined))
    return await buildCommand(io, names[0] ?? '.', { ...values, plan: true });
  if (!opened.ok) return fail(io, opened.error);
  if (opened.value === undefined) return fail(io, noProject(undefined));
  const goals = goalsOf(opened.value.project, names);
  if (!goals.ok) return fail(io, goals.error);
  return await run(io, {
    open: opened.value,
    goals: goals.value,
    options: options.with({ plan: true }),
  });
}

interface Work {
  readonly open: OpenProject;
  readonly goals: Goals;
  readonly options: Options;
}

async function run(io: Io, { open, goals, options }: Work): Promise<number> {
  await using resources = new AsyncDisposableStack();
  const store = openStore(io);
  if (!store.ok) return fail(io, store.error);
  resources.use(store.value);
  const mode = progressMode(options.text('progress'));
  const display = createDisplay(mode, io.terminal, () => io.clock.now());
  let executed = 0;
  const emit: EventSink = (event) => {
    if (event.type === 'decision' && event.decision.outcome !== 'hit') executed++;
    // Each layer is a build of its own; the display shows all of them as one.
    if (event.type !== 'build-started' && event.type !== 'build-finished') display.accept(event);
  };
  const deps = createBuildDeps(io, store.value, resources, emit);
  const edge: BuildEdge = {
    signal: io.signal,
    writeOut: (data) => io.outStream(data, io.signal),
    loadDocker: (data, signal) => loadDocker(io, data, signal),
  };
  const world = await projectWorld(io, open, {
    options,
    deps,
    edge,
    root: store.value.root,
    resources,
  });
  if (!world.ok) return fail(io, world.error);
  if (options.is('plan')) {
    const plan = await (await projectBuilds())
      .planProject(world.value, goals)
      .finally(() => display.end());
    if (!plan.ok) return fail(io, plan.error);
    if (options.is('json')) printJson(io, projectPlanJson(plan.value));
    else io.out(projectPlanText(plan.value));
    return 0;
  }
  let report: Result<ProjectReport>;
  let targets: Result<void> = ok(undefined);
  try {
    report = await (await projectBuilds()).buildProject(world.value, goals);
    if (report.ok && goals.targets.length > 0)
      targets = await bakeTargets(io, {
        ...{ open, options, deps, edge, resources, report: report.value },
        targets: goals.targets,
        root: store.value.root,
        jobs: world.value.jobs,
      });
  } finally {
    display.end();
    if (executed > 0) await deps.tidy();
  }
  if (executed > 0) await trimAfterBuild(io, store.value);
  if (!report.ok) return fail(io, report.error);
  return await finish(io, { report: report.value, targets, options });
}

async function finish(
  io: Io,
  {
    report,
    targets,
    options,
  }: { readonly report: ProjectReport; readonly targets: Result<void>; readonly options: Options },
): Promise<number> {
  if (options.is('json')) printJson(io, reportJson(report));
  else io.out(reportText(report));
  const summary = options.text('summary');
  if (summary !== undefined) {
    const written = appendText(resolve(io.cwd, summary), reportMarkdown(report));
    if (!written.ok) return fail(io, written.error);
  }
  const failed = (await projectBuilds()).reportFailure(report);
  if (!failed.ok) return fail(io, failed.error);
  return targets.ok ? 0 : fail(io, targets.error);
}

/** Summaries of CI jobs are files that several steps add to. */
function appendText(path: string, text: string): Result<void> {
  try {
    writeFileSync(path, text, { flag: 'a' });
    return ok(undefined);
  } catch (e) {
    if (!isErrno(e, 'ENOENT', 'EACCES', 'EISDIR', 'ENOTDIR', 'ENOSPC', 'EROFS')) throw e;
    return err(failure('EX001', 3, `writing ${path}: ${e.code ?? ''}`, { cause: e }));
  }
}

function progressMode(text: string | undefined): ProgressMode {
  const modes: readonly ProgressMode[] = ['auto', 'tty', 'plain', 'rawjson', 'quiet'];
  return modes.find((m) => m === text) ?? 'auto';
}
