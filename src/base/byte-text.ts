const UNITS = ['B', 'kB', 'MB', 'GB', 'TB', 'PB'] as const;

/** A size in the largest decimal unit of which there is one. */
function scaled(bytes: number): {
  readonly value: number;
  readonly unit: string;
  readonly exact: boolean;
} {
  let [value, at] = [bytes, 0];
  for (; value >= 1000 && at < UNITS.length - 1; at++) value /= 1000;
  return { value, unit: UNITS[at] ?? '', exact: at === 0 };
}

/** Size in a column, as BuildKit prints it: `32B`, `2.07kB`, `1.03MB`. */
export function formatBytes(bytes: number): string {
  const { value, unit, exact } = scaled(bytes);
  return `${exact ? value : value.toFixed(2)}${unit}`;
}

/** Size in a sentence: `32 B`, `2.1 kB`. */
export function bytesText(bytes: number): string {
  const { value, unit, exact } = scaled(bytes);
  return `${exact ? value : value.toFixed(1)} ${unit}`;
}

/** Size as one writes it in a policy: `10GB`, `1.5GB`. */
export function formatSize(bytes: number): string {
  const { value, unit } = scaled(bytes);
  return `${Number(value.toPrecision(4))}${unit}`;
}
