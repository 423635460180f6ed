import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/** One answer before it is sent. */
export interface OddAnswer {
  status: number;
  headers: Record<string, string>;
  body: Buffer;
}

/** What is unusual about a registry. */
export interface Oddity {
  /** Changes an answer, or gives one before the request is looked at (`answer` is undefined then). */
  readonly change?: (request: OddRequest, answer: OddAnswer) => OddAnswer;
  readonly instead?: (request: OddRequest) => OddAnswer | undefined;
  /** Sends an answer in its own way. */
  readonly send?: (res: ServerResponse, answer: OddAnswer) => Promise<void> | void;
  /** Lists referrers, so many a page. */
  readonly referrers?: number;
}

/** What is asked. */
export interface OddRequest {
  readonly method: string;
  readonly path: string;
  readonly query: URLSearchParams;
  readonly body: Buffer;
}

/** A registry in memory. */
export interface OddRegistry extends AsyncDisposable {
  readonly host: string;
  /** Manifests by repository and name, and blobs by repository and digest. */
  readonly kept: Map<string, Buffer>;
  /** `METHOD kind` of what was asked, in order. */
  readonly seen: string[];
}

const digestOf = (bytes: Buffer): string =>
  `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
const answer = (status: number, headers: Record<string, string> = {}, body = ''): OddAnswer => ({
  status,
  headers,
  body: Buffer.from(body),
});

/** Starts a registry that does what the distribution specification says, and what `oddity` says otherwise. */
export async function startOddRegistry(oddity: Oddity = {}): Promise<OddRegistry> {
  const kept = new Map<string, Buffer>();
  const seen: string[] = [];
  const server = createServer((req, res) => {
    void respond(req, res).catch(() => res.destroy());
  }).listen(0, '127.0.0.1');
  async function respond(req: IncomingMessage, res: ServerResponse): Promise<void> {
    const url = new URL(req.url ?? '', 'http://registry');
    const parts: Buffer[] = [];
    for await (const part of req) parts.push(part as Buffer);
    const request = {
      ...{ method: req.method ?? '', path: url.pathname },
      ...{ query: url.searchParams, body: Buffer.concat(parts) },
    };
    const kind = /manifests|blobs\/uploads|blobs|referrers/.exec(url.pathname)?.[0] ?? 'other';
    seen.push(`${request.method} ${kind.replace('blobs/', '')}`);
    const usual = oddity.instead?.(request) ?? usually(kept, request, oddity);
    const given = oddity.change?.(request, usual) ?? usual;
    if (oddity.send !== undefined) {
      await oddity.send(res, given);
      return;
    }
    res.writeHead(given.status, {
      'content-length': String(given.body.length),
      ...given.headers,
    });
    res.end(request.method === 'HEAD' ? undefined : given.body);
  }
  await once(server, 'listening');
  // A TCP server's address is of this type.
  const { port } = server.address() as AddressInfo;
  return {
    ...{ host: `127.0.0.1:${port}`, kept, seen },
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}

function usually(kept: Map<string, Buffer>, request: OddRequest, oddity: Oddity): OddAnswer {
  const { method, path, query, body } = request;
  const [, repository = '', kind = '', name = ''] =
    /^\/v2\/(.+)\/(manifests|blobs\/uploads|blobs|referrers)\/(.*)$/.exec(path) ?? [];
  const key = `${repository}/${kind}/${name}`;
  if (kind === 'referrers')
    return oddity.referrers === undefined
      ? answer(404)
      : referrers(kept, repository, name, { page: oddity.referrers, query });
  if (kind === 'blobs/uploads') {
    if (method === 'POST') return answer(202, { location: `/v2/${repository}/blobs/uploads/u1` });
    const digest = query.get('digest') ?? '';
    if (method !== 'PUT' || digestOf(body) !== digest) return answer(400);
    kept.set(`${repository}/blobs/${digest}`, body);
    return answer(201, { location: `/v2/${repository}/blobs/${digest}` });
  }
  if (kind === 'manifests' && method === 'PUT') {
    const digest = digestOf(body);
    for (const each of [name, digest]) kept.set(`${repository}/manifests/${each}`, body);
    // A manifest of the image specification, as the tests push them.
    const { subject } = JSON.parse(String(body)) as { readonly subject?: { digest: string } };
    const knows = subject !== undefined && oddity.referrers !== undefined;
    return answer(201, {
      ...{ location: path, 'docker-content-digest': digest },
      ...(knows ? { 'oci-subject': subject.digest } : {}),
    });
  }
  const found = kept.get(key);
  if (found === undefined) return answer(404);
  const type = kind === 'manifests' ? mediaType(found) : 'application/octet-stream';
  return {
    ...{ status: 200, body: found },
    headers: { 'content-type': type, 'docker-content-digest': digestOf(found) },
  };
}

function mediaType(manifest: Buffer): string {
  // As above.
  return (JSON.parse(String(manifest)) as { readonly mediaType: string }).mediaType;
}

/** The list of referrers in pages, unfiltered, as a registry may give it. */
function referrers(
  kept: ReadonlyMap<string, Buffer>,
  repository: string,
  subject: string,
  { page, query }: { readonly page: number; readonly query: URLSearchParams },
): OddAnswer {
  const manifests = [...kept]
    .filter(([key]) => key.startsWith(`${repository}/manifests/sha256:`))
    .flatMap(([, bytes]) => {
      // As above.
      const json = JSON.parse(String(bytes)) as {
        readonly subject?: { readonly digest: string };
        readonly artifactType?: string;
        readonly mediaType: string;
      };
      const { artifactType, mediaType } = json;
      return json.subject?.digest === subject
        ? [{ mediaType, digest: digestOf(bytes), size: bytes.length, artifactType }]
        : [];
    });
  const from = Number(query.get('from') ?? '0');
  const more = from + page < manifests.length;
  return answer(
    200,
    {
      'content-type': 'application/vnd.oci.image.index.v1+json',
      ...(more
        ? { link: `</v2/${repository}/referrers/${subject}?from=${from + page}>; rel="next"` }
        : {}),
    },
    JSON.stringify({
      schemaVersion: 2,
      mediaType: 'application/vnd.oci.image.index.v1+json',
      manifests: manifests.slice(from, from + page),
    }),
  );
}
