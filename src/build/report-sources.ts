import { ok } from '../base/index.ts';
import type { ImportedSources, SourceReport } from './cache-sources.ts';
import { internalStep, type StepReport } from './internal-step.ts';

/**
 * Shows a line for each cache that the build was given, and returns what `--metadata-file` says of them; both are empty when
 * there was none.
 */
export async function reportSources(
  sources: ImportedSources,
  report: StepReport,
): Promise<Readonly<Record<string, unknown>>> {
  const reports = sources.report();
  if (reports.length === 0) return {};
  await internalStep(report, '[internal] cache sources', (step) => {
    if (sources.local > 0) step.done(`local: ${steps(sources.local)} used`);
    for (const each of reports) step.done(lineOf(each), { current: each.bytes });
    return Promise.resolve(ok(undefined));
  });
  return { 'varve.cache': { sources: reports, steps: Object.fromEntries(sources.served()) } };
}

function lineOf({ source, state, asked, answered, used }: SourceReport): string {
  if (state === 'unread') return `${source}: not read, pulled`;
  if (state === 'refused') return `${source}: refused, pulled`;
  return `${source}: asked for ${steps(asked)}, answered ${answered}, used ${used}, pulled`;
}

const steps = (count: number): string => `${count} ${count === 1 ? 'step' : 'steps'}`;
