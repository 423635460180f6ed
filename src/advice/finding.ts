import type { Span } from '../base/index.ts';

/** How much a finding matters: `warning` costs time or safety in most projects, `info` is worth knowing. */
export type AdviceSeverity = 'error' | 'warning' | 'info';

/** What a rule looks for. */
export interface AdviceRule {
  /** Stable: people write it in `# varve:ignore=`. */
  readonly id: string;
  readonly severity: AdviceSeverity;
  /** One line, for lists of rules. */
  readonly title: string;
}

/** Something that a rule found. */
export interface Finding {
  readonly rule: string;
  readonly severity: AdviceSeverity;
  /** Lower case, without a full stop; names the thing. */
  readonly message: string;
  /** What to do. */
  readonly fix: string;
  /** Where it stands in the Dockerfile; absent for what is wrong with the context. */
  readonly span?: Span;
  /** Another place that belongs to it. */
  readonly other?: { readonly span: Span; readonly note: string };
  /** Spans of the instructions whose work it makes dearer: what a measurement looks up. */
  readonly affected: readonly Span[];
  /** What a measurement counts as the rule's own doing. */
  readonly blame: Blame;
  /** Bytes of the context that it is about, as they lie on disk. */
  readonly contextBytes?: number;
}

/** Which of an instruction's executions a finding is to blame for. */
export type Blame =
  /** Those that began at the instruction with this span. */
  | { readonly kind: 'cause'; readonly span: Span; readonly except: readonly string[] }
  /** Those that began with a change of this argument or variable. */
  | { readonly kind: 'variable'; readonly name: string }
  /** Every execution. */
  | { readonly kind: 'every' }
  /** Those that began with one of these paths of the context. */
  | { readonly kind: 'files'; readonly paths: readonly string[] }
  /** It costs no time that could be measured. */
  | { readonly kind: 'none' };

/** A file of the build context. */
export interface ContextFile {
  /** Relative to the context, with slashes. */
  readonly path: string;
  readonly bytes: number;
  readonly mode: number;
}

/** What is known of the build context. */
export interface ContextFacts {
  /** Files that a build may use: without what the ignore file excludes. */
  readonly files: readonly ContextFile[];
  readonly hasIgnoreFile: boolean;
}
