import { err, ok, type Result, type Span } from '../base/index.ts';
import type { LineRange, ParsedDockerfile } from './ast.ts';
import { DirectiveReader } from './directives.ts';
import { parseBool } from './go-number.ts';
import { goString, trimSpace } from './go-text.ts';
import type { Rule, RuleName } from './rules.ts';

/** A lint warning. */
export interface LintWarning {
  readonly rule: RuleName;
  readonly description: string;
  /** Page about the rule; empty where BuildKit has none. */
  readonly url: string;
  readonly message: string;
  readonly lines: LineRange;
  readonly span: Span;
}

/** What `# check=` says. */
export interface LintConfig {
  readonly skipAll: boolean;
  readonly skip: readonly string[];
  readonly experimentalAll: boolean;
  readonly experimental: readonly string[];
  readonly returnAsError: boolean;
}

const DEFAULTS: LintConfig = {
  skipAll: false,
  skip: [],
  experimentalAll: false,
  experimental: [],
  returnAsError: false,
};

/** Parses `skip=A,B;error=true;experimental=all` (the value of `# check=`); the error is BuildKit's text. */
export function parseLintOptions(text: string): Result<LintConfig, string> {
  const trimmed = trimSpace(text);
  let config = DEFAULTS;
  for (const part of trimmed === '' ? [] : splitParts(trimmed)) {
    const equals = part.indexOf('=');
    if (equals === -1) return err(`invalid check option ${goString(part)}`);
    const key = trimSpace(part.slice(0, equals));
    const value = trimSpace(part.slice(equals + 1));
    switch (key) {
      case 'skip':
        config = value === 'all' ? { ...config, skipAll: true } : { ...config, skip: names(value) };
        break;
      case 'experimental':
        config =
          value === 'all'
            ? { ...config, experimentalAll: true }
            : { ...config, experimental: names(value) };
        break;
      case 'error': {
        const returnAsError = parseBool(value);
        if (returnAsError === undefined) {
          const cause = `strconv.ParseBool: parsing ${goString(value)}: invalid syntax`;
          return err(`failed to parse check option ${goString(part)}: ${cause}`);
        }
        config = { ...config, returnAsError };
        break;
      }
      default:
        return err(`invalid check option ${goString(key)}`);
    }
  }
  return ok(config);
}

/** At most three parts: a third separator belongs to the last one. */
function splitParts(text: string): string[] {
  const [first = '', second, ...rest] = text.split(';');
  return [
    first,
    ...(second === undefined ? [] : [second]),
    ...(rest.length > 0 ? [rest.join(';')] : []),
  ];
}

const names = (list: string): string[] => list.split(',').map(trimSpace);

/** Collects warnings; linters made by `withComments` share the list. */
export class Linter {
  readonly #config: LintConfig;
  readonly #found: LintWarning[];

  constructor(config: Partial<LintConfig> = {}, found: LintWarning[] = []) {
    this.#config = { ...DEFAULTS, ...config };
    this.#found = found;
  }

  /**
   * The linter for a file: configured by its `# check=` directive, or by `override` (the build argument
   * `BUILDKIT_DOCKERFILE_CHECK`). The error is BuildKit's text.
   */
  static forFile(parsed: ParsedDockerfile, override?: string): Result<Linter, string> {
    const said = override ?? parsed.directives.check?.value.split(' ', 1)[0] ?? '';
    const config = parseLintOptions(said);
    if (config.ok) return ok(new Linter(config.value));
    return err(`failed to parse check options: ${config.error}`);
  }

  /** A linter with the same settings and what was reported so far; what either reports later is its own. */
  fork(): Linter {
    return new Linter(this.#config, [...this.#found]);
  }

  /** Warnings in the order in which they were reported. */
  get warnings(): readonly LintWarning[] {
    return this.#found;
  }

  /** Reports unless the rule is skipped here; experimental rules report only where they are asked for. */
  warn(rule: Rule, message: string, at: { readonly lines: LineRange; readonly span: Span }): void {
    const { skipAll, skip, experimentalAll, experimental } = this.#config;
    const wanted = rule.experimental
      ? experimentalAll || experimental.includes(rule.name)
      : !skipAll && !skip.includes(rule.name);
    if (!wanted) return;
    const { name, description, url } = rule;
    this.#found.push({ rule: name, description, url, message, lines: at.lines, span: at.span });
  }

  /** This linter with the first `check=` comment above an instruction merged in; `error=` has no effect there. */
  withComments(comments: readonly string[]): Linter {
    for (const comment of comments) {
      const found = new DirectiveReader('').read(comment);
      if (found.kind !== 'directive' || found.name !== 'check') continue;
      const config = parseLintOptions(found.value.split(' ', 1)[0] ?? '');
      return config.ok ? this.#merged(config.value) : this;
    }
    return this;
  }

  #merged(other: LintConfig): Linter {
    const own = this.#config;
    const merged: LintConfig = {
      skipAll: own.skipAll || other.skipAll,
      skip: [...own.skip, ...other.skip],
      experimentalAll: own.experimentalAll || other.experimentalAll,
      experimental: [...own.experimental, ...other.experimental],
      returnAsError: own.returnAsError,
    };
    return new Linter(merged, this.#found);
  }

  /** The text with which a build fails when `error=true` and something was reported; rules in order of appearance. */
  error(): string | undefined {
    if (!this.#config.returnAsError || this.#found.length === 0) return undefined;
    const rules = new Set(this.#found.map((warning) => warning.rule));
    return `lint violation found for rules: ${[...rules].join(', ')}`;
  }
}
