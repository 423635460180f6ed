import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { gzipSync } from 'node:zlib';

/** Tools that the rig needs; option for `test()`. */
export const needsDebianTools: { readonly skip?: string } = [
  'dpkg-deb',
  'apt-ftparchive',
  'gpg',
].every((tool) => existsSync(`/usr/bin/${tool}`))
  ? {}
  : { skip: 'dpkg-dev, apt-utils or gpg is not installed' };

/** One package to be built: control fields, files by path, maintainer scripts by name. */
export interface TestPackage {
  readonly name: string;
  readonly version?: string;
  readonly fields?: Readonly<Record<string, string>>;
  readonly files?: Readonly<Record<string, string>>;
  readonly scripts?: Readonly<Record<string, string>>;
  /** A directory whose files the package has, besides `files`. */
  readonly tree?: string;
  /** Modes of files, where they are not 0644. */
  readonly modes?: Readonly<Record<string, number>>;
  /** Compressor of dpkg-deb: xz, gzip, zstd, none. */
  readonly compression?: string;
}

/** Fields of the Release file to set; an empty value leaves a field out. */
export type ReleaseFields = Readonly<Record<string, string>>;

/** Answers a request itself (true), or leaves it to the repository's files. */
export type Intercept = (request: IncomingMessage, response: ServerResponse) => boolean;

/** Seconds since the epoch at which the rig's packages and Release files are made. */
export const REPO_TIME = 1_760_000_000;

/** A signed Debian repository in a temporary directory, served on loopback. */
export class DebianRepo implements AsyncDisposable {
  readonly root: string;
  readonly #server: Server;
  readonly #keys = new Map<string, string>();
  readonly requests: string[] = [];
  intercept: Intercept = () => false;
  #port = 0;

  private constructor() {
    this.root = mkdtempSync(join(tmpdir(), 'varve-repo-'));
    this.#server = createServer((request, response) => this.#serve(request, response));
  }

  static async start(): Promise<DebianRepo> {
    const repo = new DebianRepo();
    mkdirSync(repo.files, { recursive: true });
    await new Promise<void>((resolve) => repo.#server.listen(0, '127.0.0.1', resolve));
    const address = repo.#server.address();
    repo.#port = typeof address === 'object' && address !== null ? address.port : 0;
    return repo;
  }

  get uri(): string {
    return `http://127.0.0.1:${this.#port}`;
  }

  get files(): string {
    return join(this.root, 'files');
  }

  /** Builds packages into the pool. */
  add(...packages: readonly TestPackage[]): void {
    for (const p of packages) this.#build(p);
  }

  /** Writes Packages, Release and InRelease of a suite, signed by the key of this name. */
  publish(
    suite: string,
    options: { readonly key?: string; readonly fields?: ReleaseFields } = {},
  ): void {
    const binary = join(this.files, 'dists', suite, 'main/binary-amd64');
    mkdirSync(binary, { recursive: true });
    const index = this.#run('apt-ftparchive', ['packages', 'pool']);
    writeFileSync(join(binary, 'Packages'), index);
    writeFileSync(join(binary, 'Packages.gz'), gzipSync(index));
    const set: Record<string, string> = {
      Origin: 'Debian',
      Suite: suite,
      Codename: suite,
      Architectures: 'amd64',
      Components: 'main',
      Date: new Date(REPO_TIME * 1000).toUTCString().replace('GMT', 'UTC'),
      ...options.fields,
    };
    const flags = Object.entries(set).flatMap(([name, value]) =>
      value === '' ? [] : ['-o', `APT::FTPArchive::Release::${name}=${value}`],
    );
    const listed = this.#run('apt-ftparchive', [...flags, 'release', `dists/${suite}`]).toString();
    const wanted = Object.entries(set)
      .filter(([name, value]) => value !== '' && !new RegExp(`^${name}: `, 'm').test(listed))
      .map(([name, value]) => `${name}: ${value}\n`)
      .join('');
    const dated = listed.replace(/^Date: .*$/m, `Date: ${set['Date'] ?? ''}`);
    this.sign(suite, `${wanted}${dated}`, options.key ?? 'archive');
  }

  /** Signs a text as the InRelease file of a suite. */
  sign(suite: string, text: string, key: string): void {
    const at = join(this.files, 'dists', suite, 'InRelease');
    const plain = join(this.root, 'Release');
    writeFileSync(plain, text);
    rmSync(at, { force: true });
    this.#gpg(['--local-user', this.#fingerprint(key), '--clearsign', '--output', at, plain]);
  }

  /** Path of the keyring with the public key of this name. */
  keyring(key = 'archive'): string {
    const path = join(this.root, `${key}.gpg`);
    writeFileSync(path, this.#gpg(['--export', this.#fingerprint(key)]));
    return path;
  }

  /** Rewrites a served file. */
  edit(path: string, change: (bytes: Buffer) => Buffer | string): void {
    const at = join(this.files, path);
    writeFileSync(at, change(readFileSync(at)));
  }

  /** Stops serving; later connections are refused. */
  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #fingerprint(key: string): string {
    const known = this.#keys.get(key);
    if (known !== undefined) return known;
    this.#gpg(['--quick-gen-key', `${key} <${key}@repo.example>`, 'ed25519', 'sign', 'never']);
    const listed = this.#gpg(['--with-colons', '--list-keys', `${key}@repo.example`]).toString();
    const fingerprint = /^fpr:+([0-9A-F]{40}):/m.exec(listed)?.[1] ?? '';
    this.#keys.set(key, fingerprint);
    return fingerprint;
  }

  #gpg(args: readonly string[]): Buffer {
    const home = join(this.root, 'gnupg');
    mkdirSync(home, { recursive: true, mode: 0o700 });
    const time = `--faked-system-time=${REPO_TIME - 1000}!`;
    const common = [
      '--homedir',
      home,
      '--batch',
      '--quiet',
      '--pinentry-mode',
      'loopback',
      '--passphrase',
      '',
    ];
    return execFileSync('gpg', [...common, time, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
  }

  #run(program: string, args: readonly string[]): Buffer {
    return execFileSync(program, args, {
      cwd: this.files,
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, SOURCE_DATE_EPOCH: String(REPO_TIME - 2000), LC_ALL: 'C' },
    });
  }

  #build(p: TestPackage): void {
    const { name, version = '1.0', fields = {}, files = {}, scripts = {} } = p;
    const tree = join(this.root, 'build', `${name}-${version}`);
    rmSync(tree, { recursive: true, force: true });
    const control = {
      Package: name,
      Version: version,
      Architecture: 'amd64',
      Maintainer: 'Nobody <nobody@repo.example>',
      Description: `test package ${name}`,
      ...fields,
    };
    if (p.tree !== undefined) cpSync(p.tree, tree, { recursive: true, verbatimSymlinks: true });
    mkdirSync(join(tree, 'DEBIAN'), { recursive: true });
    const text = Object.entries(control).map(([key, value]) => `${key}: ${value}\n`);
    writeFileSync(join(tree, 'DEBIAN/control'), text.join(''));
    for (const [script, body] of Object.entries(scripts))
      writeFileSync(join(tree, 'DEBIAN', script), body, { mode: 0o755 });
    for (const [path, content] of Object.entries(files)) {
      mkdirSync(dirname(join(tree, path)), { recursive: true });
      writeFileSync(join(tree, path), content);
      chmodSync(join(tree, path), p.modes?.[path] ?? 0o644);
    }
    const to = `pool/main/${name}_${version.replace(':', '%3a')}_amd64.deb`;
    mkdirSync(dirname(join(this.files, to)), { recursive: true });
    this.#run('dpkg-deb', [
      '--root-owner-group',
      `-Z${p.compression ?? 'gzip'}`,
      '--build',
      tree,
      to,
    ]);
  }

  /** Adds a file that something else made. */
  addFile(from: string, to: string): void {
    mkdirSync(dirname(join(this.files, to)), { recursive: true });
    cpSync(from, join(this.files, to));
  }

  #serve(request: IncomingMessage, response: ServerResponse): void {
    const path = decodeURIComponent(new URL(request.url ?? '/', this.uri).pathname);
    const range = request.headers.range === undefined ? '' : ` ${request.headers.range}`;
    this.requests.push(`${path}${range}`);
    if (this.intercept(request, response)) return;
    serveFile(join(this.files, path), request, response);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#server.listening) await this.stop();
    // gpg starts an agent for its home directory.
    if (existsSync(join(this.root, 'gnupg')))
      execFileSync('gpgconf', ['--homedir', join(this.root, 'gnupg'), '--kill', 'all']);
    rmSync(this.root, { recursive: true, force: true });
  }
}

/** Answers with a file: conditional and ranged requests are understood. */
export function serveFile(at: string, request: IncomingMessage, response: ServerResponse): void {
  if (!existsSync(at)) {
    response.writeHead(404).end();
    return;
  }
  const bytes = readFileSync(at);
  const etag = `"${createHash('sha256').update(bytes).digest('hex')}"`;
  if (request.headers['if-none-match'] === etag) {
    response.writeHead(304, { etag }).end();
    return;
  }
  const start = Number(/^bytes=(\d+)-$/.exec(request.headers.range ?? '')?.[1] ?? 0);
  const length = bytes.length - start;
  const ranged =
    start > 0 ? { 'content-range': `bytes ${start}-${bytes.length - 1}/${bytes.length}` } : {};
  response.writeHead(start > 0 ? 206 : 200, { etag, 'content-length': length, ...ranged });
  response.end(bytes.subarray(start));
}
