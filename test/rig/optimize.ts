import assert from 'node:assert/strict';
import { varveHere } from './in-process.ts';
import { json } from './results.ts';
import type { Rig } from './rig.ts';

/** The shape of optimize --json. */
export interface OptimizeJson {
  readonly dockerfile: string;
  readonly diff: string;
  /** The ignore file, where it was changed. */
  readonly ignore?: string;
  readonly kept: readonly { readonly kind: string; readonly title: string }[];
  readonly refused: readonly {
    readonly kind: string;
    readonly title: string;
    readonly why: string;
  }[];
  readonly proof: {
    readonly equal: boolean;
    readonly paths: number;
    readonly dropped: readonly string[];
    readonly unstable: readonly string[];
  };
  readonly scenarios: readonly {
    readonly name: string;
    readonly before: Counts;
    readonly after: Counts;
  }[];
  readonly whatIf?: {
    readonly before: {
      readonly executed: number;
      readonly steps: number;
      readonly moneyPerWeek: number;
    };
    readonly after: {
      readonly executed: number;
      readonly steps: number;
      readonly moneyPerWeek: number;
    };
  };
}

/** What one build of a scenario did. */
interface Counts {
  readonly executed: number;
  readonly steps: number;
  readonly names: readonly string[];
  readonly bytes: number;
}

/** `varve optimize --json app` in the working directory. */
export async function optimize(rig: Rig, ...args: readonly string[]): Promise<OptimizeJson> {
  const run = await varveHere(rig, rig.work, ['optimize', '--json', ...args, 'app']);
  assert.equal(run.status, 0, run.stderr);
  // Asserted by its use.
  return json(run.stdout) as OptimizeJson;
}
