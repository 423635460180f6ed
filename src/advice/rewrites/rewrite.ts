import type { Model } from '../dockerfile-model.ts';
import type { ContextFacts } from '../finding.ts';
import type { Blocks } from './blocks.ts';

/** What a rewrite works on. */
export interface Subject {
  readonly model: Model;
  readonly facts: ContextFacts;
  /** Variables whose values change with every build. */
  readonly changing: ReadonlySet<string>;
  readonly ignoreFile?: IgnoreFile;
}

/** The file that says what is no part of the context. */
export interface IgnoreFile {
  /** Its name in the directory of the context. */
  readonly name: string;
  /** Absent where there is none yet. */
  readonly text?: string;
}

/** One change of a Dockerfile that may be made. */
export interface Rewrite {
  /** Kind and instruction: the same for the same rewrite of a text that others have changed. */
  readonly key: string;
  readonly kind: string;
  /** One line: what it does. */
  readonly title: string;
  readonly result: Blocks;
  /** The ignore file as it becomes. */
  readonly ignore?: string;
  /** Paths of the image that may disappear with it: what is below them is no longer written. */
  readonly drops: readonly string[];
  /** It takes something out of the image that a container may use: only made when that is allowed. */
  readonly removal?: true;
  /** An argument whose other values have to lead to equal images too. */
  readonly probes?: string;
}

/** Finds the rewrites of one kind. */
export type Rewriter = (subject: Subject) => readonly Rewrite[];
