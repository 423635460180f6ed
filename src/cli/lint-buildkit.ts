import type { Finding, Model } from '../advice/index.ts';
import { err, isRecord, ok, parseJson, type Result } from '../base/index.ts';
import { type BuildRequest, callDockerfile } from '../build/index.ts';
import { createBuildDeps } from './build-world.ts';
import type { Io } from './io.ts';
import type { Advice } from './lint-text.ts';
import type { Store } from './store.ts';

/** What BuildKit's own checks say of the same Dockerfile (`varve build --check`). */
export async function buildkitRules(
  io: Io,
  store: Store,
  work: {
    readonly request: BuildRequest;
    readonly resources: AsyncDisposableStack;
    readonly model: Model;
  },
): Promise<Result<readonly Advice[]>> {
  const deps = createBuildDeps(io, store, work.resources, () => undefined);
  const answer = await callDockerfile('check', work.request, deps, io.signal);
  if (!answer.ok) return answer;
  if (answer.value.failure !== undefined) return err(answer.value.failure);
  const parsed = parseJson(answer.value.json);
  const warnings = parsed.ok && isRecord(parsed.value) ? parsed.value['warnings'] : undefined;
  const list = Array.isArray(warnings) ? (warnings as readonly unknown[]) : [];
  return ok(
    list.flatMap((each) => (isRecord(each) ? [{ finding: findingOf(each, work.model) }] : [])),
  );
}

function findingOf(warning: Readonly<Record<string, unknown>>, { file }: Model): Finding {
  const { ruleName, description, detail } = warning;
  return {
    rule: textOf(ruleName),
    severity: 'warning',
    message: textOf(detail) === '' ? textOf(description) : textOf(detail),
    fix: textOf(description),
    span: lineSpan(file.text, firstLine(warning['location'])),
    affected: [],
    blame: { kind: 'none' },
  };
}

const textOf = (value: unknown): string => (typeof value === 'string' ? value : '');

function firstLine(location: unknown): number {
  const ranges = isRecord(location) ? location['ranges'] : undefined;
  const first: unknown = Array.isArray(ranges) ? ranges[0] : undefined;
  const start = isRecord(first) ? first['start'] : undefined;
  const line = isRecord(start) ? start['line'] : undefined;
  return typeof line === 'number' ? line : 1;
}

/** A line of a text, without blanks around it. */
function lineSpan(
  text: string,
  line: number,
): { readonly offset: number; readonly length: number } {
  const lines = text.split('\n');
  const before = lines.slice(0, line - 1).join('\n').length + (line > 1 ? 1 : 0);
  const own = lines[line - 1] ?? '';
  const indent = own.length - own.trimStart().length;
  return { offset: before + indent, length: own.trim().length };
}
