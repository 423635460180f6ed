import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isRecord, parseJson } from '../../src/base/index.ts';
import type { FileAction, OpBody } from '../../src/llb/index.ts';
import type { LowerOutcome, LowerRequest } from '../../src/lower/index.ts';
import { config, request, settle } from './lowering.ts';

type Lowered = Extract<LowerOutcome, { kind: 'lowered' }>;

/** What can be looked at of a Dockerfile that was lowered; a rule names what it is about. */
export interface View {
  /** The text of the failure. */
  readonly error?: string;
  /** The configuration of the image without the `Env` that all bases have. */
  readonly config?: unknown;
  /** The platform members of the image configuration. */
  readonly platform?: unknown;
  /** Lines of the history; those of layers begin with `+ `. */
  readonly history?: readonly string[];
  /** Names of the vertices. */
  readonly steps?: readonly string[];
  /** Arguments of the commands that run. */
  readonly runs?: readonly (readonly string[])[];
  /** Variables of the last command that runs, without those that all bases have. */
  readonly env?: readonly string[];
  /** Working directory and user of the last command. */
  readonly where?: readonly [cwd: string, user: string];
  /** Copies as `source -> destination`, directories made as `mkdir path`, with what they say besides. */
  readonly files?: readonly string[];
  /** Sources of the graph. */
  readonly sources?: readonly string[];
  readonly warnings?: readonly string[];
}

/** One rule of the language, and a Dockerfile that shows it. */
export interface Rule {
  /** A sentence that can be false. */
  readonly rule: string;
  readonly file: string;
  readonly ask?: Partial<LowerRequest>;
  /** The configuration of every base image. */
  readonly image?: unknown;
  readonly ignore?: string;
  readonly want: View;
}

/** A test for each rule. */
export function testRules(rules: readonly Rule[]): void {
  for (const { rule, file, ask = {}, image = config, ignore, want } of rules)
    test(rule, () => {
      const outcome = settle(request(file, ask), image, ignore);
      assert.deepEqual(view(outcome, want), want);
    });
}

/** What of an outcome `want` is about. */
function view(outcome: LowerOutcome, want: View): unknown {
  if (outcome.kind === 'failed') {
    const { warnings } = outcome;
    return {
      error: outcome.failure.message,
      ...(want.warnings === undefined ? {} : { warnings: warnings.map(warningText) }),
    };
  }
  if (outcome.kind === 'needs') return outcome;
  return Object.fromEntries(Object.keys(want).map((key) => [key, VIEWS[key]?.(outcome)]));
}

const BASE_ENV: ReadonlySet<string> = new Set([
  'PATH=/bin',
  'LANG=C',
  'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
]);

const VIEWS: Readonly<Record<string, (outcome: Lowered) => unknown>> = {
  config: (outcome) => withoutBase(member(outcome, 'config')),
  platform: (outcome) =>
    ['os', 'architecture', 'variant', 'os.version'].flatMap((name) => member(outcome, name) ?? []),
  history: ({ image }) =>
    image.history.map((h) => `${h.empty_layer === true ? '' : '+ '}${h.created_by ?? ''}`),
  steps: (outcome) =>
    [...outcome.definition.vertices.values()].map(
      (v) => v.metadata.description['llb.customname'] ?? '',
    ),
  runs: (outcome) => execs(outcome).map(({ meta }) => meta.args),
  env: (outcome) =>
    execs(outcome)
      .at(-1)
      ?.meta.env.filter((line) => !BASE_ENV.has(line)),
  where: (outcome) => {
    const last = execs(outcome).at(-1);
    return [last?.meta.cwd, last?.meta.user];
  },
  files: (outcome) => bodies(outcome).flatMap((b) => (b.kind === 'file' ? fileTexts(b) : [])),
  sources: (outcome) =>
    bodies(outcome).flatMap((b) => (b.kind === 'source' ? [b.source.identifier] : [])),
  warnings: (outcome) => outcome.warnings.map(warningText),
};

const warningText = (w: { readonly rule: string; readonly message: string }): string =>
  `${w.rule}: ${w.message}`;

function member({ imageText }: Lowered, name: string): unknown {
  const parsed = parseJson(imageText);
  return parsed.ok && isRecord(parsed.value) ? parsed.value[name] : undefined;
}

function withoutBase(value: unknown): unknown {
  if (!isRecord(value)) return value;
  const { Env, ...rest } = value;
  const own = Array.isArray(Env) ? Env.filter((line) => !BASE_ENV.has(String(line))) : [];
  return own.length === 0 ? rest : { Env: own, ...rest };
}

const bodies = ({ definition }: Lowered): readonly OpBody[] =>
  [...definition.vertices.values()].map(({ op }) => op.body);

const execs = (outcome: Lowered): readonly Extract<OpBody, { kind: 'exec' }>['exec'][] =>
  bodies(outcome).flatMap((b) => (b.kind === 'exec' ? [b.exec] : []));

function fileTexts({ file }: Extract<OpBody, { kind: 'file' }>): readonly string[] {
  return file.actions.map(({ action }) => actionText(action));
}

function actionText(action: FileAction['action']): string {
  switch (action.kind) {
    case 'copy': {
      const { copy } = action;
      const said = [
        ...(copy.mode === -1 || copy.modeStr !== '' ? [] : [`mode=${copy.mode.toString(8)}`]),
        ...(copy.modeStr === '' ? [] : [`mode=${copy.modeStr}`]),
        ...(copy.attemptUnpackDockerCompatibility ? ['unpack'] : []),
        ...copy.exclude_patterns.map((p) => `exclude=${p}`),
        ...copy.include_patterns.map((p) => `include=${p}`),
        ...copy.required_paths.map((p) => `required=${p}`),
      ];
      return `${copy.src} -> ${copy.dest}${said.length === 0 ? '' : ` (${said.join(' ')})`}`;
    }
    case 'mkdir':
      return `mkdir ${action.mkdir.path}`;
    case 'mkfile':
      return `${action.mkfile.path} ${action.mkfile.mode.toString(8)}: ${Buffer.from(action.mkfile.data).toString()}`;
    default:
      return action.kind;
  }
}
