import { hexOf, sha256 } from '../base/index.ts';

/** Longest tag of the distribution specification (`/^[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}$/`). */
const MAX_TAG = 128;

/** The tag of something that belongs to the cache with the tag `tag`; one that would be too long is shortened to a digest. */
export function furtherName(tag: string, further: string): string {
  const whole = `${tag}.${further}`;
  if (whole.length <= MAX_TAG) return whole;
  const digest = hexOf(sha256(whole)).slice(0, 32);
  return `${whole.slice(0, MAX_TAG - digest.length - 1)}.${digest}`;
}
