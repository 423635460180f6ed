import { execFileSync, spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

/** A file as the server has it. */
export interface ServedFile {
  readonly body: string | Uint8Array;
  readonly etag?: string;
  readonly lastModified?: string;
}

/** What a path answers: a file, a status, a redirect, or a broken answer first and then a file. */
export type Served =
  | ServedFile
  | { readonly status: number }
  | { readonly redirect: string }
  | { failures: number; readonly then: ServedFile };

/** A file server on loopback that remembers what it was asked: `GET /a 200`. */
export class FileServer implements AsyncDisposable {
  readonly files = new Map<string, Served>();
  readonly #server: Server;
  #seen: string[] = [];

  private constructor() {
    this.#server = createServer((request, response) => this.#answer(request, response));
  }

  static async start(): Promise<FileServer> {
    const server = new FileServer();
    await listen(server.#server);
    return server;
  }

  url(path: string): string {
    return `http://127.0.0.1:${portOf(this.#server)}${path}`;
  }

  /** Requests since the last call. */
  seen(): readonly string[] {
    const seen = this.#seen;
    this.#seen = [];
    return seen;
  }

  #answer(request: IncomingMessage, response: ServerResponse): void {
    const path = new URL(request.url ?? '/', 'http://server').pathname;
    const served = this.files.get(path) ?? { status: 404 };
    const end = (
      status: number,
      headers: Record<string, string>,
      body?: string | Uint8Array,
    ): void => {
      this.#seen.push(`GET ${path} ${status}`);
      response.writeHead(status, headers).end(body);
    };
    if ('status' in served) end(served.status, {});
    else if ('redirect' in served) end(302, { location: served.redirect });
    else if ('failures' in served && served.failures > 0) {
      served.failures--;
      end(503, {});
    } else {
      const file = 'then' in served ? served.then : served;
      const { etag, lastModified, body } = file;
      const headers = {
        ...(etag === undefined ? {} : { etag }),
        ...(lastModified === undefined ? {} : { 'last-modified': lastModified }),
      };
      const same = etag !== undefined && request.headers['if-none-match'] === etag;
      if (same) end(304, headers);
      else end(200, headers, body);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await close(this.#server);
  }
}

/** A repository of git behind smart HTTP (`git http-backend`), which can ask for an `Authorization` header. */
export class GitServer implements AsyncDisposable {
  readonly #root = mkdtempSync(join(tmpdir(), 'varve-git-'));
  readonly #server: Server;
  readonly #wanted: string | undefined;
  /** Repositories that are elsewhere: name to address. */
  readonly moved = new Map<string, string>();

  private constructor(wanted: string | undefined) {
    this.#wanted = wanted;
    this.#server = createServer((request, response) => this.#answer(request, response));
  }

  static async start(options: { readonly authorization?: string } = {}): Promise<GitServer> {
    const server = new GitServer(options.authorization);
    await listen(server.#server);
    return server;
  }

  url(name: string): string {
    return `http://127.0.0.1:${portOf(this.#server)}/${name}.git`;
  }

  /** Where the repositories lie. */
  get root(): string {
    return this.#root;
  }

  /** Runs git in a repository, which is made when absent; the time of commits is fixed. */
  git(name: string, ...args: readonly string[]): string {
    const cwd = join(this.#root, `${name}.git`);
    mkdirSync(cwd, { recursive: true });
    const env = {
      PATH: process.env['PATH'],
      HOME: this.#root,
      GIT_CONFIG_NOSYSTEM: '1',
      GIT_ALLOW_PROTOCOL: 'file:http',
      ...{ GIT_AUTHOR_NAME: 'a', GIT_AUTHOR_EMAIL: 'a@b' },
      ...{ GIT_COMMITTER_NAME: 'a', GIT_COMMITTER_EMAIL: 'a@b' },
      ...{ GIT_AUTHOR_DATE: '2024-02-03T04:05:06Z', GIT_COMMITTER_DATE: '2024-02-03T04:05:06Z' },
    };
    return execFileSync('git', args, { cwd, env, encoding: 'utf8', stdio: 'pipe' }).trim();
  }

  /** Commits files and gives the id of the commit, a SHA-1 unless it is said. */
  commit(
    name: string,
    files: Readonly<Record<string, string>>,
    objectFormat: 'sha1' | 'sha256' = 'sha1',
  ): string {
    const dir = join(this.#root, `${name}.git`);
    this.git(name, 'init', '--quiet', '-b', 'main', `--object-format=${objectFormat}`, '.');
    for (const [path, content] of Object.entries(files)) {
      mkdirSync(dirname(join(dir, path)), { recursive: true });
      writeFileSync(join(dir, path), content, { mode: path.endsWith('.sh') ? 0o755 : 0o644 });
    }
    this.git(name, 'add', '--all');
    this.git(name, 'commit', '--quiet', '-m', 'files');
    return this.git(name, 'rev-parse', 'HEAD');
  }

  #answer(request: IncomingMessage, response: ServerResponse): void {
    if (this.#wanted !== undefined && request.headers.authorization !== this.#wanted) {
      response.writeHead(401, { 'www-authenticate': 'Basic realm="git"' }).end();
      return;
    }
    const url = new URL(request.url ?? '/', 'http://server');
    const [, name = '', rest = ''] = /^\/(\w+)\.git(\/.*)$/.exec(request.url ?? '') ?? [];
    const moved = this.moved.get(name);
    if (moved !== undefined)
      return void response.writeHead(301, { location: `${moved}${rest}` }).end();
    const child = spawn('git', ['http-backend'], {
      env: {
        PATH: process.env['PATH'],
        GIT_PROJECT_ROOT: this.#root,
        GIT_HTTP_EXPORT_ALL: '1',
        PATH_INFO: url.pathname.replace(/\.git\//, '.git/.git/'),
        QUERY_STRING: url.search.slice(1),
        REQUEST_METHOD: request.method,
        CONTENT_TYPE: request.headers['content-type'] ?? '',
        HTTP_CONTENT_ENCODING: request.headers['content-encoding'] ?? '',
        GIT_PROTOCOL: String(request.headers['git-protocol'] ?? ''),
      },
      stdio: ['pipe', 'pipe', 'ignore'],
    });
    request.pipe(child.stdin);
    const chunks: Buffer[] = [];
    child.stdout.on('data', (chunk: Buffer) => chunks.push(chunk));
    child.once('close', () => cgi(Buffer.concat(chunks), response));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await close(this.#server);
    rmSync(this.#root, { recursive: true, force: true });
  }
}

/** An answer in the form of CGI (RFC 3875, section 6). */
function cgi(output: Buffer, response: ServerResponse): void {
  const end = output.indexOf('\r\n\r\n');
  let status = 200;
  for (const line of output.subarray(0, end).toString('latin1').split('\r\n')) {
    const [name = '', value = ''] = line.split(': ');
    if (name === 'Status') status = Number.parseInt(value, 10);
    else if (name !== '') response.setHeader(name, value);
  }
  response.writeHead(status).end(output.subarray(end + 4));
}

function portOf(server: Server): number {
  // A server that listens on a port has such an address.
  return (server.address() as AddressInfo).port;
}

async function listen(server: Server): Promise<void> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
}

async function close(server: Server): Promise<void> {
  server.closeAllConnections();
  await new Promise<void>((resolve) => server.close(() => resolve()));
}
