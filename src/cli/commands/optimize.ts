import { randomBytes } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { modelOfText } from '../../advice/index.ts';
import {
  changingVariableNames,
  ignoredScenario,
  type Proven,
  projectHistory,
  proveRewrites,
  scenariosOf,
} from '../../analyze/index.ts';
import { err, failure, isErrno, ok, type Result } from '../../base/index.ts';
import { type BuildRequest, projectOf } from '../../build/index.ts';
import { Options } from '../build-request.ts';
import { positive } from '../flags/limits.ts';
import { lastCommits } from '../git-commits.ts';
import { fail, type Io, printJson } from '../io.ts';
import { openAdvisedProject } from '../open-project.ts';
import {
  type MeasuredScenario,
  type OptimizeReport,
  patchOf,
  reportJson,
  reportText,
} from '../optimize-report.ts';
import type { Project } from '../read-project.ts';
import { shownPath } from '../shown-path.ts';
import { TrialBuilds } from '../trial-builds.ts';
import { type Variant, type WhatIf, whatIf } from '../what-if.ts';

/** `varve optimize [CONTEXT]`: rewrites a Dockerfile, proves by building that the image is the same, and measures what it saves. */
export async function optimizeCommand(
  io: Io,
  context: string | undefined,
  values: Readonly<Record<string, unknown>>,
): Promise<number> {
  const options = new Options(values);
  await using resources = new AsyncDisposableStack();
  const opened = await openAdvisedProject(io, context, options, resources);
  if (!opened.ok) return fail(io, opened.error);
  const { store, request, project } = opened.value;
  const trials = new TrialBuilds(io, store, request, resources);
  const changing = new Set([
    ...changingVariableNames(projectHistory(store.db.history, projectOf(request))),
    ...options.list('changing'),
  ]);
  const work: Work = { io, options, trials, project, changing, request };
  const proven = await prove(work);
  if (!proven.ok) return fail(io, proven.error);
  const measured = await measure(work, proven.value);
  if (!measured.ok) return fail(io, measured.error);
  const replayed = await replay(work, proven.value);
  if (!replayed.ok) return fail(io, replayed.error);
  const { ignoreFile, model } = project;
  const report: OptimizeReport = {
    ...{ path: model.file.path, original: model.file.text, proven: proven.value },
    ...(ignoreFile === undefined
      ? {}
      : {
          ignoreFile: {
            ...ignoreFile,
            name: shownPath(io.cwd, join(request.context.root ?? '', ignoreFile.name)),
          },
        }),
    measured: measured.value,
    ...(replayed.value === undefined ? {} : { whatIf: replayed.value }),
  };
  if (options.is('json')) printJson(io, reportJson(report));
  else {
    if (proven.value.kept.length > 0) io.out(`${patchOf(report)}\n`);
    io.out(reportText(report));
  }
  if (!options.is('write') || proven.value.kept.length === 0) return 0;
  const written = write(request, project.ignoreFile, proven.value);
  return written.ok ? 0 : fail(io, written.error);
}

interface Work {
  readonly io: Io;
  readonly options: Options;
  readonly trials: TrialBuilds;
  readonly project: Project;
  readonly changing: ReadonlySet<string>;
  readonly request: BuildRequest;
}

async function prove(work: Work): Promise<Result<Proven>> {
  const { io, options, trials, project, changing, request } = work;
  const { model, facts, ignoreFile } = project;
  if (facts === undefined)
    return err(
      failure('CL002', 2, 'only a Dockerfile with a context directory can be optimised', {
        help: 'check the repository or archive out',
      }),
    );
  const target = options.text('target');
  return await proveRewrites(
    {
      ...{ model, facts, changing },
      ...(target === undefined ? {} : { target }),
      // A Dockerfile that is no file has no directory for a changed one.
      ...(ignoreFile === undefined || request.dockerfile.kind !== 'file' ? {} : { ignoreFile }),
      allowRemovals: options.is('allowRemovals'),
      without: new Set(options.list('without').flatMap((kinds) => kinds.split(','))),
    },
    {
      build: async (text, asked) => {
        io.err(`building ${text === model.file.text ? 'the original' : 'a rewrite'}\n`);
        return await trials.image(text, asked);
      },
    },
  );
}

/** Both Dockerfiles in every scenario; nothing where nothing was rewritten. */
async function measure(work: Work, proven: Proven): Promise<Result<readonly MeasuredScenario[]>> {
  const { io, options, trials, project } = work;
  const { model, facts } = project;
  if (options.isNot('measure') || proven.kept.length === 0 || facts === undefined) return ok([]);
  const scenarios = [
    ...scenariosOf(model, facts),
    ...(proven.ignore === undefined ? [] : ignoredScenario(facts, proven.ignore)),
  ];
  const measured: MeasuredScenario[] = [];
  for (const scenario of scenarios) {
    io.err(`measuring: ${scenario.name}\n`);
    const results = [];
    for (const each of variantsOf(work, proven)) {
      const nonce = `varve${randomBytes(8).toString('hex')}`;
      const result = await trials.scenario(each, scenario, nonce);
      if (!result.ok) {
        io.err(
          `not measured: with another ${scenario.file ?? scenario.name}, ${result.error.message}\n`,
        );
        break;
      }
      results.push(result.value);
    }
    const [first, second] = results;
    if (first !== undefined && second !== undefined)
      measured.push({ scenario, before: first, after: second });
  }
  return ok(measured);
}

/** The project as it is, and with the rewrites that were kept. */
function variantsOf(
  { options, project: { model, ignoreFile } }: Work,
  proven: Proven,
): readonly [Variant, Variant] {
  const target = options.text('target');
  const after = modelOfText(proven.text, model, target === undefined ? {} : { target });
  if (after === undefined) throw new Error('a Dockerfile that was built can be read');
  const text = ignoreFile?.text;
  const ignore = proven.ignore ?? text;
  return [
    text === undefined ? { model } : { model, ignore: text },
    ignore === undefined ? { model: after } : { model: after, ignore },
  ];
}

/** `--what-if N`: the last N commits with both Dockerfiles. */
async function replay(work: Work, proven: Proven): Promise<Result<WhatIf | undefined>> {
  const { io, options, trials, changing, request } = work;
  const given = options.text('whatIf');
  const { root } = request.context;
  if (given === undefined || root === undefined) return ok(undefined);
  const count = positive('--what-if', given);
  if (!count.ok) return count;
  const perHour = price('--price-per-hour', options.text('pricePerHour') ?? '0');
  if (!perHour.ok) return perHour;
  const perGigabyteMonth = price('--price-per-gb', options.text('pricePerGb') ?? '0');
  if (!perGigabyteMonth.ok) return perGigabyteMonth;
  const commits = await lastCommits(io, root, count.value ?? 1);
  if (!commits.ok) return commits;
  io.err(`replaying ${commits.value.length} commits\n`);
  const target = options.text('target');
  return await whatIf(trials, {
    variants: variantsOf(work, proven),
    ...{ commits: commits.value, changing },
    ...(target === undefined ? {} : { target }),
    prices: { perHour: perHour.value, perGigabyteMonth: perGigabyteMonth.value },
  });
}

function price(flag: string, text: string): Result<number> {
  const value = Number(text);
  if (text !== '' && Number.isFinite(value) && value >= 0) return ok(value);
  return err(
    failure('CL002', 2, `${flag} ${text}: not a price`, { help: 'write a number such as 0.48' }),
  );
}

/** Writes the Dockerfile and, where it was changed, the ignore file. */
function write(
  { dockerfile, context }: BuildRequest,
  ignoreFile: Project['ignoreFile'],
  proven: Proven,
): Result<void> {
  const root = dockerfile.kind === 'file' ? dockerfile.dir.root : undefined;
  if (dockerfile.kind !== 'file' || root === undefined)
    return err(failure('CL002', 2, '--write: the Dockerfile is no file here'));
  const files: (readonly [path: string, text: string])[] = [
    [join(root, dockerfile.name), proven.text],
  ];
  if (proven.ignore !== undefined && ignoreFile !== undefined)
    files.push([resolve(context.root ?? root, ignoreFile.name), proven.ignore]);
  for (const [path, text] of files)
    try {
      writeFileSync(path, text);
    } catch (e) {
      if (!isErrno(e, 'EACCES', 'ENOENT', 'ENOSPC', 'EROFS')) throw e;
      return err(failure('EX001', 3, `writing ${path}: ${e.code ?? ''}`, { cause: e }));
    }
  return ok(undefined);
}
