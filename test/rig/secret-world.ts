import { execFileSync } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { actionsToken, startActionsCache } from './actions-cache.ts';
import { Leaks } from './leaks.ts';
import { Recorder } from './recorder.ts';
import { startFaultyProxy, startRegistry } from './registry.ts';
import { GitServer } from './remote.ts';
import { BUSYBOX, Rig } from './rig.ts';
import { S3_KEY, startS3 } from './s3.ts';

/** A world whose every credential is a secret that can be searched for, with servers that want them. */
export class SecretWorld implements AsyncDisposable {
  readonly rig = new Rig();
  readonly leaks = new Leaks();
  readonly stack = new AsyncDisposableStack();
  /** What the servers saw, as text: to know that a secret was used at all. */
  readonly sent: string[] = [];
  readonly inputs = join(this.rig.root, 'inputs');
  readonly #bin = join(this.rig.root, 'bin');
  readonly calls = join(this.rig.root, 'calls');
  readonly values = new Map<string, string>();
  env: Readonly<Record<string, string>> = {};
  hosts: Readonly<Record<string, string>> = {};
  /** Servers that refuse whoever has credentials, and tell all that they were sent; by what they answer. */
  refusing: Readonly<Record<string, string>> = {};

  static async start(): Promise<SecretWorld> {
    const world = new SecretWorld();
    world.stack.use(world.rig);
    for (const dir of [world.inputs, world.#bin]) mkdirSync(dir);
    world.#shims();
    await world.#servers();
    return world;
  }

  /** The secret of a channel, made when first asked for. */
  of(channel: string): string {
    const known = this.values.get(channel) ?? this.leaks.secret(channel);
    this.values.set(channel, known);
    return known;
  }

  /** Channels whose secret no server saw, but for those that steps are given or that sign: these are checked otherwise. */
  unused(): readonly string[] {
    const all = this.sent.join('\n');
    const decoded = [...all.matchAll(/\bbasic ([A-Za-z0-9+/=]+)/gi)].map(([, text]) =>
      Buffer.from(text ?? '', 'base64').toString('latin1'),
    );
    const seen = `${all}\n${decoded.join('\n')}`;
    return [...this.values]
      .filter(([channel, value]) => !UNSENT.test(channel) && !seen.includes(value))
      .map(([channel]) => channel);
  }

  /** Puts a Dockerfile, a bake file and a template with credentials where they are not searched for. */
  write(dockerfile: string): void {
    const put = (name: string, text: string): void => writeFileSync(join(this.inputs, name), text);
    mkdirSync(join(this.inputs, 'app'));
    put('app/Dockerfile', dockerfile);
    const git = `http://me:${this.of('user of a repository')}@${this.hosts['gitUser'] ?? ''}`;
    const args = { HTTP_PROXY: `http://me:${this.of('proxy of steps')}@p.invalid:1` };
    const app = { context: `${git}/repo.git#main`, contexts: { ctx: `${git}/repo.git` }, args };
    put(
      'bake.json',
      JSON.stringify({ target: { app: { ...app, output: ['type=local,dest=baked'] } } }),
    );
    const mirror = `http://me:${this.of('user of a mirror')}@127.0.0.1:1/debian`;
    put('os.yml', `suite: bookworm\nmirrors:\n  - uri: ${mirror}\npackages: [base-files]\n`);
  }

  /** Each writes down its arguments, and its environment where that is not the whole of the user's or meant for secrets. */
  #shims(): void {
    const calls = `'${this.calls}'`;
    const environment =
      "tr '\\0' '\\n' < /proc/$$/environ | grep -vE '^(GIT_CONFIG_VALUE_|https?_proxy=)'";
    for (const name of ['git', 'runc', 'ssh']) {
      const real = (process.env['PATH'] ?? '')
        .split(':')
        .map((dir) => join(dir, name))
        .find((path) => existsSync(path));
      // What a runtime is given on a disk is looked through when it starts: later it is gone.
      const disk =
        name === 'runc' ? `find '${this.rig.store}/run' -xdev -type f -exec cat {} +;` : '';
      const text = `#!/bin/sh\n{ printf '%s\\n' "called ${name}" "$@"; ${environment}; ${disk} } >> ${calls} 2>&1\nexec ${real ?? name} "$@"\n`;
      writeFileSync(join(this.#bin, name), text, { mode: 0o755 });
    }
    const helper = `#!/bin/sh\nprintf '%s\\n' "called helper" "$@" >> ${calls}\ncat >/dev/null\nprintf '{"Username":"me","Secret":"%s"}' "$(cat ${this.inputs}/helper)"\n`;
    writeFileSync(join(this.#bin, 'docker-credential-rig'), helper, { mode: 0o755 });
  }

  async #servers(): Promise<void> {
    const { stack, sent } = this;
    const proxy = stack.use(
      await Recorder.start({}, ({ all }) => {
        sent.push(all);
        return { status: all.includes(basic(this.of('proxy'))) ? 200 : 407, body: 'far' };
      }),
    );
    const wanted = (path: string): string | undefined =>
      path.startsWith('/user')
        ? basic(this.of('user of an address'))
        : path.startsWith('/context')
          ? basic(this.of('user of the address of a context'))
          : undefined;
    const files = stack.use(
      await Recorder.start({}, ({ all, path, authorization }) => {
        sent.push(all);
        return authorization === wanted(path)
          ? { status: 200, body: 'FROM scratch\nCOPY context /x\n' }
          : { status: 401 };
      }),
    );
    const git = stack.use(await GitServer.start());
    git.commit('repo', { Dockerfile: 'FROM scratch\nCOPY sub /x\n', 'sub/f': 'x\n' });
    const guarded = async (upstream: string, channel: (path: string) => string): Promise<string> =>
      stack.use(
        await startFaultyProxy(upstream, (request) => {
          sent.push(JSON.stringify(request));
          const want = channel(request.path);
          if (request.headers['authorization'] === want) return undefined;
          const headers = { 'www-authenticate': 'Basic realm="r"' };
          return { kind: 'status', status: 401, headers, body: JSON.stringify(request) };
        }),
      ).host;
    const base = new URL(git.url('repo')).origin;
    const token = (channel: string): string =>
      `basic ${Buffer.from(`x-access-token:${this.of(channel)}`).toString('base64')}`;
    const gitToken = await guarded(base, () => token('git token'));
    const gitUser = await guarded(base, () => basic(this.of('user of a repository')));
    const gitHeader = await guarded(base, () => `Bearer ${this.of('git header')}`);
    const registry = stack.use(await startRegistry());
    const basicHost = await guarded(registry.url, () => basic(this.of('registry password')));
    const helperHost = await guarded(registry.url, () => basic(this.of('credential helper')));
    const tokenHost = await this.#tokenRegistry(registry.url, 'token');
    const identityHost = await this.#tokenRegistry(registry.url, 'identity');
    const refusals: (readonly [string, string])[] = [['no such name', 'nowhere.invalid']];
    const s3 = stack.use(await startS3());
    const s3Front = await startFaultyProxy(s3.url, (request) => {
      sent.push(JSON.stringify(request));
      return undefined;
    });
    stack.use(s3Front);
    const actions = stack.use(
      await startActionsCache({
        fault: (request) => {
          sent.push(JSON.stringify(request));
          return undefined;
        },
      }),
    );
    this.hosts = {
      ...{ files: files.host, gitToken, gitUser, gitHeader, git: new URL(base).host },
      ...{ basic: basicHost, helper: helperHost, token: tokenHost, identity: identityHost },
      ...{ s3: s3Front.host, gha: actions.url, proxy: proxy.host },
    };
    for (const status of [401, 403, 500]) {
      const refusing = await Recorder.start({}, ({ all, authorization }) => {
        sent.push(all);
        return authorization === undefined
          ? { status: 401, headers: { 'www-authenticate': 'Basic realm="r"' } }
          : { status, body: `${String(status)}: ${all}` };
      });
      refusals.push([String(status), stack.use(refusing).host]);
    }
    this.refusing = Object.fromEntries(refusals);
    this.#inputs();
  }

  /** A registry behind a token server: the token is a secret too. */
  async #tokenRegistry(upstream: string, kind: 'token' | 'identity'): Promise<string> {
    const issued = this.of(`bearer token of the ${kind} server`);
    const tokens = this.stack.use(
      await Recorder.start({}, (request) => {
        this.sent.push(request.all);
        const right =
          kind === 'token'
            ? request.authorization === basic(this.of('password for a token server'))
            : request.all.includes(this.of('identity token'));
        return right
          ? { status: 200, body: JSON.stringify({ token: issued, expires_in: 60 }) }
          : { status: 401, body: request.all };
      }),
    );
    const front = await startFaultyProxy(upstream, (request) => {
      this.sent.push(JSON.stringify(request));
      if (request.headers['authorization'] === `Bearer ${issued}`) return undefined;
      const headers = {
        'www-authenticate': `Bearer realm="${tokens.url}/token",service="s",scope="repository:team/base:pull"`,
      };
      return { kind: 'status', status: 401, headers };
    });
    this.stack.use(front);
    return front.host;
  }

  /** Everything that holds a secret before a command runs: files that are not searched, and variables. */
  #inputs(): void {
    const { inputs, hosts, rig } = this;
    const put = (name: string, text: string): void => writeFileSync(join(inputs, name), text);
    put('secret', this.of('secret in a file'));
    put('helper', this.of('credential helper'));
    const auth = (channel: string): { readonly auth: string } => ({
      auth: Buffer.from(`me:${this.of(channel)}`).toString('base64'),
    });
    mkdirSync(join(inputs, 'docker'));
    put(
      'docker/config.json',
      JSON.stringify({
        auths: {
          ...Object.fromEntries(
            [hosts['basic'] ?? '', ...Object.values(this.refusing)].map((host) => [
              host,
              auth('registry password'),
            ]),
          ),
          [hosts['token'] ?? '']: auth('password for a token server'),
          [hosts['identity'] ?? '']: { identitytoken: this.of('identity token') },
        },
        credHelpers: { [hosts['helper'] ?? '']: 'rig' },
      }),
    );
    execFileSync('openssl', ['genpkey', '-algorithm', 'ed25519', '-out', join(inputs, 'sign.key')]);
    const der = execFileSync('openssl', [
      'pkey',
      '-in',
      join(inputs, 'sign.key'),
      '-outform',
      'DER',
    ]);
    this.leaks.also('key that signs caches', der.subarray(-32));
    this.#agent();
    rig.context('app', { Dockerfile: BUSYBOX });
    this.env = {
      PATH: `${this.#bin}:${process.env['PATH'] ?? ''}`,
      DOCKER_CONFIG: join(inputs, 'docker'),
      VARVE_NETWORK_TRIES: '1',
      VARVE_RUNTIME: join(this.#bin, 'runc'),
      IN_ENV: this.of('secret in a variable'),
      GIT_TOKEN: this.of('git token'),
      GIT_HEADER: `Bearer ${this.of('git header')}`,
      ACTIONS_RESULTS_URL: hosts['gha'] ?? '',
      ACTIONS_RUNTIME_TOKEN: actionsToken(
        { 'refs/heads/main': 3 },
        this.of('GitHub Actions token'),
      ),
      SSH_AUTH_SOCK: join(inputs, 'agent'),
    };
  }

  #agent(): void {
    const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'prime256v1' });
    const path = join(this.inputs, 'ssh');
    writeFileSync(path, privateKey.export({ format: 'pem', type: 'sec1' }), { mode: 0o600 });
    const { d = '' } = privateKey.export({ format: 'jwk' });
    this.leaks.also('key of an SSH agent', Buffer.from(d, 'base64url'));
    const socket = join(this.inputs, 'agent');
    const started = execFileSync('ssh-agent', ['-a', socket], { encoding: 'utf8' });
    this.stack.defer(() => {
      process.kill(Number(/SSH_AGENT_PID=(\d+)/.exec(started)?.[1]));
    });
    execFileSync('ssh-add', ['-q', path], { env: { ...process.env, SSH_AUTH_SOCK: socket } });
  }

  /** An S3 cache's settings with its keys; `prefix` apart, what is written elsewhere is another cache. */
  s3(prefix: string): string {
    const keys = `access_key_id=${S3_KEY},secret_access_key=${this.of('S3 key')},session_token=${this.of('S3 session token')}`;
    return `type=s3,bucket=cache,region=us-east-1,endpoint_url=http://${this.hosts['s3'] ?? ''},use_path_style=true,${keys},prefix=${prefix}`;
  }

  /** What the children of all commands were started with. */
  callsText(): string {
    return existsSync(this.calls) ? readFileSync(this.calls, 'latin1') : '';
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stack.disposeAsync();
  }
}

/** Steps print what they are given, keys sign, and a template with a password is refused before anything is sent. */
const UNSENT = /^(?:secret in |proxy of steps|S3 key$|user of a mirror)/;

/** A header as curl and browsers make it. */
export const basic = (password: string): string =>
  `Basic ${Buffer.from(`me:${password}`).toString('base64')}`;
