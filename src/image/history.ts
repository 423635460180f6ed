import type { HistoryItem } from '../oci/index.ts';

/** What is known of a layer whose history is missing. */
export interface LayerFact {
  /** Milliseconds since the epoch. */
  readonly createdAt: number;
  readonly description?: string;
}

/**
 * Makes history and layers agree, and fills in times, as BuildKit's exporter does: missing items are added, surplus ones
 * become empty; an item without a time gets its layer's, metadata gets the time of the first new layer or of the one before.
 */
export function completeHistory(
  history: readonly HistoryItem[],
  layers: readonly LayerFact[],
): readonly HistoryItem[] {
  let used = 0;
  const items: HistoryItem[] = history.map((item) => {
    if (item.empty_layer === true) return item;
    return used++ < layers.length ? item : { ...item, empty_layer: true };
  });
  for (const layer of layers.slice(Math.min(used, layers.length))) {
    items.push({
      created: goTime(layer.createdAt),
      created_by: layer.description ?? 'created by buildkit',
      comment: 'buildkit.exporter.image.v0',
    });
  }
  let index = 0;
  const timed = items.map((item) => {
    if (item.empty_layer === true) return item;
    const layer = layers[index++];
    return item.created !== undefined || layer === undefined
      ? item
      : { created: goTime(layer.createdAt), ...item };
  });
  return fillTimes(timed);
}

function fillTimes(items: readonly HistoryItem[]): readonly HistoryItem[] {
  let created: string | undefined;
  let gap = false;
  for (const item of items) {
    if (item.created === undefined) gap = true;
    else {
      created = item.created;
      if (gap) break;
    }
  }
  gap = false;
  return items.map((item) => {
    if (item.created !== undefined) {
      if (gap) created = item.created;
      return item;
    }
    gap = true;
    return created === undefined ? item : { created, ...item };
  });
}

/** Clamps the times of all items behind those of the base image to `epoch` (seconds). */
export function clampHistory(
  history: readonly HistoryItem[],
  base: readonly HistoryItem[],
  epoch: number,
): readonly HistoryItem[] {
  let diverged = false;
  return history.map((item, i) => {
    const before = base[i];
    diverged ||= before === undefined || !sameItem(item, before);
    if (!diverged || !isAfter(item.created, epoch)) return item;
    return { ...item, created: goTime(epoch * 1000) };
  });
}

/** Whether a time is later than `epoch` (seconds); an absent one counts as later. */
export function isAfter(created: string | undefined, epoch: number): boolean {
  return created === undefined || !(Date.parse(created) <= epoch * 1000);
}

function sameItem(a: HistoryItem, b: HistoryItem): boolean {
  return (
    a.created === b.created &&
    a.created_by === b.created_by &&
    a.author === b.author &&
    a.comment === b.comment &&
    (a.empty_layer ?? false) === (b.empty_layer ?? false)
  );
}

/** A time as Go's RFC 3339 form with as many digits of the second as needed. */
export function goTime(millis: number): string {
  const seconds = Math.floor(millis / 1000);
  const micros = Math.min(999_999, Math.round((millis - seconds * 1000) * 1000));
  const text = new Date(seconds * 1000).toISOString().slice(0, 19);
  const fraction = String(micros).padStart(6, '0').replace(/0+$/, '');
  return `${text}${fraction === '' ? '' : `.${fraction}`}Z`;
}
