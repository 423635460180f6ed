import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { getCACertificates, setDefaultCACertificates } from 'node:tls';
import { ok, type Result, Secret, sha256 } from '../../src/base/index.ts';
import { createContentStore } from '../../src/content/index.ts';
import { createGitRepositories, createHttpFiles } from '../../src/fetch/index.ts';
import { Fetcher, refuseStatus } from '../../src/packages/http.ts';
import { type Credential, createRegistry } from '../../src/registry/index.ts';
import { createCacheServices } from '../../src/remotes/index.ts';
import { actionsToken } from '../rig/actions-cache.ts';
import { note } from '../rig/golden.ts';
import { type Answered, type Recorded, Recorder } from '../rig/recorder.ts';
import { type KeyPair, makeKeyPair } from '../rig/token-server.ts';

const { signal } = new AbortController();
const SECRET = 'hunter2-very-secret';
const ENCODED = Buffer.from(`me:${SECRET}`).toString('base64');
const MAIN = 'refs/heads/main';
const OTHER = { mediaType: 'application/octet-stream', digest: sha256('y'), size: 1 };
const BLOB = { mediaType: 'application/octet-stream', digest: sha256('x'), size: 1 };

/** Where a client asks, and what it may use. */
interface Place {
  readonly url: string;
  readonly host: string;
  readonly dir: string;
  readonly pair: KeyPair;
  readonly moved: Recorder;
}

/** Something that sends credentials to a server which then points elsewhere. */
interface Client {
  readonly name: string;
  ask(place: Place): Promise<Result<unknown>>;
  /** What the server answers instead of pointing elsewhere. */
  first?(request: Recorded, place: Place): Answered | undefined;
}

const RETRY = { tries: 1, firstPauseMs: 1, maxPauseMs: 1 };
const clock = { now: (): number => performance.timeOrigin + performance.now() };
const has = ({ all }: Recorded): boolean => all.includes(SECRET) || all.includes(ENCODED);

async function asRegistry(
  { url, dir, pair }: Place,
  credential: Credential,
  use: (registry: ReturnType<typeof createRegistry>) => Promise<Result<unknown>>,
): Promise<Result<unknown>> {
  const content = createContentStore(join(dir, 'content'));
  await content.put(Buffer.from('x'));
  const ca = readFileSync(pair.certificate, 'utf8');
  await using registry = createRegistry({
    ...{ content, clock, retry: RETRY, stallMs: 2000 },
    credentials: () => Promise.resolve(ok(credential)),
    hosts: () => (url.startsWith('https:') ? { ca } : { plainHttp: true }),
  });
  return await use(registry);
}

const password: Credential = { kind: 'password', username: 'me', password: SECRET };
const identity: Credential = { kind: 'identity', token: SECRET };
const basic = (request: Recorded): Answered | undefined =>
  has(request) ? undefined : { status: 401, headers: { 'www-authenticate': 'Basic realm="x"' } };
const bearer = (request: Recorded, { url }: Place): Answered | undefined =>
  request.path.startsWith('/token')
    ? undefined
    : {
        status: 401,
        headers: { 'www-authenticate': `Bearer realm="${url}/token",service="s",scope="r"` },
      };

async function asService(
  dir: string,
  use: (services: ReturnType<typeof createCacheServices>) => Promise<Result<unknown>>,
): Promise<Result<unknown>> {
  const content = createContentStore(join(dir, 'content'));
  await content.put(Buffer.from('x'));
  await using services = createCacheServices({
    ...{ content, clock, retry: RETRY, stallMs: 2000, busyPauseMs: 1 },
  });
  return await use(services);
}

const obtain = (): Promise<Result<void>> => Promise.resolve(ok(undefined));
const gha = (url: string): Parameters<ReturnType<typeof createCacheServices>['open']>[0] => ({
  ...{ kind: 'gha', scope: 'x', branch: MAIN, pack: false },
  account: { url, token: new Secret(actionsToken({ [MAIN]: 3 }, SECRET)), timeoutMs: 5000 },
});
const s3 = (url: string): Parameters<ReturnType<typeof createCacheServices>['open']>[0] => ({
  ...{ kind: 's3', bucket: 'b', region: 'r', names: ['n'], prefix: '', blobsPrefix: 'blobs/' },
  ...{ manifestsPrefix: 'm/', endpoint: url, pathStyle: true, parallel: 1, touchRefreshMs: 0 },
  credentials: {
    accessKeyId: new Secret('AKIDEXAMPLE'),
    secretAccessKey: new Secret('other-key'),
    sessionToken: new Secret(SECRET),
  },
  attempts: 1,
});

async function asFile(
  dir: string,
  address: string,
  authorization?: string,
): Promise<Result<unknown>> {
  const content = createContentStore(join(dir, 'content'));
  await using files = createHttpFiles({
    ...{ content, clock: { now: () => 0 } },
    retry: { firstPauseMs: 1 },
  });
  return await files.fetch(address, {
    signal,
    ...(authorization === undefined ? {} : { authorization }),
  });
}

async function asGit(
  { dir, pair }: Place,
  url: string,
  authorization?: string,
): Promise<Result<unknown>> {
  mkdirSync(join(dir, 'git'), { recursive: true });
  const held = { waited: false, [Symbol.asyncDispose]: () => Promise.resolve() };
  const repositories = createGitRepositories({
    env: { PATH: process.env['PATH'] ?? '', GIT_SSL_CAINFO: pair.certificate },
    root: join(dir, 'git'),
    workDir: join(dir, 'git'),
    locks: { lock: () => Promise.resolve(held), tryLock: () => Promise.resolve(held) },
  });
  const remote = { url, ...(authorization === undefined ? {} : { authorization }) };
  return await repositories.resolve(remote, 'main', { signal });
}

const withUser = (url: string): string => url.replace('://', `://me:${SECRET}@`);

const CLIENTS: readonly Client[] = [
  {
    name: 'manifest of a registry',
    ask: (at) => asRegistry(at, password, (r) => r.manifest(`${at.host}/app:1`, { signal })),
    first: basic,
  },
  {
    name: 'blob of a registry',
    ask: (at) => asRegistry(at, password, (r) => r.pullBlob(`${at.host}/app:1`, OTHER, { signal })),
    first: basic,
  },
  {
    name: 'upload to a registry',
    ask: (at) => asRegistry(at, password, (r) => r.pushBlob(`${at.host}/app:1`, BLOB, { signal })),
    first: (request) =>
      basic(request) ?? (request.all.startsWith('HEAD') ? { status: 404 } : undefined),
  },
  {
    name: 'upload whose location is elsewhere',
    ask: (at) => asRegistry(at, password, (r) => r.pushBlob(`${at.host}/app:1`, BLOB, { signal })),
    first: (request, { moved }) =>
      basic(request) ??
      (request.all.startsWith('HEAD')
        ? { status: 404 }
        : { status: 202, headers: { location: `${moved.url}/moved/upload` } }),
  },
  {
    name: 'password for a token server',
    ask: (at) => asRegistry(at, password, (r) => r.manifest(`${at.host}/app:1`, { signal })),
    first: bearer,
  },
  {
    name: 'refresh token for a token server',
    ask: (at) => asRegistry(at, identity, (r) => r.manifest(`${at.host}/app:1`, { signal })),
    first: bearer,
  },
  {
    name: 'ADD with a header',
    ask: ({ dir, url }) => asFile(dir, `${url}/f`, `Basic ${ENCODED}`),
  },
  { name: 'ADD with user and password', ask: ({ dir, url }) => asFile(dir, withUser(`${url}/f`)) },
  {
    name: 'packages with user and password',
    ask: async ({ host, url }) => {
      await using fetcher = new Fetcher({
        proxyFor: () => undefined,
        authorization: (target) => (target.host === host ? `Basic ${ENCODED}` : undefined),
      });
      return await fetcher.get(`${url}/f`, { signal }, (answer) =>
        Promise.resolve(refuseStatus(`${url}/f`, answer.status)),
      );
    },
  },
  {
    name: 'git with a header',
    ask: (at) => asGit(at, `${at.url}/repo.git`, `Basic ${ENCODED}`),
  },
  { name: 'git with user and password', ask: (at) => asGit(at, withUser(`${at.url}/repo.git`)) },
  {
    name: 's3 read',
    ask: ({ dir, url }) =>
      asService(dir, (s) => s.open(s3(url)).read(BLOB, { signal, maxBytes: 100 })),
  },
  {
    name: 's3 write',
    ask: ({ dir, url }) => asService(dir, (s) => s.open(s3(url)).write(BLOB, { signal, obtain })),
    first: ({ all }) => (all.startsWith('HEAD') ? { status: 404 } : undefined),
  },
  {
    name: 'gha read',
    ask: ({ dir, url }) =>
      asService(dir, (s) => s.open(gha(url)).read(BLOB, { signal, maxBytes: 100 })),
  },
  {
    name: 'gha write',
    ask: ({ dir, url }) => asService(dir, (s) => s.open(gha(url)).write(BLOB, { signal, obtain })),
  },
  {
    name: 'gha upload under a signed address',
    ask: ({ dir, url }) => asService(dir, (s) => s.open(gha(url)).write(BLOB, { signal, obtain })),
    first: ({ path }, { url }) =>
      path.includes('CreateCacheEntry')
        ? {
            status: 200,
            body: JSON.stringify({ ok: true, signed_upload_url: `${url}/up?sig=${SECRET}` }),
          }
        : path.includes('/twirp/')
          ? { status: 404, body: JSON.stringify({ code: 'not_found', msg: '' }) }
          : undefined,
  },
];

interface Route {
  readonly name: string;
  readonly from: 'http' | 'https';
  readonly to: 'http' | 'https';
  readonly address: string;
}

const ROUTES: readonly Route[] = [
  { name: 'another port', from: 'http', to: 'http', address: '127.0.0.1' },
  { name: 'another host', from: 'http', to: 'http', address: '127.0.0.2' },
  { name: 'another host over https', from: 'https', to: 'https', address: '127.0.0.2' },
  { name: 'http from https', from: 'https', to: 'http', address: '127.0.0.1' },
];

const line = (text: string): string => {
  const bytes = Buffer.byteLength(text) + 4;
  return bytes.toString(16).padStart(4, '0') + text;
};

/** What makes a client of git go on to its second request. */
const ADVERTISEMENT: Answered = {
  status: 200,
  headers: { 'content-type': 'application/x-git-upload-pack-advertisement' },
  body: `${line('# service=git-upload-pack\n')}0000${line('version 2\n')}${line('ls-refs\n')}0000`,
};

async function outcome(client: Client, route: Route, pair: KeyPair): Promise<readonly string[]> {
  const dir = mkdtempSync(join(tmpdir(), 'varve-redirect-'));
  const secure = (scheme: string): { readonly pair?: KeyPair } =>
    scheme === 'https' ? { pair } : {};
  await using moved = await Recorder.start(
    { ...secure(route.to), address: route.address },
    ({ path }) => (path.includes('/info/refs') ? ADVERTISEMENT : { status: 404 }),
  );
  await using home = await Recorder.start(secure(route.from), (request) => {
    const place: Place = { url: home.url, host: home.host, dir, pair, moved };
    const own = client.first?.(request, place);
    // Only git's question is repeated: a server that copies a signed address into its answer gives it away itself.
    const path = request.path.includes('/info/refs')
      ? request.path
      : (request.path.split('?')[0] ?? '');
    return own ?? { status: 307, headers: { location: `${moved.url}/moved${path}` } };
  });
  try {
    const place: Place = { url: home.url, host: home.host, dir, pair, moved };
    const result = await client.ask(place);
    const wrong: string[] = [];
    const where = `${client.name} to ${route.name}`;
    if (!home.seen.some(has)) wrong.push(`${where}: no credentials were sent at all`);
    for (const request of moved.seen.filter(has))
      wrong.push(`${where}: the secret went to ${request.path.split('?')[0] ?? ''}`);
    if (result.ok) wrong.push(`${where}: succeeded`);
    else {
      const said = JSON.stringify([result.error.message, result.error.help, result.error.details]);
      if (said.includes(SECRET) || said.includes(ENCODED)) wrong.push(`${where}: said ${said}`);
      if (route.from === 'https' && route.to === 'http') {
        if (moved.seen.length > 0) wrong.push(`${where}: followed`);
        if (!/from https to http|not encrypted/.test(said))
          wrong.push(`${where}: only said ${said}`);
      }
    }
    return wrong;
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}

test('no credentials follow a redirect to another port, host or scheme, and none leads from https to http', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'varve-redirect-'));
  const before = getCACertificates('default');
  try {
    const pair = await makeKeyPair(dir, 'server');
    setDefaultCACertificates([...before, readFileSync(pair.certificate, 'utf8')]);
    const wrong: string[] = [];
    for (const client of CLIENTS)
      for (const route of ROUTES) wrong.push(...(await outcome(client, route, pair)));
    assert.deepEqual(wrong, []);
    note(
      `redirects: ${CLIENTS.length} clients x ${ROUTES.length} ways elsewhere, no credential left`,
    );
  } finally {
    setDefaultCACertificates(before);
    rmSync(dir, { recursive: true, force: true });
  }
});
