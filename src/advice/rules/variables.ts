import type { Span } from '../../base/index.ts';
import { isSecretName } from '../../dockerfile/index.ts';
import type { Item, Model } from '../dockerfile-model.ts';
import type { AdviceRule, Finding } from '../finding.ts';

/** An ARG or ENV whose value changes from build to build stands above steps that do not use it. */
export const CHANGING_VARIABLE: AdviceRule = {
  id: 'changing-variable-above-work',
  severity: 'warning',
  title: 'a variable that changes with every build stands above steps that do not use it',
};

/** A variable that is named like a secret. */
export const SECRET_VARIABLE: AdviceRule = {
  id: 'secret-in-variable',
  severity: 'error',
  title: 'an ARG or ENV holds a secret, which stays in the image or its history',
};

const CHANGES =
  /(?:^|_)(?:SHA|COMMIT|REVISION|BUILD_?(?:DATE|TIME|ID|NUMBER|NO)|TIMESTAMP|GIT_(?:SHA|COMMIT|HASH|REV|REF|BRANCH|TAG|DESCRIBE)|VCS_REF|CACHE_?BUST(?:ER)?|CI_(?:COMMIT|PIPELINE|JOB|BUILD)_(?:SHA|ID|IID|REF|NUMBER|TAG)|BUILDKITE_COMMIT|GITHUB_(?:SHA|REF|RUN_ID))$/;

/** Names whose value is one thing's checksum or a pinned revision of something else. */
const PINS = /(?:_SHA256|_SHA512|_SHA1|_CHECKSUM)$/;

interface Variable {
  readonly name: string;
  readonly span: Span;
  /** A default that is a full commit or a checksum is a pin, not a changing value. */
  readonly value?: string;
}

function variablesOf({ command }: Item): readonly Variable[] {
  if (command.kind === 'arg')
    return command.args.map(({ key, span, value }) => ({
      ...{ name: key, span },
      ...(value === undefined ? {} : { value }),
    }));
  if (command.kind !== 'env') return [];
  return command.pairs.map(({ key, span, value }) => ({ name: key, span, value }));
}

/** Variables whose names say that they change with every build, or whose changes are known to have run steps. */
export function changingVariables(model: Model, changing: ReadonlySet<string>): readonly Finding[] {
  return model.stages.flatMap(({ items }) =>
    items.flatMap((item, i) =>
      variablesOf(item).flatMap(({ name, span, value }) => {
        const pinned = PINS.test(name) || /^[0-9a-f]{40,64}$|^v?\d+(?:\.\d+)+/.test(value ?? '');
        if (!changing.has(name) && (pinned || !CHANGES.test(name))) return [];
        const between = [];
        let user: Item | undefined;
        for (const below of items.slice(i + 1)) {
          if (uses(below, name)) {
            user = below;
            break;
          }
          if (below.command.kind === 'run') between.push(below);
        }
        if (between.length === 0) return [];
        const steps = between.length === 1 ? 'a step' : `${between.length} steps`;
        return [
          {
            rule: CHANGING_VARIABLE.id,
            severity: CHANGING_VARIABLE.severity,
            message: `${name} stands above ${steps} that ${between.length === 1 ? 'does' : 'do'} not use it, and runs them again whenever its value changes`,
            fix:
              user === undefined
                ? 'move it down to the step whose programs read it from the environment, or to the end of the stage'
                : `move it down to the ${user.command.name} that uses it (line ${user.command.lines[0]})`,
            span,
            affected: between.map(({ command }) => command.span),
            blame: { kind: 'variable', name } as const,
          },
        ];
      }),
    ),
  );
}

/** Whether an instruction names a variable. */
export function uses({ command }: Item, name: string): boolean {
  const body = command.kind === 'run' ? command.line.files.map(({ data }) => data).join('\n') : '';
  return new RegExp(`(?<![A-Za-z0-9_])${name}(?![A-Za-z0-9_])`).test(`${command.code}\n${body}`);
}

/** Secrets by their names (the rule that BuildKit has too), with what to do instead. */
export function secretVariables(model: Model): readonly Finding[] {
  const all = [
    ...model.instructions.metaArgs.map((command): Item => ({ command, calls: [], mounts: [] })),
    ...model.stages.flatMap(({ items }) => items),
  ];
  return all.flatMap((item) =>
    variablesOf(item)
      .filter(({ name, value }) => isSecretName(name) && !isHarmless(value))
      .map(({ name, span }) => ({
        rule: SECRET_VARIABLE.id,
        severity: SECRET_VARIABLE.severity,
        message: `${name} is named like a secret; its value stays readable in the image or its history`,
        fix: 'use RUN --mount=type=secret,id=… and varve build --secret',
        span,
        affected: [],
        blame: { kind: 'none' } as const,
      })),
  );
}

/** A fingerprint of a public key, a path or an address is no secret. */
const isHarmless = (value: string | undefined): boolean =>
  value !== undefined &&
  /^(?:[0-9A-F]{8,40}(?:\s+[0-9A-F]{8,40})*|https?:\/\/\S*|\/\S*|true|false|[0-9])$/.test(
    value.replaceAll(/^["']|["']$/g, ''),
  );
