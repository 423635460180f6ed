import type { Result, Span } from '../base/index.ts';
import type { LineRange } from './ast.ts';
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

export function parseLintOptions(_text: string): Result<LintConfig, string> {
  throw new Error('not written yet');
}

/** Collects warnings; those made by `withComments` share the list. */
export class Linter {
  constructor(_config?: Partial<LintConfig>) {}
  get warnings(): readonly LintWarning[] {
    return [];
  }
  /** Reports unless the rule is skipped here. */
  warn(
    _rule: Rule,
    _message: string,
    _at: { readonly lines: LineRange; readonly span: Span },
  ): void {}
  /** This linter with the `check=` comment above an instruction merged in. */
  withComments(_comments: readonly string[]): Linter {
    return this;
  }
  /** BuildKit's error text when `error=true` and something was reported. */
  error(): string | undefined {
    return undefined;
  }
}
