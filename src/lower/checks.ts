import type { Linter, Stage } from '../dockerfile/index.ts';
import { expandWord, isSecretName, MESSAGES, rule, suggest } from '../dockerfile/index.ts';
import { formatPlatform, type OpPlatform, parsePlatform } from '../llb/index.ts';
import { parseReference } from '../oci/index.ts';
import type { Budget } from './budget.ts';
import { DECLARED_ONLY } from './build-args.ts';
import type { EnvList } from './env-list.ts';
import type { At } from './stop.ts';

/** UndefinedVar. */
export function checkVariables(
  linter: Linter,
  unmatched: ReadonlySet<string>,
  about: {
    readonly at: At;
    /** Arguments that the stage declares, also without a value. */
    readonly declared: Pick<ReadonlyMap<string, unknown>, 'has'>;
    readonly env: EnvList;
    readonly budget: Budget;
  },
): void {
  for (const name of unmatched) {
    if (DECLARED_ONLY.has(name) || about.declared.has(name)) continue;
    const known = about.env.keys();
    const near = about.budget.mayCompare(known.length)
      ? suggest(name, known, { caseSensitive: true })
      : undefined;
    linter.warn(rule('UndefinedVar'), MESSAGES.UndefinedVar(name, near), about.at);
  }
}

/** UndefinedArgInFrom. */
export function checkFromArgs(
  linter: Linter,
  unmatched: ReadonlySet<string>,
  about: {
    readonly at: At;
    /** Names that are set, and those an ARG above the first FROM declares without a value. */
    readonly known: ReadonlySet<string>;
    readonly budget: Budget;
  },
): void {
  for (const name of unmatched) {
    if (about.known.has(name)) continue;
    const near = about.budget.mayCompare(about.known.size)
      ? suggest(name, about.known, { caseSensitive: true })
      : undefined;
    linter.warn(rule('UndefinedArgInFrom'), MESSAGES.UndefinedArgInFrom(name, near), about.at);
  }
}

/** RedundantTargetPlatform and FromPlatformFlagConstDisallowed. */
export function checkPlatformFlag(
  linter: Linter,
  stage: Stage,
  found: {
    readonly value: string;
    readonly matched: ReadonlySet<string>;
    readonly unmatched: ReadonlySet<string>;
    readonly args: EnvList;
    readonly host: OpPlatform;
  },
): void {
  const { value, matched, unmatched, args } = found;
  if (matched.size === 1 && unmatched.size === 0 && matched.has('TARGETPLATFORM')) {
    if (args.get('TARGETPLATFORM') === value)
      linter.warn(
        rule('RedundantTargetPlatform'),
        MESSAGES.RedundantTargetPlatform(stage.platform),
        stage,
      );
  }
  if (matched.size > 0 || unmatched.size > 0) return;
  const p = parsePlatform(value, found.host);
  if (!p.ok) return;
  const { OS, Architecture } = p.value;
  if (stage.stageName.includes(OS) || stage.stageName.includes(Architecture)) return;
  const message = MESSAGES.FromPlatformFlagConstDisallowed(value);
  linter.warn(rule('FromPlatformFlagConstDisallowed'), message, stage);
}

/** InvalidDefaultArgInFrom: `args` are the global arguments as if no build argument was given. */
export function checkDefaultBases(
  linter: Linter,
  stages: readonly Stage[],
  args: EnvList,
  escapeToken: '\\' | '`',
): void {
  for (const stage of stages) {
    const name = expandWord(stage.base.value, args, { escapeToken });
    if (!name.ok) return;
    if (parseReference(name.value.value).ok) continue;
    const message = MESSAGES.InvalidDefaultArgInFrom(stage.base.value);
    linter.warn(rule('InvalidDefaultArgInFrom'), message, stage);
  }
}

/** InvalidBaseImagePlatform. */
export function checkImagePlatform(
  linter: Linter,
  about: {
    readonly image: string;
    readonly expected: OpPlatform;
    readonly actual: OpPlatform;
    readonly at: At | undefined;
  },
): void {
  const { image, expected, actual, at } = about;
  if (at === undefined) return;
  if (expected.OS === actual.OS && expected.Architecture === actual.Architecture) return;
  const message = MESSAGES.InvalidBaseImagePlatform(
    image,
    formatPlatform(expected),
    formatPlatform(actual),
  );
  linter.warn(rule('InvalidBaseImagePlatform'), message, at);
}

/** SecretsUsedInArgOrEnv. */
export function checkSecretName(
  linter: Linter,
  instruction: 'ARG' | 'ENV',
  key: string,
  at: At,
): void {
  if (!isSecretName(key)) return;
  const message = MESSAGES.SecretsUsedInArgOrEnv(instruction, key);
  linter.warn(rule('SecretsUsedInArgOrEnv'), message, at);
}
