import { err, type FailurePlace, failure, isRecord, ok, type Result } from '../base/index.ts';
import { joined } from '../template/index.ts';

/** Values of variables by name; undefined for those that have none. */
export type Variables = ReadonlyMap<string, string | undefined>;

/** What a text with variables is expanded with. */
export interface Expansion {
  readonly variables: Variables;
  /** Values for names that are not declared, behind `:-` only. */
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Undeclared names are taken from the environment, and are empty where it has none (Compose). */
  readonly lenient?: boolean;
}

const WORD = /\$\$|\$\{([A-Za-z_]\w*)(?:(:?[-?+])([^}]*))?\}/g;

/** Expands `${NAME}`, `${NAME:-default}`, `${NAME:+other}` and `${NAME:?message}`; `$$` is a dollar sign. */
export function expandText(text: string, expansion: Expansion): Result<string, string> {
  let problem: string | undefined;
  const done = text.replace(
    WORD,
    (word: string, name?: string, operator?: string, rest: string = '') => {
      if (name === undefined) return word === '$$' ? '$' : word;
      const value = valueOf(name, operator, expansion);
      const set = operator?.startsWith(':') === true ? (value ?? '') !== '' : value !== undefined;
      switch (operator?.at(-1)) {
        case '-':
          return set ? (value ?? '') : rest;
        case '+':
          return set ? rest : '';
        case '?':
          if (!set) problem ??= rest === '' ? `variable "${name}" has no value` : rest;
          return value ?? '';
        default:
          if (value === undefined && expansion.lenient !== true)
            problem ??= expansion.variables.has(name)
              ? `variable "${name}" has no value`
              : `variable "${name}" is not declared`;
          return value ?? '';
      }
    },
  );
  return problem === undefined ? ok(done) : err(problem);
}

function valueOf(
  name: string,
  operator: string | undefined,
  { variables, env, lenient }: Expansion,
): string | undefined {
  if (variables.has(name)) return variables.get(name);
  return operator !== undefined || lenient === true ? env[name] : undefined;
}

/** Expands every text of a document but those below the paths that `raw` names. */
export function expandAll(
  data: unknown,
  expansion: Expansion,
  options: {
    readonly raw: (path: readonly PropertyKey[]) => boolean;
    readonly at: (path: readonly PropertyKey[]) => FailurePlace;
  },
): Result<unknown> {
  const problems: ReturnType<typeof failure>[] = [];
  const walk = (value: unknown, path: readonly PropertyKey[]): unknown => {
    if (options.raw(path)) return value;
    if (typeof value === 'string') {
      const expanded = expandText(value, expansion);
      if (expanded.ok) return expanded.value;
      problems.push(
        failure('PJ005', 2, expanded.error, {
          help: 'declare it under variables, or write ${NAME:-default}',
          places: [options.at(path)],
        }),
      );
      return value;
    }
    if (Array.isArray(value)) return value.map((item, i) => walk(item, [...path, i]));
    if (isRecord(value))
      return Object.fromEntries(
        Object.entries(value).map(([key, item]) => [key, walk(item, [...path, key])]),
      );
    return value;
  };
  const expanded = walk(data, []);
  return problems.length === 0 ? ok(expanded) : err(joined(problems));
}

/** Declared variables with their values: the environment's, else the default. */
export function declaredVariables(
  declared: unknown,
  env: Readonly<Record<string, string | undefined>>,
): Variables {
  const variables = new Map<string, string | undefined>();
  if (!isRecord(declared)) return variables;
  for (const [name, given] of Object.entries(declared)) {
    const fallback = isRecord(given) ? given['default'] : given;
    const text =
      typeof fallback === 'string' || typeof fallback === 'number' || typeof fallback === 'boolean'
        ? String(fallback)
        : undefined;
    variables.set(name, env[name] ?? text);
  }
  return variables;
}
