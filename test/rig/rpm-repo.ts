import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { tmpdir, userInfo } from 'node:os';
import { dirname, join } from 'node:path';
import { type Intercept, REPO_TIME, serveFile } from './debian-repo.ts';

const TOOLS = ['rpm', 'rpmbuild', 'rpmsign', 'createrepo_c', 'gpg'];

/** Option for `test()`: packages can be built and signed. */
export const needsRpmTools: { readonly skip?: string } = TOOLS.every((t) =>
  existsSync(`/usr/bin/${t}`),
)
  ? {}
  : { skip: 'rpm, createrepo-c or gpg is not installed' };

/** Option for `test()`: roots can be made of packages too. */
export const needsRpmRoot: { readonly skip?: string } =
  userInfo().uid !== 0
    ? { skip: 'not root' }
    : existsSync('/bin/busybox')
      ? needsRpmTools
      : { skip: 'busybox-static is not installed' };

/** One package to be built. */
export interface TestRpm {
  readonly name: string;
  readonly version?: string;
  readonly release?: string;
  readonly epoch?: number;
  readonly arch?: 'noarch' | 'x86_64' | 'i686';
  /** Lines of the preamble: `Requires: bash`. */
  readonly tags?: readonly string[];
  /** Contents by path. */
  readonly files?: Readonly<Record<string, string>>;
  readonly modes?: Readonly<Record<string, number>>;
  /** A directory whose files the package has, besides `files`. */
  readonly tree?: string;
  /** Lines of `%files`; without them everything there is. */
  readonly listed?: readonly string[];
  /** Lines at the end of `%install`. */
  readonly install?: readonly string[];
  /** Sections behind the description: `%post\n…`. */
  readonly sections?: readonly string[];
  /** Packages without files, made with this one in one go. */
  readonly beside?: readonly string[];
  /** rpm's name of a payload format: `w9.gzdio`, `w3.zstdio`, `w2.xzdio`. */
  readonly payload?: string;
}

const SIGNING = '--batch --pinentry-mode loopback --passphrase ""';

/** A signed repository of rpm packages in a temporary directory, served on loopback. */
export class RpmRepo implements AsyncDisposable {
  readonly root = mkdtempSync(join(tmpdir(), 'varve-rpm-repo-'));
  readonly requests: string[] = [];
  intercept: Intercept = () => false;
  readonly #server: Server;
  readonly #keys = new Map<string, string>();
  #port = 0;

  private constructor() {
    this.#server = createServer((request, response) => this.#serve(request, response));
  }

  static async start(): Promise<RpmRepo> {
    const repo = new RpmRepo();
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

  /** Builds packages and signs them with the key of this name; an empty name leaves them unsigned. */
  add(packages: readonly TestRpm[], key = 'vendor'): void {
    const before = new Set(this.packages());
    for (const p of packages) this.#build(p);
    const made = this.packages().filter((name) => !before.has(name));
    const paths = (made.length > 0 ? made : this.packages()).map((name) =>
      join(this.files, 'Packages', name),
    );
    if (key === '') return;
    const fingerprint = this.#fingerprint(key);
    this.#run('rpmsign', [
      ...['--define', `_gpg_name ${fingerprint}`, '--define', `_gpg_path ${this.#home}`],
      ...['--define', `_gpg_digest_algo sha256`],
      ...['--define', '__gpg /usr/bin/gpg'],
      ...[
        '--define',
        `_gpg_sign_cmd_extra_args ${SIGNING} --faked-system-time=${REPO_TIME - 500}!`,
      ],
      ...['--addsign', ...paths],
    ]);
  }

  /** Names of the files of packages, sorted. */
  packages(): readonly string[] {
    const dir = join(this.files, 'Packages');
    return existsSync(dir) ? readdirSync(dir).sort() : [];
  }

  /** Removes files of packages. */
  remove(...names: readonly string[]): void {
    for (const name of names) rmSync(join(this.files, 'Packages', name));
  }

  /** Writes the metadata, dated `revision` and signed by the key of this name; an empty name leaves it unsigned. */
  publish(options: { readonly key?: string; readonly revision?: number } = {}): void {
    const { key = 'vendor', revision = REPO_TIME } = options;
    rmSync(join(this.files, 'repodata'), { recursive: true, force: true });
    this.#run('createrepo_c', [
      ...['--quiet', '--no-database', '--revision', String(revision)],
      ...['--set-timestamp-to-revision', this.files],
    ]);
    if (key === '') return;
    const repomd = join(this.files, 'repodata/repomd.xml');
    this.gpg(['--local-user', this.#fingerprint(key), '--armor', '--detach-sign', repomd]);
  }

  /** Path of the ASCII-armoured public key of this name. */
  key(name = 'vendor'): string {
    const path = join(this.root, `${name}.asc`);
    writeFileSync(path, this.gpg(['--armor', '--export', this.#fingerprint(name)]));
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

  get #home(): string {
    return join(this.root, 'gnupg');
  }

  #fingerprint(key: string): string {
    const known = this.#keys.get(key);
    if (known !== undefined) return known;
    this.gpg(['--quick-gen-key', `${key} <${key}@repo.example>`, 'rsa2048', 'sign', 'never']);
    const listed = this.gpg(['--with-colons', '--list-keys', `${key}@repo.example`]).toString();
    const fingerprint = /^fpr:+([0-9A-F]{40}):/m.exec(listed)?.[1] ?? '';
    this.#keys.set(key, fingerprint);
    return fingerprint;
  }

  /** Runs gpg with the keys of this repository, at a time before it is dated. */
  gpg(args: readonly string[]): Buffer {
    mkdirSync(this.#home, { recursive: true, mode: 0o700 });
    const common = ['--homedir', this.#home, '--batch', '--yes', '--quiet'];
    const secret = ['--pinentry-mode', 'loopback', '--passphrase', ''];
    const time = `--faked-system-time=${REPO_TIME - 1000}!`;
    return execFileSync('gpg', [...common, ...secret, time, ...args], {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
  }

  #run(program: string, args: readonly string[]): void {
    execFileSync(program, args, {
      cwd: this.root,
      stdio: ['ignore', 'ignore', 'pipe'],
      env: { ...process.env, SOURCE_DATE_EPOCH: String(REPO_TIME - 2000), LC_ALL: 'C' },
    });
  }

  #build(p: TestRpm): void {
    const tree = join(this.root, 'tree', p.name);
    rmSync(tree, { recursive: true, force: true });
    mkdirSync(tree, { recursive: true });
    if (p.tree !== undefined) cpSync(p.tree, tree, { recursive: true, verbatimSymlinks: true });
    for (const [path, content] of Object.entries(p.files ?? {})) {
      mkdirSync(dirname(join(tree, path)), { recursive: true });
      writeFileSync(join(tree, path), content);
      chmodSync(join(tree, path), p.modes?.[path] ?? 0o644);
    }
    const spec = join(this.root, `${p.name}.spec`);
    writeFileSync(spec, specOf(p, tree));
    const macros = {
      _topdir: join(this.root, 'build'),
      _rpmdir: join(this.files, 'Packages'),
      _build_name_fmt: '%%{NAME}-%%{VERSION}-%%{RELEASE}.%%{ARCH}.rpm',
      _binary_payload: p.payload ?? 'w1.gzdio',
      _build_id_links: 'none',
      __os_install_post: '%{nil}',
      debug_package: '%{nil}',
      clamp_mtime_to_source_date_epoch: '1',
      use_source_date_epoch_as_buildtime: '1',
      _buildhost: 'repo.example',
    };
    this.#run('rpmbuild', [
      ...['-bb', '--quiet', '--target', `${p.arch ?? 'noarch'}-linux`],
      ...Object.entries(macros).flatMap(([name, value]) => ['--define', `${name} ${value}`]),
      spec,
    ]);
  }

  #serve(request: IncomingMessage, response: ServerResponse): void {
    const path = decodeURIComponent(new URL(request.url ?? '/', this.uri).pathname);
    const range = request.headers.range === undefined ? '' : ` ${request.headers.range}`;
    this.requests.push(`${path}${range}`);
    if (!this.intercept(request, response)) serveFile(join(this.files, path), request, response);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#server.listening) await this.stop();
    // gpg starts an agent for its home directory.
    if (existsSync(this.#home)) execFileSync('gpgconf', ['--homedir', this.#home, '--kill', 'all']);
    rmSync(this.root, { recursive: true, force: true });
  }
}

function specOf(p: TestRpm, tree: string): string {
  return [
    `Name: ${p.name}`,
    `Version: ${p.version ?? '1'}`,
    `Release: ${p.release ?? '1'}`,
    ...(p.epoch === undefined ? [] : [`Epoch: ${p.epoch}`]),
    `Summary: test package ${p.name}`,
    'License: none',
    'AutoReqProv: no',
    ...(p.arch === undefined || p.arch === 'noarch' ? ['BuildArch: noarch'] : []),
    ...(p.tags ?? []),
    `%description\ntest package ${p.name}`,
    `%install\nmkdir -p %{buildroot}\ncp -a ${tree}/. %{buildroot}/`,
    ...(p.install ?? []),
    ...(p.sections ?? []),
    '%files\n%defattr(-,root,root,-)',
    ...(p.listed ?? allFiles(tree)),
    ...(p.beside ?? []).flatMap((name) => [
      `%package -n ${name}\nSummary: test package ${name}\nAutoReqProv: no`,
      `%description -n ${name}\ntest package ${name}\n%files -n ${name}`,
    ]),
    '',
  ].join('\n');
}

/** Files and links below a directory; directories only when they are empty. */
function allFiles(tree: string): readonly string[] {
  const found = execFileSync('find', [
    ...[tree, '-mindepth', '1', '-type', 'd', '-empty', '-printf', '%%dir "/%P"\\n'],
    ...['-o', '!', '-type', 'd', '-printf', '"/%P"\\n'],
  ]);
  return found
    .toString()
    .split('\n')
    .filter((line) => line !== '')
    .sort();
}

const PROGRAM = '/usr/bin/rpm';

/** This machine's rpm with its libraries and configuration, laid out as rpm distributions have them. */
export function copyRpmInto(tree: string): void {
  copyFile(PROGRAM, join(tree, 'usr/bin/rpm'));
  const listed = execFileSync('ldd', [PROGRAM], { encoding: 'utf8' });
  for (const [, library = ''] of listed.matchAll(/(?:=> )?(\/\S+) \(0x/g))
    copyFile(library, join(tree, 'lib64', library.slice(library.lastIndexOf('/') + 1)));
  for (const name of ['macros', 'rpmrc', 'platform'])
    if (existsSync(`/usr/lib/rpm/${name}`))
      cpSync(`/usr/lib/rpm/${name}`, join(tree, 'usr/lib/rpm', name), { recursive: true });
}

function copyFile(from: string, to: string): void {
  mkdirSync(dirname(to), { recursive: true });
  cpSync(realpathSync(from), to);
}

/** A small system: a shell, accounts, and the rpm that installs packages. */
export function addBaseSystem(repo: RpmRepo): void {
  const shell = join(repo.root, 'shell');
  copyFile('/bin/busybox', join(shell, 'bin/busybox'));
  chmodSync(join(shell, 'bin/busybox'), 0o755);
  for (const applet of [
    'sh',
    'cat',
    'touch',
    'echo',
    'mkdir',
    'ls',
    'rm',
    'ln',
    'sed',
    'sleep',
    'stat',
  ])
    symlinkSync('busybox', join(shell, 'bin', applet));
  const tools = join(repo.root, 'rpm-tree');
  copyRpmInto(tools);
  repo.add([
    {
      name: 'filesystem',
      files: {
        'etc/passwd': 'root:x:0:0:root:/root:/bin/sh\ndaemon:x:2:2:daemon:/:/bin/false\n',
        'etc/group': 'root:x:0:\ndaemon:x:2:\n',
        'etc/shadow': 'root:!:1::::::\n',
      },
      modes: { 'etc/shadow': 0o600 },
      // Without a shell yet: rpm's own interpreter.
      sections: ['%post -p <lua>\nposix.mkdir("/var/made-by-lua")'],
    },
    {
      name: 'bash',
      arch: 'x86_64',
      tree: shell,
      tags: ['Provides: /bin/sh', 'Requires: filesystem'],
    },
    {
      name: 'rpm',
      arch: 'x86_64',
      tree: tools,
      tags: ['Requires: filesystem'],
      payload: 'w1.zstdio',
    },
  ]);
}
