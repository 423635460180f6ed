import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { type AddressInfo, connect, createServer as createTcp } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** A real `docker-registry` process on a free loopback port. */
export interface RegistryProcess extends AsyncDisposable {
  /** `127.0.0.1:PORT`: what references begin with. */
  readonly host: string;
  readonly url: string;
  stop(): Promise<void>;
}

/** How the registry asks who one is, and whether it speaks TLS. */
export interface RegistryRigOptions {
  /** An htpasswd file (bcrypt) for basic authentication. */
  readonly htpasswd?: string;
  /** Token authentication: the server's realm and the certificate its tokens are signed with. */
  readonly token?: {
    readonly realm: string;
    readonly service: string;
    readonly issuer: string;
    readonly bundle: string;
  };
  readonly tls?: { readonly certificate: string; readonly key: string };
  /** Where it keeps its blobs, when not in a directory of its own. */
  readonly data?: string;
}

/** Starts a registry and waits until it accepts connections. */
export async function startRegistry(options: RegistryRigOptions = {}): Promise<RegistryProcess> {
  const dir = await mkdtemp(join(tmpdir(), 'varve-registry-'));
  const port = await freePort();
  const host = `127.0.0.1:${port}`;
  const config = join(dir, 'config.yml');
  await writeFile(config, yaml(dir, host, options));
  const child = spawn('docker-registry', ['serve', config], { stdio: 'ignore' });
  const ended = once(child, 'exit');
  const stop = async (): Promise<void> => {
    child.kill('SIGKILL');
    await ended;
    await rm(dir, { recursive: true, force: true });
  };
  try {
    await accepting(port, ended);
  } catch (e) {
    await stop();
    throw e;
  }
  const url = `${options.tls === undefined ? 'http' : 'https'}://${host}`;
  return { host, url, stop, [Symbol.asyncDispose]: stop };
}

function yaml(dir: string, host: string, options: RegistryRigOptions): string {
  const { htpasswd, token, tls } = options;
  const lines = [
    'version: 0.1',
    'log: {level: error, accesslog: {disabled: true}}',
    `storage: {filesystem: {rootdirectory: ${options.data ?? join(dir, 'data')}}, delete: {enabled: true}}`,
    'http:',
    `  addr: ${host}`,
    ...(tls === undefined ? [] : [`  tls: {certificate: ${tls.certificate}, key: ${tls.key}}`]),
    ...(htpasswd === undefined ? [] : [`auth: {htpasswd: {realm: test, path: ${htpasswd}}}`]),
    ...(token === undefined
      ? []
      : [
          `auth: {token: {realm: "${token.realm}", service: ${token.service}, issuer: ${token.issuer}, rootcertbundle: ${token.bundle}}}`,
        ]),
  ];
  return `${lines.join('\n')}\n`;
}

async function freePort(): Promise<number> {
  const server = createTcp().listen(0, '127.0.0.1');
  await once(server, 'listening');
  // A TCP server's address is of this type.
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

/** Connects until the process listens; ends with it. */
async function accepting(port: number, ended: Promise<unknown>): Promise<void> {
  const state = { dead: false };
  void ended.then(() => (state.dead = true));
  for (;;) {
    const open = await new Promise<boolean>((resolve) => {
      const socket = connect(port, '127.0.0.1');
      socket.on('connect', () => {
        socket.destroy();
        resolve(true);
      });
      socket.on('error', () => resolve(false));
    });
    if (open) return;
    if (state.dead) throw new Error('docker-registry ended before it listened');
  }
}

/** What a proxy does with one request instead of passing it on. */
export type Fault =
  | {
      readonly kind: 'status';
      readonly status: number;
      readonly headers?: Readonly<Record<string, string>>;
      readonly body?: string;
    }
  | { readonly kind: 'reset' }
  /** Passes on the head and so many bytes of the body, then breaks the connection. */
  | { readonly kind: 'truncate'; readonly after: number }
  /** Never answers. */
  | { readonly kind: 'stall' }
  /** Answers with other bytes than there are. */
  | { readonly kind: 'alter'; readonly change: (body: Buffer) => Buffer }
  | { readonly kind: 'redirect'; readonly to: string };

/** One request as the proxy saw it. */
export interface SeenRequest {
  readonly method: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  /** Bytes of the answer's body, once it was sent. */
  answered: number;
  /** Bytes of the request's body. */
  sent: number;
}

/** A server in front of a registry that fails on demand and remembers what it was asked. */
export interface FaultyProxy extends AsyncDisposable {
  readonly host: string;
  readonly seen: SeenRequest[];
}

/** Starts a proxy; `fault` decides for each request (without an upstream every undecided one is a 404). */
export async function startFaultyProxy(
  upstream: string | undefined,
  fault: (request: SeenRequest, count: number) => Fault | undefined,
  options: { readonly address?: string } = {},
): Promise<FaultyProxy> {
  const { address = '127.0.0.1' } = options;
  const seen: SeenRequest[] = [];
  const server = createServer((req, res) => {
    const request: SeenRequest = {
      ...{ method: req.method ?? '', path: req.url ?? '', headers: req.headers },
      ...{ answered: 0, sent: 0 },
    };
    seen.push(request);
    const chosen = fault(request, seen.length);
    void answer(chosen).catch(() => res.destroy());
    async function answer(what: Fault | undefined): Promise<void> {
      if (what?.kind === 'reset') return void req.socket.resetAndDestroy();
      if (what?.kind === 'stall') return;
      if (what?.kind === 'status')
        return void res.writeHead(what.status, what.headers).end(what.body ?? '');
      if (what?.kind === 'redirect') return void res.writeHead(307, { location: what.to }).end();
      if (upstream === undefined) return void res.writeHead(404).end();
      const parts: Buffer[] = [];
      for await (const chunk of req) parts.push(chunk as Buffer);
      request.sent = parts.reduce((sum, part) => sum + part.length, 0);
      const {
        host: _host,
        connection: _connection,
        'transfer-encoding': _encoding,
        expect: _expect,
        ...headers
      } = req.headers;
      const up = await fetch(`${upstream}${req.url ?? ''}`, {
        method: req.method ?? 'GET',
        // Node's incoming headers as fetch takes them: no list among those sent here.
        headers: headers as Record<string, string>,
        redirect: 'manual',
        ...(req.method === 'GET' || req.method === 'HEAD' ? {} : { body: Buffer.concat(parts) }),
      });
      const own = `http://${req.headers.host ?? ''}`;
      const out = Object.fromEntries(
        [...up.headers].map(([k, v]) => [k, v.replace(upstream, own)]),
      );
      const whole = Buffer.from(await up.arrayBuffer());
      const body = what?.kind === 'alter' ? what.change(whole) : whole;
      if (what?.kind === 'alter') out['content-length'] = String(body.length);
      request.answered = body.length;
      res.writeHead(up.status, out);
      if (what?.kind !== 'truncate') return void res.end(body);
      res.write(body.subarray(0, what.after), () => req.socket.destroy());
    }
  }).listen(0, address);
  await once(server, 'listening');
  // A TCP server's address is of this type.
  const { port } = server.address() as AddressInfo;
  return {
    host: `${address}:${port}`,
    seen,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}
