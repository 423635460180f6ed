import { spawn } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { err, failure, isErrno, isRecord, ok, parseJson, type Result } from '../base/index.ts';

/** What a registry is told about the user. */
export type Credential =
  | { readonly kind: 'password'; readonly username: string; readonly password: string }
  /** An OAuth2 refresh token, handed to the token server. */
  | { readonly kind: 'identity'; readonly token: string };

/** Finds the credential for a registry host (`docker.io`, `localhost:5000`); asked only when a registry demands one. */
export type CredentialSource = (
  host: string,
  options: { readonly signal: AbortSignal },
) => Promise<Result<Credential | undefined>>;

const HUB = 'https://index.docker.io/v1/';
const HELPER_MS = 30_000;

/**
 * Credentials of Docker's `config.json` in `dir` (`~/.docker`, or `DOCKER_CONFIG`): `credHelpers`, `credsStore`, then
 * `auths`. The file is read when first needed; a missing one means no credentials.
 */
export function dockerCredentials(dir: string): CredentialSource {
  let config: Promise<Result<Readonly<Record<string, unknown>>>> | undefined;
  return async (host, { signal }) => {
    config ??= readConfig(join(dir, 'config.json'));
    const read = await config;
    if (!read.ok) return read;
    const server = host === 'docker.io' ? HUB : host;
    const helper = helperOf(read.value, server, host);
    if (helper !== undefined) {
      const found = await askHelper(helper, server, signal);
      if (!found.ok || found.value !== undefined) return found;
    }
    return ok(fromAuths(read.value['auths'], host));
  };
}

async function readConfig(path: string): Promise<Result<Readonly<Record<string, unknown>>>> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (e) {
    if (isErrno(e, 'ENOENT', 'ENOTDIR')) return ok({});
    if (isErrno(e, 'EACCES', 'EISDIR')) {
      return err(
        failure('RG020', 3, `registry credentials: ${path} cannot be read (${e.code ?? ''})`),
      );
    }
    throw e;
  }
  const parsed = parseJson(text);
  // The parser's message quotes the text, which holds secrets.
  if (!parsed.ok || !isRecord(parsed.value)) {
    return err(failure('RG020', 2, `registry credentials: ${path} is not a JSON object`));
  }
  return ok(parsed.value);
}

function helperOf(
  config: Readonly<Record<string, unknown>>,
  server: string,
  host: string,
): string | undefined {
  const helpers = config['credHelpers'];
  const own = isRecord(helpers) ? (helpers[server] ?? helpers[host]) : undefined;
  const name = own ?? config['credsStore'];
  return typeof name === 'string' && name !== '' ? name : undefined;
}

/** The protocol of docker-credential-helpers: `get`, the server on standard input, JSON on standard output. */
async function askHelper(
  helper: string,
  server: string,
  signal: AbortSignal,
): Promise<Result<Credential | undefined>> {
  const program = `docker-credential-${helper}`;
  const refuse = (why: string): Result<never> =>
    err(failure('RG021', 3, `credential helper ${program}: ${why}`));
  if (!/^[A-Za-z0-9._-]+$/.test(helper))
    return refuse('its name has characters that are not allowed');
  const answer = await runHelper(program, server, signal);
  if (typeof answer === 'string') return refuse(answer);
  if (answer.code !== 0) {
    return /credentials not found/i.test(answer.out)
      ? ok(undefined)
      : refuse(`it ended with exit code ${answer.code}`);
  }
  const parsed = parseJson(answer.out);
  const json = parsed.ok && isRecord(parsed.value) ? parsed.value : {};
  const { Username: username, Secret: secret } = json;
  if (typeof username !== 'string' || typeof secret !== 'string')
    return refuse('its answer has no Username and Secret');
  if (username === '' && secret === '') return ok(undefined);
  return ok(
    username === '<token>'
      ? { kind: 'identity', token: secret }
      : { kind: 'password', username, password: secret },
  );
}

async function runHelper(
  program: string,
  input: string,
  signal: AbortSignal,
): Promise<{ readonly code: number; readonly out: string } | string> {
  const { promise, resolve } = Promise.withResolvers<
    { readonly code: number; readonly out: string } | string
  >();
  const limit = AbortSignal.any([signal, AbortSignal.timeout(HELPER_MS)]);
  const child = spawn(program, ['get'], { stdio: ['pipe', 'pipe', 'ignore'], signal: limit });
  let out = '';
  child.on('error', (e) =>
    resolve(
      isErrno(e, 'ENOENT')
        ? 'no such program'
        : e.name === 'AbortError'
          ? 'it did not answer'
          : e.message,
    ),
  );
  child.stdin.on('error', () => undefined);
  child.stdout.on('data', (chunk: Buffer) => {
    if (out.length < 65_536) out += chunk.toString('utf8');
  });
  child.on('close', (code) => resolve({ code: code ?? 1, out }));
  child.stdin.end(input);
  const answer = await promise;
  signal.throwIfAborted();
  return answer;
}

function fromAuths(auths: unknown, host: string): Credential | undefined {
  if (!isRecord(auths)) return undefined;
  const wanted =
    host === 'docker.io' ? ['index.docker.io', 'docker.io', 'registry-1.docker.io'] : [host];
  const entries = Object.entries(auths);
  const exact = host === 'docker.io' ? HUB : host;
  const found =
    entries.find(([key]) => key === exact) ?? entries.find(([key]) => wanted.includes(hostOf(key)));
  return found === undefined ? undefined : credentialOf(found[1]);
}

/** Keys of `auths` are hosts, or URLs of old. */
function hostOf(key: string): string {
  return key.replace(/^https?:\/\//, '').replace(/\/.*$/, '');
}

function credentialOf(value: unknown): Credential | undefined {
  if (!isRecord(value)) return undefined;
  const text = (key: string): string => {
    const member = value[key];
    return typeof member === 'string' ? member : '';
  };
  if (text('identitytoken') !== '') return { kind: 'identity', token: text('identitytoken') };
  const pair = Buffer.from(text('auth'), 'base64').toString('utf8').replace(/\0+$/, '');
  const colon = pair.indexOf(':');
  if (colon > 0) {
    return { kind: 'password', username: pair.slice(0, colon), password: pair.slice(colon + 1) };
  }
  if (text('username') === '') return undefined;
  return { kind: 'password', username: text('username'), password: text('password') };
}
