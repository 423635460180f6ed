import { failure, type GoJson } from '../../base/index.ts';
import {
  type Entry,
  type EntryFilter,
  formatSize,
  type GcPlan,
  type GcState,
  isEmptyPolicy,
  parseFilter,
  parseSize,
  planGc,
  planPrune,
  type Removal,
} from '../../gc/index.ts';
import { stateOf, type Trimmed, takeInventory, trim, type UpkeepDeps } from '../../upkeep/index.ts';
import { gcPolicy } from '../gc-policy.ts';
import { fail, type Io, printJson, table } from '../io.ts';
import { formatBytes, formatSeconds, neutralise } from '../progress/text.ts';
import { withUpkeep } from '../upkeep-world.ts';

type Options = Readonly<Record<string, unknown>>;
type Planner = (entries: readonly Entry[], state: GcState) => GcPlan;

/** `varve cache gc`: applies the policy. */
export function cacheGc(io: Io, options: Options): Promise<number> {
  return withUpkeep(
    io,
    { values: options, removes: options['dryRun'] !== true },
    async (deps, store) => {
      const policy = await gcPolicy(io, store.root, options);
      if (!policy.ok) return fail(io, policy.error);
      if (isEmptyPolicy(policy.value))
        return fail(
          io,
          failure('ST041', 2, 'there is no policy to apply', {
            help: 'give --preset default, ci or workstation, or rules like --max-used-space 10GB, or write gc.yml',
          }),
        );
      return await run(io, deps, options, (entries, state) => planGc(entries, policy.value, state));
    },
  );
}

/** `varve cache prune`: removes what nobody would miss, or with `--all` whatever nothing holds. */
export function cachePrune(io: Io, options: Options): Promise<number> {
  return withUpkeep(io, { values: options, removes: options['dryRun'] !== true }, async (deps) => {
    const filters: EntryFilter[] = [];
    for (const text of listOf(options['filter'])) {
      const filter = parseFilter(text);
      if (!filter.ok) return fail(io, failure('CL002', 2, `--filter ${filter.error}`));
      filters.push(filter.value);
    }
    const keep = options['keepStorage'];
    const keepBytes = typeof keep === 'string' ? parseSize(keep) : undefined;
    if (typeof keep === 'string' && keepBytes === undefined)
      return fail(
        io,
        failure('CL002', 2, `--keep-storage "${keep}": not a size`, {
          help: 'write 10GB or 10GiB',
        }),
      );
    const all = options['all'] === true;
    const plan: Planner = (entries, state) => {
      const wanted = (entry: Entry): boolean =>
        (all || isMissedByNobody(entry)) && filters.every((filter) => filter(entry, state.now));
      return planPrune(
        entries,
        { wanted, ...(keepBytes === undefined ? {} : { keepBytes }) },
        state,
      );
    };
    if (options['dryRun'] !== true && options['force'] !== true) {
      const agreed = await confirm(io, deps, plan, all);
      if (!agreed) return 0;
    }
    return await run(io, deps, options, plan);
  });
}

/** What no cached step, no image and no history leads to. */
function isMissedByNobody(entry: Entry): boolean {
  switch (entry.kind) {
    case 'source':
    case 'blob':
    case 'layer':
    case 'rootfs':
    case 'log':
      return entry.usedBy.length === 0;
    case 'quarantine':
      return true;
    default:
      return false;
  }
}

/** On a terminal the plan is shown and asked about; elsewhere nobody could answer. */
async function confirm(io: Io, deps: UpkeepDeps, plan: Planner, all: boolean): Promise<boolean> {
  if (io.stdin.isTTY !== true) return true;
  const { removals, usedBefore, usedAfter } = plan(await takeInventory(deps), stateOf(deps));
  const what = all ? 'everything that nothing holds' : 'what nobody would miss';
  io.err(
    `This removes ${what}: ${removals.length} entries, ${formatBytes(usedBefore - usedAfter)}. Go on? [y/N] `,
  );
  for await (const chunk of io.stdin)
    return /^\s*y(?:es)?\s*$/i.test(Buffer.from(chunk).toString());
  return false;
}

async function run(io: Io, deps: UpkeepDeps, options: Options, plan: Planner): Promise<number> {
  const json = options['json'] === true;
  if (options['dryRun'] === true) {
    const made = plan(await takeInventory(deps), stateOf(deps));
    if (json) printJson(io, planJson(made, 'planned'));
    else io.out(planText(made, made.removals, 'would go'));
    return 0;
  }
  const trimmed = await trim(deps, plan, { signal: io.signal, wait: true });
  if (trimmed === undefined) throw new Error('waited for the lock and did not get it');
  if (json) printJson(io, doneJson(trimmed));
  else io.out(doneText(trimmed, options['verbose'] === true));
  return 0;
}

/** A plan for people: what goes and why, and what could not be met. */
export function planText(plan: GcPlan, removals: readonly Removal[], verb: string): string {
  const rows = removals.map(({ entry, why }) => [
    shortId(entry.id),
    entry.kind,
    formatBytes(entry.bytes),
    cost(entry),
    cut(neutralise(entry.label)),
    why,
  ]);
  const list =
    rows.length === 0 ? '' : table([['ENTRY', 'KIND', 'SIZE', 'COST', 'WHAT', 'WHY'], ...rows]);
  const freed = removals.reduce((sum, { entry }) => sum + entry.bytes, 0);
  const count = `${removals.length} ${removals.length === 1 ? 'entry' : 'entries'}`;
  return `${list}${rows.length === 0 ? '' : '\n'}${count} ${verb}: ${formatBytes(freed)} of ${formatBytes(plan.usedBefore)}\n${unmetText(plan)}`;
}

function unmetText({ unmet }: GcPlan): string {
  return unmet
    .map(({ rule, wanted, reached, heldBy }) => {
      const holders = heldBy
        .map(({ text, bytes }) => `  ${formatBytes(bytes)}: ${text}\n`)
        .join('');
      return `${rule} ${formatSize(wanted)} cannot be met: it is ${formatBytes(reached)}, held by\n${holders}`;
    })
    .join('');
}

function doneText({ plan, done }: Trimmed, verbose: boolean): string {
  const spared = done.spared
    .map(({ removal, why }) => `spared ${shortId(removal.entry.id)}: ${why}\n`)
    .join('');
  if (verbose) return planText(plan, done.removed, 'went') + spared;
  const count = `${done.removed.length} ${done.removed.length === 1 ? 'entry' : 'entries'}`;
  return `${spared}removed ${count}: ${formatBytes(done.freed)} of ${formatBytes(plan.usedBefore)}\n${unmetText(plan)}`;
}

function removalJson({ entry, rule, why }: Removal): GoJson {
  return {
    id: entry.id,
    kind: entry.kind,
    label: entry.label,
    bytes: entry.bytes,
    costMs: Math.round(entry.lastCost.ms),
    rule,
    why,
  };
}

function planJson(plan: GcPlan, state: string): GoJson {
  return {
    state,
    usedBefore: plan.usedBefore,
    usedAfter: plan.usedAfter,
    removals: plan.removals.map(removalJson),
    unmet: plan.unmet.map((unmet) => ({ ...unmet, heldBy: unmet.heldBy.map((by) => ({ ...by })) })),
  };
}

function doneJson({ plan, done }: Trimmed): GoJson {
  return {
    state: 'removed',
    usedBefore: plan.usedBefore,
    usedAfter: plan.usedBefore - done.freed,
    removals: done.removed.map(removalJson),
    spared: done.spared.map(({ removal, why }) => ({ id: removal.entry.id, why })),
    unmet: plan.unmet.map((unmet) => ({ ...unmet, heldBy: unmet.heldBy.map((by) => ({ ...by })) })),
  };
}

/** An id as lists show it: enough of it to name the entry. */
export function shortId(id: string): string {
  const match = /^([a-z]+):(?:sha256:|new:(?:[a-z]+:)?)?(.*)$/s.exec(id);
  if (match === null) return id;
  const [, kind = '', rest = ''] = match;
  return kind === 'image' ? `image:${rest}` : rest.slice(0, /^[0-9a-f]{20,}/.test(rest) ? 12 : 40);
}

/** What an entry costs to have again. */
export function cost(entry: Entry): string {
  const { ms, bytes } = entry.cost;
  return bytes === 0 ? formatSeconds(ms) : `${formatSeconds(ms)}, ${formatBytes(bytes)}`;
}

/** A label that leaves room for the rest of the line. */
export function cut(text: string): string {
  return text.length > WIDTH ? `${text.slice(0, WIDTH - 1)}…` : text;
}

const WIDTH = 56;

/** The values of an option that may be given several times. */
export function listOf(value: unknown): readonly string[] {
  return Array.isArray(value) ? value.map(String) : [];
}
