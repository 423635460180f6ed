import { redact } from '../base/index.ts';

/** Statuses that name another address (RFC 9110, section 15.4). */
export const REDIRECTS: ReadonlySet<number> = new Set([301, 302, 303, 307, 308]);

/** Where a redirect leads, or why it is not followed. */
export type Redirect =
  | { readonly ok: true; readonly to: URL; readonly sameOrigin: boolean }
  | { readonly ok: false; readonly why: string };

/** Judges the `Location` of an answer from `from`: what began encrypted does not go on in plain text. */
export function judgeRedirect(from: URL, location: string): Redirect {
  const refused = `refused redirect to ${redact(location)}`;
  if (!URL.canParse(location, from.href)) return { ok: false, why: `${refused}: it is no address` };
  const to = new URL(location, from);
  if (to.protocol !== 'http:' && to.protocol !== 'https:')
    return { ok: false, why: `${refused}: it is neither http nor https` };
  if (from.protocol === 'https:' && to.protocol === 'http:')
    return { ok: false, why: `${refused}: it leads from https to http` };
  return { ok: true, to, sameOrigin: to.origin === from.origin };
}
