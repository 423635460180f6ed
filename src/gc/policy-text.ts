import { err, isRecord, ok, type Result } from '../base/index.ts';
import { ENTRY_KINDS, type EntryKind } from './entry.ts';
import { type Amount, type GcPolicy, type KindBudget, merged, PRESETS } from './policy.ts';

const SIZES: Readonly<Record<string, number>> = {
  '': 1,
  k: 1e3,
  m: 1e6,
  g: 1e9,
  t: 1e12,
  ki: 2 ** 10,
  mi: 2 ** 20,
  gi: 2 ** 30,
  ti: 2 ** 40,
};

const TIMES: Readonly<Record<string, number>> = {
  s: 1000,
  m: 60_000,
  h: 3600_000,
  d: 24 * 3600_000,
  w: 7 * 24 * 3600_000,
};

/** `10GB` (decimal), `10GiB` (binary), a plain number of bytes, or `20%` of the disk. */
export function parseAmount(text: string): Result<Amount, string> {
  const percent = /^(\d+(?:\.\d+)?)\s*%$/.exec(text.trim());
  if (percent?.[1] !== undefined) {
    const value = Number(percent[1]);
    return value <= 100 ? ok({ percent: value }) : err(`"${text}" is more than the disk`);
  }
  const size = parseSize(text);
  return size === undefined
    ? err(`"${text}" is no size: write 10GB, 10GiB, a number of bytes, or 20%`)
    : ok({ bytes: size });
}

/** A number of bytes with a unit: decimal (`kB`, `MB`, `GB`, `TB`) or binary (`KiB`, `MiB`, …). */
export function parseSize(text: string): number | undefined {
  const match = /^(\d+(?:\.\d+)?)\s*([kmgt]?i?)b?$/i.exec(text.trim());
  const unit = SIZES[(match?.[2] ?? '-').toLowerCase()];
  return match === null || unit === undefined ? undefined : Math.floor(Number(match[1]) * unit);
}

/** `7d`, `36h`, `1w2d`, `90s`: milliseconds. */
export function parseAge(text: string): number | undefined {
  const parts = [...text.trim().matchAll(/(\d+(?:\.\d+)?)([smhdw])/g)];
  if (parts.length === 0 || parts.map(([all]) => all).join('') !== text.trim()) return undefined;
  return parts.reduce((sum, [, count, unit]) => sum + Number(count) * (TIMES[unit ?? ''] ?? 0), 0);
}

const RULES = ['max-used-space', 'reserved-space', 'min-free-space', 'keep-duration'];

/**
 * A policy as a file or flags say it: `preset`, `max-used-space`, `reserved-space`, `min-free-space`, `keep-duration`, and
 * `kinds` with the first and the last of them for single kinds. The error names the key.
 */
export function decodePolicy(value: unknown): Result<GcPolicy, string> {
  if (!isRecord(value)) return err('expected keys and values');
  const { preset, kinds, ...rules } = value;
  const own = decodeRules(rules, RULES);
  if (!own.ok) return own;
  const budgets = decodeKinds(kinds);
  if (!budgets.ok) return budgets;
  const policy = { ...own.value, ...(kinds === undefined ? {} : { kinds: budgets.value }) };
  if (preset === undefined) return ok(policy);
  const name = typeof preset === 'string' ? preset : '';
  const below = PRESETS[name];
  return below === undefined
    ? err(`preset: unknown "${name}"; known: ${Object.keys(PRESETS).join(', ')}`)
    : ok(merged(below, policy));
}

function decodeKinds(
  value: unknown,
): Result<Readonly<Partial<Record<EntryKind, KindBudget>>>, string> {
  const kinds: Partial<Record<EntryKind, KindBudget>> = {};
  if (value === undefined) return ok(kinds);
  if (!isRecord(value)) return err('kinds: expected kinds and their budgets');
  for (const [name, budget] of Object.entries(value)) {
    const kind = ENTRY_KINDS.find((k) => k === name);
    if (kind === undefined)
      return err(`kinds: unknown "${name}"; known: ${ENTRY_KINDS.join(', ')}`);
    if (!isRecord(budget)) return err(`kinds.${name}: expected keys and values`);
    const rules = decodeRules(budget, ['max-used-space', 'keep-duration']);
    if (!rules.ok) return err(`kinds.${name}.${rules.error}`);
    kinds[kind] = rules.value;
  }
  return ok(kinds);
}

function decodeRules(
  value: Readonly<Record<string, unknown>>,
  known: readonly string[],
): Result<GcPolicy, string> {
  let policy: GcPolicy = {};
  for (const [key, raw] of Object.entries(value)) {
    if (raw === undefined) continue;
    if (!known.includes(key)) return err(`${key}: unknown; known: ${known.join(', ')}`);
    if (typeof raw !== 'string' && typeof raw !== 'number') return err(`${key}: expected text`);
    const text = String(raw);
    if (key === 'keep-duration') {
      const age = parseAge(text);
      if (age === undefined) return err(`${key}: "${text}" is no duration: write 7d, 36h or 1w2d`);
      policy = { ...policy, keepDuration: age };
      continue;
    }
    const amount = parseAmount(text);
    if (!amount.ok) return err(`${key}: ${amount.error}`);
    if (key === 'max-used-space') policy = { ...policy, maxUsedSpace: amount.value };
    else if (key === 'reserved-space') policy = { ...policy, reservedSpace: amount.value };
    else policy = { ...policy, minFreeSpace: amount.value };
  }
  return ok(policy);
}
