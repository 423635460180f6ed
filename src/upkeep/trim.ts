import { statfsSync } from 'node:fs';
import {
  type Disk,
  type Entry,
  type GcPlan,
  type GcPolicy,
  type GcState,
  planGc,
  type Removal,
} from '../gc/index.ts';
import type { UpkeepDeps } from './deps.ts';
import { takeInventory } from './inventory.ts';
import { carryOut, type Removed, trimming } from './remove.ts';

/** A plan, and what came of it. */
export interface Trimmed {
  readonly plan: GcPlan;
  readonly done: Removed;
}

/** How a store is trimmed. */
export interface TrimOptions {
  readonly signal: AbortSignal;
  /** Waits for another process that trims the store, instead of leaving it to that one. */
  readonly wait: boolean;
  readonly onRemoved?: (removal: Removal) => void;
}

/** The disk that the store is on. */
export function diskOf(root: string): Disk {
  const { bsize, blocks, bavail } = statfsSync(root);
  return { size: blocks * bsize, free: bavail * bsize };
}

/** The state that a plan is made for. */
export function stateOf(deps: UpkeepDeps): GcState {
  return { now: deps.clock.now(), disk: diskOf(deps.paths.root) };
}

/** Trims the store by a policy; undefined when another process does. */
export async function trimByPolicy(
  deps: UpkeepDeps,
  policy: GcPolicy,
  options: TrimOptions,
): Promise<Trimmed | undefined> {
  return await trim(deps, (entries, state) => planGc(entries, policy, state), options);
}

/** Rounds after which images that change all the time are left alone. */
const ROUNDS = 5;

/** Plans and removes, anew when images were named meanwhile; undefined when another process trims the store. */
export async function trim(
  deps: UpkeepDeps,
  plan: (entries: readonly Entry[], state: GcState) => GcPlan,
  options: TrimOptions,
): Promise<Trimmed | undefined> {
  return await trimming(deps, options, async () => {
    let all: Trimmed | undefined;
    for (let round = 0; round < ROUNDS; round++) {
      const made = plan(await takeInventory(deps), stateOf(deps));
      const done = await carryOut(deps, made.removals, options);
      all = all === undefined ? { plan: made, done } : joined(all, { plan: made, done });
      if (!done.stale) break;
    }
    if (all === undefined) throw new Error('a trim without a round');
    return all;
  });
}

function joined(before: Trimmed, now: Trimmed): Trimmed {
  return {
    plan: { ...now.plan, usedBefore: before.plan.usedBefore },
    done: {
      ...now.done,
      removed: [...before.done.removed, ...now.done.removed],
      freed: before.done.freed + now.done.freed,
    },
  };
}
