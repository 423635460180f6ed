import type { Finding } from '../advice/index.ts';
import type { MeasuredCost } from '../analyze/index.ts';
import { bytesText } from '../base/index.ts';
import { formatSeconds } from './progress/text.ts';

/** A finding and what it has cost. */
export interface Advice {
  readonly finding: Finding;
  /** Absent: no build with these instructions is known, or the rule is about no time. */
  readonly cost?: MeasuredCost;
}

/** Bytes for people, in powers of 1000. */
export const byteText = (bytes: number): string =>
  bytes < 1000 ? `${bytes} bytes` : bytesText(bytes);

/** What a finding has cost, or why that is not known. */
export function costText({ blame, contextBytes }: Finding, cost: MeasuredCost | undefined): string {
  const parts: string[] = [];
  if (contextBytes !== undefined) parts.push(`${byteText(contextBytes)} of the context`);
  if (blame.kind === 'none' && parts.length === 0) return 'not a matter of time';
  if (cost === undefined) {
    if (blame.kind !== 'none') parts.push('no history');
    return parts.join('; ');
  }
  const runs = `${cost.misses} ${cost.misses === 1 ? 'execution' : 'executions'} in ${cost.builds} ${cost.builds === 1 ? 'build' : 'builds'}`;
  parts.push(`${runs}, ${formatSeconds(cost.seconds * 1000)}`);
  if (cost.bytes !== undefined) parts.push(`${byteText(cost.bytes)} written`);
  return parts.join('; ');
}
