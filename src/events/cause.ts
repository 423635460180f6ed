/** What kind of thing made a step differ from an earlier execution of it. */
export type ChangeKind =
  | 'file'
  | 'ignore rule'
  | 'argument'
  | 'environment'
  | 'command'
  | 'option'
  | 'mount'
  | 'secret'
  | 'base'
  | 'source'
  | 'platform'
  | 'instruction'
  | 'order'
  | 'evicted'
  | 'no cache'
  | 'first time'
  | 'unknown';

/** One difference between an execution of a step and an earlier one. */
export interface Change {
  readonly kind: ChangeKind;
  /** What differs: a path, a variable, an option, a mount's target, an instruction. */
  readonly name: string;
  /** What it was; absent where it was not there. */
  readonly before?: string;
  /** What it is; absent where it is gone. */
  readonly after?: string;
}

/** Where the difference began that made a step run. */
export interface RootCause {
  readonly kind: ChangeKind;
  /** Name of the step whose own text, files or source changed; the step itself where the difference is its own. */
  readonly step: string;
  /** Names of the steps between the root and this one, the root's neighbour first; empty when it is this step. */
  readonly via: readonly string[];
  /** The differences, at the root step only; the first of them when there are very many. */
  readonly changes: readonly Change[];
  /** How many differences are not listed. */
  readonly more: number;
  /** Inputs that are the same as before although the step runs: names of files, or of the step they come from. */
  readonly same: readonly string[];
}
