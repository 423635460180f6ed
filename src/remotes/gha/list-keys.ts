import { err, failure, isRecord, ok, parseJson, type Result } from '../../base/index.ts';
import { readCapped, withRetries } from '../../http/index.ts';
import type { EntriesDeps } from './entries.ts';
import type { GhaPlace } from './place.ts';
import { gaveUp, refuseTransient } from './service.ts';

const MAX_ANSWER_BYTES = 4 * 2 ** 20;
const PER_PAGE = 100;
/** GitHub's 10 GB of a repository hold fewer entries than this many pages. */
const MAX_PAGES = 100;

/** The keys of a repository that begin with `prefix`, of one Git ref, by GitHub's REST API ("List GitHub Actions caches"). */
export async function listKeys(
  deps: Pick<EntriesDeps, 'http' | 'clock' | 'retry'>,
  listing: NonNullable<GhaPlace['listing']>,
  what: { readonly prefix: string; readonly branch: string },
  signal: AbortSignal,
): Promise<Result<ReadonlySet<string>>> {
  const keys = new Set<string>();
  for (let page = 1; page <= MAX_PAGES; page++) {
    const base = new URL(listing.api.endsWith('/') ? listing.api : `${listing.api}/`);
    const url = new URL(`repos/${listing.repository}/actions/caches`, base);
    url.searchParams.set('key', what.prefix);
    url.searchParams.set('ref', what.branch);
    url.searchParams.set('per_page', String(PER_PAGE));
    url.searchParams.set('page', String(page));
    const rows = await onePage(deps, url, listing, signal);
    if (!rows.ok) return rows;
    for (const row of rows.value)
      if (isRecord(row) && typeof row['key'] === 'string') keys.add(row['key']);
    if (rows.value.length < PER_PAGE) break;
  }
  return ok(keys);
}

async function onePage(
  deps: Pick<EntriesDeps, 'http' | 'clock' | 'retry'>,
  url: URL,
  listing: NonNullable<GhaPlace['listing']>,
  signal: AbortSignal,
): Promise<Result<readonly unknown[]>> {
  return await withRetries(
    deps.retry,
    signal,
    async () => {
      const headers = {
        authorization: `Bearer ${listing.token.reveal()}`,
        accept: 'application/vnd.github+json',
        'x-github-api-version': '2022-11-28',
      };
      const answer = await deps.http.send(
        { method: 'GET', url, headers, signal },
        { base: url, config: {} },
      );
      refuseTransient(answer, 'listing caches', deps.clock);
      if (answer.status !== 200) {
        answer.drop();
        return err(failure('RC011', 3, `listing caches: GitHub answers ${answer.status}`));
      }
      const bytes = (await readCapped(answer, MAX_ANSWER_BYTES)) ?? new Uint8Array();
      const parsed = parseJson(Buffer.from(bytes).toString('utf8'));
      const rows = parsed.ok && isRecord(parsed.value) ? parsed.value['actions_caches'] : undefined;
      return Array.isArray(rows)
        ? ok<readonly unknown[]>(rows)
        : err(failure('RC012', 3, 'listing caches: GitHub answers something else'));
    },
    { gaveUp: (last) => gaveUp('listing caches', last) },
  );
}
