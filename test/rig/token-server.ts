import { execFile } from 'node:child_process';
import { createPrivateKey, sign, X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);

/** Files of a key and its self-signed certificate for 127.0.0.1. */
export interface KeyPair {
  readonly certificate: string;
  readonly key: string;
}

/** Makes a key pair in a directory. */
export async function makeKeyPair(dir: string, name: string): Promise<KeyPair> {
  const [certificate, key] = [join(dir, `${name}.crt`), join(dir, `${name}.key`)];
  const args = '-x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2'.split(' ');
  const subject = ['-subj', `/CN=${name}`, '-addext', 'subjectAltName=IP:127.0.0.1,IP:127.0.0.2'];
  await run('openssl', ['req', ...args, ...subject, '-keyout', key, '-out', certificate]);
  return { certificate, key };
}

/** What a token server was asked: who, how, for which scopes. */
export interface TokenRequest {
  readonly method: string;
  readonly user: string;
  readonly scopes: readonly string[];
}

/** A server of token authentication (distribution, "Token Authentication Specification"). */
export interface TokenServer extends AsyncDisposable {
  readonly realm: string;
  readonly service: string;
  readonly issuer: string;
  readonly seen: TokenRequest[];
}

/**
 * Starts a token server that signs with `pair`. Anonymous users may pull from `public/…`; the password and the refresh token
 * of `me` (`secret-word` and `secret-refresh`) allow everything.
 */
export async function startTokenServer(
  pair: KeyPair,
  options: { readonly expiresIn?: number } = {},
): Promise<TokenServer> {
  const key = createPrivateKey(await readFile(pair.key));
  const certificate = new X509Certificate(await readFile(pair.certificate)).raw.toString('base64');
  const seen: TokenRequest[] = [];
  const [service, issuer] = ['test-registry', 'test-issuer'];
  const server = createServer((req, res) => {
    void answer(req).then((body) =>
      body === undefined
        ? res.writeHead(401).end('{}')
        : res.writeHead(200, { 'content-type': 'application/json' }).end(body),
    );
  });
  async function answer(req: IncomingMessage): Promise<string | undefined> {
    const parts: Buffer[] = [];
    for await (const chunk of req) parts.push(chunk as Buffer);
    const url = new URL(req.url ?? '/', 'http://x');
    const form = new URLSearchParams(Buffer.concat(parts).toString());
    const query = req.method === 'POST' ? form : url.searchParams;
    const user = req.method === 'POST' ? byRefreshToken(form) : byPassword(req);
    if (user === undefined) return undefined;
    const scopes = query.getAll('scope').flatMap((s) => s.split(' '));
    seen.push({ method: req.method ?? '', user, scopes });
    const now = Math.floor(Date.now() / 1000);
    const claims = {
      iss: issuer,
      sub: user,
      aud: query.get('service'),
      exp: now + 60,
      nbf: now - 10,
      iat: now,
      jti: String(seen.length),
      access: scopes.flatMap((scope) => allowed(scope, user)),
    };
    const text = [{ typ: 'JWT', alg: 'ES256', x5c: [certificate] }, claims]
      .map((part) => Buffer.from(JSON.stringify(part)).toString('base64url'))
      .join('.');
    const signature = sign('sha256', Buffer.from(text), { key, dsaEncoding: 'ieee-p1363' });
    const token = `${text}.${signature.toString('base64url')}`;
    return JSON.stringify({ token, expires_in: options.expiresIn ?? 60 });
  }
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  // A TCP server's address is of this type.
  const { port } = server.address() as AddressInfo;
  return {
    realm: `http://127.0.0.1:${port}/token`,
    service,
    issuer,
    seen,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}

function byPassword(req: IncomingMessage): string | undefined {
  const { authorization } = req.headers;
  if (authorization === undefined) return 'anonymous';
  const right = Buffer.from('me:secret-word').toString('base64');
  return authorization === `Basic ${right}` ? 'me' : undefined;
}

function byRefreshToken(form: URLSearchParams): string | undefined {
  const right = form.get('grant_type') === 'refresh_token';
  return right && form.get('refresh_token') === 'secret-refresh' ? 'me' : undefined;
}

function allowed(scope: string, user: string): readonly unknown[] {
  const [type, name = '', actions = ''] = scope.split(':');
  const granted = actions
    .split(',')
    .filter((a) => user === 'me' || (a === 'pull' && name.startsWith('public/')));
  return granted.length === 0 ? [] : [{ type, name, actions: granted }];
}
