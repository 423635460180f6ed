import type { GoJson } from '../base/index.ts';
import type { Change, RootCause } from '../events/index.ts';
import { neutralise } from './progress/text.ts';

/** Values longer than this are cut in a list; `--json` has them whole. */
const MAX_VALUE = 100;

/** The differences of a root cause as table rows: kind, name, what it was and is. */
export function changeRows(cause: RootCause): readonly (readonly string[])[] {
  const rows = cause.changes.map((change) => [
    change.kind,
    neutralise(change.name),
    transition(change),
  ]);
  return cause.more === 0 ? rows : [...rows, ['', `and ${cause.more} more`, '']];
}

function transition({ kind, before, after }: Change): string {
  const digest = kind === 'file' ? 'digest ' : '';
  if (before === undefined) return after === undefined ? '' : `new: ${digest}${clip(after)}`;
  return after === undefined
    ? `gone; it was ${digest}${clip(before)}`
    : `${digest}${clip(before)} -> ${clip(after)}`;
}

function clip(value: string): string {
  const line = neutralise(value).replaceAll(/\s+/g, ' ');
  return line.length > MAX_VALUE ? `${line.slice(0, MAX_VALUE - 1)}…` : line;
}

/** A root cause as JSON. */
export function causeJson({ kind, step, via, changes, more, same }: RootCause): GoJson {
  return {
    kind,
    step,
    via,
    changes: changes.map(({ kind: what, name, before, after }) => ({
      kind: what,
      name,
      before,
      after,
    })),
    more,
    same,
  };
}
