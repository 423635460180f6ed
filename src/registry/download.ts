import { err, failure, ok, type Result } from '../base/index.ts';
import { bodyFrom, downloadInto, type HttpRequest } from '../http/index.ts';
import type { Descriptor } from '../oci/index.ts';
import type { TransferProgress } from '../ports/index.ts';
import { type Client, pullScope } from './client.ts';
import { statusFailure } from './errors.ts';
import type { Endpoint } from './hosts.ts';

interface Options {
  readonly signal: AbortSignal;
  readonly progress?: TransferProgress;
}

/** Downloads one blob from one endpoint into the store: what arrived before a failure is kept and asked for no more. */
export async function downloadBlob(
  client: Client,
  at: { readonly endpoint: Endpoint; readonly path: string },
  blob: Descriptor,
  options: Options,
): Promise<Result<void>> {
  return await downloadInto(client.content, blob, {
    ...options,
    retry: client.retry,
    open: (start) => open(client, at, blob, { signal: options.signal, start }),
    damaged: (why) =>
      failure('RG006', 3, `blob ${blob.digest} of ${at.endpoint.host}/${at.path}: ${why.message}`),
  });
}

async function open(
  client: Client,
  at: { readonly endpoint: Endpoint; readonly path: string },
  blob: Descriptor,
  options: { readonly signal: AbortSignal; readonly start: number },
): Promise<Result<AsyncIterable<Uint8Array>>> {
  const { endpoint, path } = at;
  const { start } = options;
  const request: HttpRequest = {
    method: 'GET',
    url: new URL(`/v2/${path}/blobs/${blob.digest}`, endpoint.base),
    headers: start > 0 ? { range: `bytes=${start}-` } : {},
    signal: options.signal,
  };
  const answer = await client.session.send(request, { endpoint, scopes: [pullScope(path)] });
  if (!answer.ok) return answer;
  const body = bodyFrom(answer.value, start);
  if (body === 'other-range') {
    return err(
      failure(
        'RG004',
        3,
        `blob ${blob.digest}: the registry serves another range than was asked for`,
      ),
    );
  }
  if (body !== undefined) return ok(body);
  return err(await statusFailure(request, answer.value, client.secrets));
}
