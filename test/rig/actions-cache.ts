import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { isRecord, parseJson } from '../../src/base/index.ts';
import type { Fault, SeenRequest } from './registry.ts';

const DAY_MS = 86_400_000;
/** GitHub removes entries that nobody asked for in so many days, and the oldest above so many bytes. */
const LIFE_DAYS = 7;

/** An entry whose upload has ended. */
export interface ActionsEntry {
  readonly key: string;
  readonly version: string;
  readonly scope: string;
  readonly data: Buffer;
  accessed: number;
}

/** A server with the cache service of GitHub Actions (v2, Twirp with JSON), block blobs under signed addresses, and the REST list. */
export interface ActionsCache extends AsyncDisposable {
  readonly url: string;
  readonly seen: SeenRequest[];
  /** The entries that there are now; tests may change them. */
  readonly entries: ActionsEntry[];
  /** Lets time pass; what grew too old is removed. */
  advance(days: number): void;
  /** Requests of one kind so far. */
  count(part: string): number;
}

/** A runtime token with rights: 1 reads, 3 reads and writes. */
export function actionsToken(rights: Readonly<Record<string, number>>, secret = 'c2ln'): string {
  const part = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url');
  const ac = JSON.stringify(
    Object.entries(rights).map(([Scope, Permission]) => ({ Scope, Permission })),
  );
  return `${part({ alg: 'none' })}.${part({ ac, nbf: 0, exp: 4_000_000_000 })}.${secret}`;
}

/** Starts the server. `fault` decides for each request; bytes above `limitBytes` push out what was not asked for longest. */
export async function startActionsCache(
  options: {
    readonly limitBytes?: number;
    readonly fault?: (request: SeenRequest, count: number) => Fault | undefined;
  } = {},
): Promise<ActionsCache> {
  const state = new State(options.limitBytes ?? 10 * 2 ** 30);
  const seen: SeenRequest[] = [];
  const server = createServer((req, res) => {
    const { method = '', url = '', headers } = req;
    const request: SeenRequest = { method, path: url, headers, answered: 0, sent: 0 };
    seen.push(request);
    countAnswer(res, request);
    void state.answer(req, res, options.fault?.(request, seen.length)).catch(() => res.destroy());
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  // A TCP server's address is of this type.
  const { port } = server.address() as AddressInfo;
  state.url = `http://127.0.0.1:${port}`;
  return {
    url: `${state.url}/`,
    seen,
    entries: state.entries,
    advance: (days) => state.advance(days),
    count: (part) => seen.filter((r) => `${r.method} ${r.path}`.includes(part)).length,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}

/** Counts the bytes of an answer's body. */
function countAnswer(res: ServerResponse, request: SeenRequest): void {
  const end = res.end.bind(res) as (...args: readonly unknown[]) => ServerResponse;
  res.end = ((...args: readonly unknown[]) => {
    const [body] = args;
    if (typeof body === 'string' || body instanceof Uint8Array) request.answered = body.length;
    return end(...args);
  }) as ServerResponse['end'];
}

interface Upload {
  readonly key: string;
  readonly version: string;
  readonly scope: string;
  readonly blocks: Map<string, Buffer>;
  data?: Buffer;
  /** It is an entry now, which may go and be made again. */
  ended?: boolean;
}

class State {
  url = '';
  readonly entries: ActionsEntry[] = [];
  readonly #uploads: Upload[] = [];
  readonly #limit: number;
  #now = 0;

  constructor(limit: number) {
    this.#limit = limit;
  }

  advance(days: number): void {
    this.#now += days * DAY_MS;
    this.#evict();
  }

  #evict(): void {
    const old = (e: ActionsEntry): boolean => this.#now - e.accessed >= LIFE_DAYS * DAY_MS;
    for (const entry of this.entries.filter(old)) this.#remove(entry);
    const total = (): number => this.entries.reduce((sum, e) => sum + e.data.length, 0);
    while (total() > this.#limit) {
      const oldest = this.entries.toSorted((a, b) => a.accessed - b.accessed)[0];
      if (oldest === undefined) return;
      this.#remove(oldest);
    }
  }

  #remove(entry: ActionsEntry): void {
    this.entries.splice(this.entries.indexOf(entry), 1);
  }

  async answer(req: IncomingMessage, res: ServerResponse, fault: Fault | undefined): Promise<void> {
    if (fault?.kind === 'reset') return void req.socket.resetAndDestroy();
    if (fault?.kind === 'stall') return;
    const parts: Buffer[] = [];
    for await (const chunk of req) parts.push(chunk as Buffer);
    if (fault?.kind === 'status')
      return void res.writeHead(fault.status, fault.headers).end(fault.body ?? '');
    const url = new URL(req.url ?? '/', this.url);
    const body = Buffer.concat(parts);
    // Each request is a moment later than the one before.
    this.#now++;
    if (url.pathname.startsWith('/twirp/')) {
      this.#rpc(req, res, url, body);
      return;
    }
    if (url.pathname.startsWith('/api/')) {
      this.#list(res, url);
      return;
    }
    if (url.searchParams.get('sig') !== 's+g/=') return void res.writeHead(403).end();
    if (req.method === 'PUT') {
      this.#put(res, url, body);
      return;
    }
    this.#get(req, res, url, fault);
  }

  #rpc(req: IncomingMessage, res: ServerResponse, url: URL, body: Buffer): void {
    const json = (status: number, value: unknown): void =>
      void res.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(value));
    const rights = rightsOf(req.headers.authorization);
    if (rights === undefined) {
      json(401, { code: 'unauthenticated', msg: 'bad token' });
      return;
    }
    const parsed = parseJson(body.toString());
    const {
      key,
      version,
      restore_keys: prefixes,
    } = (parsed.ok && isRecord(parsed.value) ? parsed.value : {}) as {
      key: string;
      version: string;
      restore_keys?: string[];
    };
    const writable = rights.find((r) => (r.Permission & 2) !== 0)?.Scope;
    const method = url.pathname.split('/').at(-1);
    if (method === 'GetCacheEntryDownloadURL') {
      const found = this.#find(key, prefixes ?? [], version, rights);
      if (found === undefined) {
        json(200, { ok: false });
        return;
      }
      found.accessed = this.#now;
      const id = createHash('sha256')
        .update(`${found.scope}|${found.key}|${version}`)
        .digest('hex');
      const at = `${this.url}/blob/d-${id}?sv=2020&sig=s%2Bg%2F%3D`;
      json(200, { ok: true, signed_download_url: at, matched_key: found.key });
      return;
    }
    if (writable === undefined) {
      json(403, { code: 'permission_denied', msg: 'read only' });
      return;
    }
    const same = (e: { key: string; version: string; scope: string }): boolean =>
      e.key === key && e.version === version && e.scope === writable;
    if (method === 'CreateCacheEntry') {
      if (this.entries.some(same) || this.#uploads.some((u) => u.ended !== true && same(u))) {
        json(409, { code: 'already_exists', msg: 'cache entry already exists' });
        return;
      }
      this.#uploads.push({ key, version, scope: writable, blocks: new Map() });
      const at = `${this.url}/blob/u-${this.#uploads.length - 1}?sv=2020&sig=s%2Bg%2F%3D`;
      json(200, { ok: true, signed_upload_url: at });
      return;
    }
    const upload = this.#uploads.find((u) => same(u) && u.ended !== true && u.data !== undefined);
    const size = isRecord(parsed.ok ? parsed.value : 0)
      ? Number((parsed as { value: { size_bytes: unknown } }).value.size_bytes)
      : -1;
    if (upload?.data?.length !== size) {
      json(400, { code: 'invalid', msg: 'wrong size' });
      return;
    }
    upload.ended = true;
    this.entries.push({ key, version, scope: writable, data: upload.data, accessed: this.#now });
    this.#evict();
    json(200, { ok: true, entry_id: String(this.entries.length) });
  }

  /** Exact keys come before prefixes, an earlier right before a later one, new entries before old ones. */
  #find(
    key: string,
    prefixes: readonly string[],
    version: string,
    rights: readonly { readonly Scope: string }[],
  ): ActionsEntry | undefined {
    for (const { Scope } of rights) {
      const mine = this.entries.filter((e) => e.scope === Scope && e.version === version);
      const exact = mine.findLast((e) => e.key === key);
      if (exact !== undefined) return exact;
      for (const prefix of prefixes) {
        const found = mine.findLast((e) => e.key.startsWith(prefix));
        if (found !== undefined) return found;
      }
    }
    return undefined;
  }

  #list(res: ServerResponse, url: URL): void {
    const [prefix, ref] = [url.searchParams.get('key') ?? '', url.searchParams.get('ref')];
    const rows = this.entries.filter((e) => e.scope === ref && e.key.startsWith(prefix));
    const [page, size] = [url.searchParams.get('page'), url.searchParams.get('per_page')].map(
      Number,
    ) as [number, number];
    const caches = rows.slice((page - 1) * size, page * size).map(({ key }) => ({ key }));
    res.writeHead(200).end(JSON.stringify({ total_count: rows.length, actions_caches: caches }));
  }

  #put(res: ServerResponse, url: URL, body: Buffer): void {
    const upload = this.#uploads[Number(url.pathname.split('-')[1])];
    if (upload === undefined) return void res.writeHead(404).end();
    const block = url.searchParams.get('blockid');
    if (url.searchParams.get('comp') === 'block' && block !== null) upload.blocks.set(block, body);
    else if (url.searchParams.get('comp') === 'blocklist') {
      const ids = [...body.toString().matchAll(/<(?:Latest|Uncommitted)>([^<]+)</g)].map(
        (m) => m[1] ?? '',
      );
      upload.data = Buffer.concat(ids.map((id) => upload.blocks.get(id) ?? Buffer.from('missing')));
    } else upload.data = body;
    res
      .writeHead(201, { etag: '"e"', 'x-ms-request-id': 'r', date: new Date(0).toUTCString() })
      .end();
  }

  #get(req: IncomingMessage, res: ServerResponse, url: URL, fault: Fault | undefined): void {
    const id = url.pathname.split('-')[1];
    const entry = this.entries.find(
      (e) => createHash('sha256').update(`${e.scope}|${e.key}|${e.version}`).digest('hex') === id,
    );
    if (entry === undefined) return void res.writeHead(404).end();
    const data = fault?.kind === 'alter' ? fault.change(entry.data) : entry.data;
    const range = /^bytes=(\d+)-(\d*)$/.exec(
      String(req.headers['x-ms-range'] ?? req.headers.range ?? ''),
    );
    const [start, end] =
      range === null
        ? [0, data.length]
        : [Number(range[1]), range[2] === '' ? data.length : Number(range[2]) + 1];
    const part = data.subarray(start, end);
    res.writeHead(range === null ? 200 : 206, {
      'content-length': String(part.length),
      ...(range === null
        ? {}
        : { 'content-range': `bytes ${start}-${start + part.length - 1}/${data.length}` }),
      etag: '"e"',
      'last-modified': new Date(0).toUTCString(),
      'x-ms-blob-type': 'BlockBlob',
    });
    if (req.method === 'HEAD') return void res.end();
    if (fault?.kind !== 'truncate') return void res.end(part);
    res.write(part.subarray(0, fault.after), () => req.socket.destroy());
  }
}

function rightsOf(
  header: string | undefined,
): readonly { readonly Scope: string; readonly Permission: number }[] | undefined {
  const payload = parseJson(
    Buffer.from((header ?? '').replace(/^Bearer /, '').split('.')[1] ?? '', 'base64url').toString(),
  );
  const ac =
    payload.ok && isRecord(payload.value) ? parseJson(String(payload.value['ac'])) : undefined;
  // Tokens of the tests have this shape.
  return ac?.ok === true ? (ac.value as { Scope: string; Permission: number }[]) : undefined;
}
