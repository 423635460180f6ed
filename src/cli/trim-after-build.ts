import { isEmptyPolicy } from '../gc/index.ts';
import { isOver, trimByPolicy } from '../upkeep/index.ts';
import { gcPolicy } from './gc-policy.ts';
import { fail, type Io } from './io.ts';
import { formatBytes } from './progress/text.ts';
import type { Store } from './store.ts';
import { createUpkeepDeps } from './upkeep-world.ts';

/**
 * Trims the store behind a build that ran something, when there is a policy and the store is over its cap or the disk short
 * of its free space. Another process that trims is not waited for. What goes wrong is said, and does not fail the build.
 */
export async function trimAfterBuild(io: Io, store: Store): Promise<void> {
  if (io.signal.aborted) return;
  const policy = await gcPolicy(io, store.root);
  if (!policy.ok) {
    fail(io, policy.error);
    return;
  }
  if (isEmptyPolicy(policy.value)) return;
  const deps = createUpkeepDeps(io, store);
  if (!(await isOver(deps, policy.value))) return;
  const trimmed = await trimByPolicy(deps, policy.value, { signal: io.signal, wait: false });
  if (trimmed === undefined) return;
  const { done, plan } = trimmed;
  if (done.removed.length > 0)
    io.err(
      `trimmed the store: ${done.removed.length} entries, ${formatBytes(done.freed)} of ${formatBytes(plan.usedBefore)}\n`,
    );
  if (plan.unmet.length > 0)
    io.err('warning: the policy of the store cannot be met; see varve cache gc --dry-run\n');
}
