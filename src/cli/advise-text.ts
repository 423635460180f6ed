import type { PoolAdvice } from '../analyze/index.ts';
import type { GoJson } from '../base/index.ts';
import type { LayerList } from '../project/index.ts';
import { table } from './io.ts';
import type { TrialBake } from './layer-trials.ts';
import { formatBytes } from './progress/text.ts';

/** One commit, built with the project as it is and as it was advised. */
export interface LayerReplay {
  readonly commit: string;
  readonly before: TrialBake;
  readonly after: TrialBake;
}

/** Advice on the layers of a project. */
export interface LayerAdvice {
  readonly pools: readonly PoolAdvice[];
  /** Layers that cannot be parted, and why. */
  readonly kept: ReadonlyMap<string, string>;
  /** Commits of the history, and those that changed what may be grouped. */
  readonly commits: number;
  readonly changed: number;
  readonly layers: number;
  /** Both were built and are equal. */
  readonly proof?: { readonly images: number; readonly paths: number };
  readonly replay?: readonly LayerReplay[];
}

const seconds = (value: number): string => `${value.toFixed(2)}s`;
const percent = (from: number, to: number): string =>
  from === 0 ? '0 %' : `${(((to - from) / from) * 100).toFixed(0)} %`;
const plural = (count: number, what: string): string => `${count} ${what}${count === 1 ? '' : 's'}`;
const poolName = ({ pool }: PoolAdvice): string => pool.layers.map(({ name }) => name).join(', ');

/** The advice for people. */
export function layerAdviceText(advice: LayerAdvice): string {
  const { pools, commits, changed, kept, layers } = advice;
  const parts = [`${changed} of ${commits} commits changed what layers are put together from\n`];
  if (pools.length > 0) {
    const rows = pools.map((each) => [
      ...[poolName(each), String(each.units.length), `${each.changed} of ${commits}`],
      ...[seconds(each.now), seconds(each.best.cost), percent(each.now, each.best.cost)],
      each.exact ? 'best' : `within ${percent(each.bound, each.best.cost)} of the best`,
    ]);
    const head = ['LAYERS', 'PARTS', 'CHANGED', 'NOW', 'ADVISED', 'CHANGE', 'OF ALL GROUPINGS'];
    parts.push(table([head, ...rows]));
  }
  for (const each of pools)
    if (each.pieces.length > 0) parts.push(`\n${piecesText(each, commits)}`);
  const better = pools.filter(({ pieces }) => pieces.length > 0);
  if (better.length === 0) parts.push('no other grouping is expected to take less\n');
  else {
    const count =
      layers +
      better.reduce((sum, { pieces, pool }) => sum + pieces.length - pool.layers.length, 0);
    parts.push(`\n${layers} layers become ${count}\n`);
  }
  for (const [layer, why] of kept) parts.push(`not grouped: ${layer} ${why}\n`);
  const { proof, replay } = advice;
  if (proof !== undefined)
    parts.push(
      `the same with both: ${proof.paths} paths of ${plural(proof.images, 'image')} compared\n`,
    );
  if (replay !== undefined) parts.push(replayText(replay));
  return parts.join('');
}

function piecesText({ pieces, units }: PoolAdvice, commits: number): string {
  const changes = new Map(units.map((unit) => [unit.id, unit]));
  const rows = pieces.map((piece) => {
    const own = piece.units.flatMap((id) => changes.get(id) ?? []);
    const most = Math.max(...own.map((unit) => unit.changes));
    const bytes = own.reduce((sum, unit) => sum + unit.bytes, 0);
    const from = piece.files?.join(', ') ?? piece.lists.map(listOf).join('; ');
    return [piece.name, `up to ${most} of ${commits}`, formatBytes(Math.round(bytes)), from];
  });
  return table([['LAYER', 'A PART CHANGES IN', 'SIZE', 'MADE FROM'], ...rows]);
}

const SHOWN = 6;

function listOf({ path, only, except }: LayerList): string {
  const some = (names: readonly string[]): string =>
    names.length <= SHOWN
      ? names.join(', ')
      : `${names.slice(0, SHOWN).join(', ')} and ${names.length - SHOWN} more`;
  if (only !== undefined) return `${some(only)} of ${path}`;
  return except === undefined ? path : `${path} but ${some(except)}`;
}

const sumOf = (
  replay: readonly LayerReplay[],
  side: 'before' | 'after',
): { readonly built: number; readonly seconds: number; readonly bytes: number } => ({
  built: replay.reduce((sum, each) => sum + each[side].built.length, 0),
  seconds: replay.reduce((sum, each) => sum + each[side].seconds, 0),
  bytes: replay.reduce((sum, each) => sum + each[side].bytes, 0),
});

function replayText(replay: readonly LayerReplay[]): string {
  const [before, after] = [sumOf(replay, 'before'), sumOf(replay, 'after')];
  return `\n${replay.length} commits, each really built with both:\n${table([
    ['', 'NOW', 'ADVISED', 'CHANGE'],
    ['layers built', String(before.built), String(after.built), percent(before.built, after.built)],
    [
      'time of layers',
      seconds(before.seconds),
      seconds(after.seconds),
      percent(before.seconds, after.seconds),
    ],
    [
      'bytes of layers',
      formatBytes(before.bytes),
      formatBytes(after.bytes),
      percent(before.bytes, after.bytes),
    ],
  ])}`;
}

/** The advice as one JSON value; `v` is the version of its shape. */
export function layerAdviceJson(advice: LayerAdvice, file: string | undefined): GoJson {
  const { pools, kept, replay, ...rest } = advice;
  const value = {
    v: 1,
    ...rest,
    pools: pools.map(({ pool, units, pieces, best, ...each }) => ({
      layers: pool.layers.map(({ name }) => name),
      ...each,
      advised: best.cost,
      units: units.map((unit) => ({ ...unit })),
      pieces,
    })),
    kept: Object.fromEntries(kept),
    ...(replay === undefined
      ? {}
      : {
          replay: {
            before: sumOf(replay, 'before'),
            after: sumOf(replay, 'after'),
            commits: replay,
          },
        }),
    ...(file === undefined ? {} : { file }),
  };
  // Everything in it is a JSON value; an interface has no index signature to say so.
  return value as unknown as GoJson;
}
