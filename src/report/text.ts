import { neutralise } from '../base/index.ts';

export { bytesText } from '../base/index.ts';

/** Seconds with as many digits as are meant. */
export function secondsText(ms: number): string {
  if (ms >= 120_000) return `${(ms / 60_000).toFixed(1)} min`;
  return `${(ms / 1000).toFixed(ms < 10_000 ? 2 : 1)} s`;
}

/** UTC, to the minute. */
export function dateText(at: number): string {
  return `${new Date(at).toISOString().slice(0, 16).replace('T', ' ')} UTC`;
}

/** A share in whole percent. */
export function percent(part: number, whole: number): string {
  return whole === 0 ? '' : `${Math.round((100 * part) / whole)} %`;
}

/** Text for HTML; control characters would be no HTML. */
export function escapeHtml(text: string): string {
  return text
    .split('\n')
    .map(neutralise)
    .join('\n')
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;');
}
