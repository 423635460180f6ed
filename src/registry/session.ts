import {
  err,
  FailureError,
  failure,
  isRecord,
  ok,
  parseJson,
  type Result,
  redact,
} from '../base/index.ts';
import {
  type HttpAnswer,
  type HttpClient,
  type HttpRequest,
  readCapped,
  retryAfterMs,
  type Secrets,
  TransientError,
} from '../http/index.ts';
import type { Clock } from '../ports/index.ts';
import { type Challenge, parseChallenges } from './challenge.ts';
import type { Credential, CredentialSource } from './credentials.ts';
import { statusFailure } from './errors.ts';
import type { Endpoint } from './hosts.ts';
import { mergeScopes } from './scopes.ts';

/** What a `Session` is made of. */
export interface SessionDeps {
  readonly http: HttpClient;
  readonly credentials: CredentialSource;
  readonly clock: Clock;
  readonly secrets: Secrets;
}

interface Authorization {
  readonly value: string;
  readonly until: number;
}

/** Tokens without a stated life live so long (distribution, token authentication). */
const DEFAULT_LIFE_S = 60;
const MAX_TOKEN_BYTES = 1 << 20;

/** Requests to registries with the authorization each demands (distribution spec; token authentication; RFC 7617). */
export class Session {
  readonly #deps: SessionDeps;
  /** By host and scope. */
  readonly #known = new Map<string, Authorization>();

  constructor(deps: SessionDeps) {
    this.#deps = deps;
  }

  /**
   * Sends a request within a scope (`repository:library/alpine:pull`), signing in when the registry demands it, once.
   * 408, 429 and 5xx throw `TransientError`; all other answers are the caller's to judge.
   */
  async send(
    request: HttpRequest,
    at: { readonly endpoint: Endpoint; readonly scopes: readonly string[] },
  ): Promise<Result<HttpAnswer>> {
    const key = `${at.endpoint.base.host} ${at.scopes.join(' ')}`;
    const known = this.#known.get(key);
    const usable = known !== undefined && known.until > this.#deps.clock.now() ? known : undefined;
    const first = await this.#once(request, at.endpoint, usable);
    if (first.status !== 401) return ok(first);
    const header = first.header('www-authenticate') ?? '';
    if (first.url.origin !== request.url.origin) return ok(first);
    first.drop();
    this.#known.delete(key);
    const authorization = await this.#signIn(parseChallenges(header), request, at);
    if (!authorization.ok) return authorization;
    if (authorization.value === undefined) {
      return err(await statusFailure(request, first, this.#deps.secrets));
    }
    const second = await this.#once(request, at.endpoint, authorization.value);
    if (second.status !== 401) this.#known.set(key, authorization.value);
    return ok(second);
  }

  async #once(
    request: HttpRequest,
    endpoint: Endpoint,
    authorization: Authorization | undefined,
  ): Promise<HttpAnswer> {
    // Uploads may be told to go elsewhere; credentials stay at home.
    const own = request.url.origin === endpoint.base.origin;
    const headers =
      authorization === undefined || !own
        ? request.headers
        : { ...request.headers, authorization: authorization.value };
    const answer = await this.#deps.http.send(
      { ...request, ...(headers === undefined ? {} : { headers }) },
      endpoint,
    );
    if (answer.status === 408 || answer.status === 429 || answer.status >= 500) {
      answer.drop();
      const pause = retryAfterMs(answer.header('retry-after'), this.#deps.clock.now());
      throw new TransientError(
        `${request.method} ${redact(answer.url)}: the registry answers ${answer.status}`,
        pause === undefined ? {} : { retryAfterMs: pause },
      );
    }
    return answer;
  }

  async #signIn(
    challenges: readonly Challenge[],
    request: HttpRequest,
    at: { readonly endpoint: Endpoint; readonly scopes: readonly string[] },
  ): Promise<Result<Authorization | undefined>> {
    const bearer = challenges.find((c) => c.scheme === 'bearer' && c.params.has('realm'));
    const basic = challenges.find((c) => c.scheme === 'basic');
    if (bearer === undefined && basic === undefined) return ok(undefined);
    const { signal } = request;
    const credential = await this.#deps.credentials(at.endpoint.host, { signal });
    if (!credential.ok) return credential;
    const { value } = credential;
    if (value?.kind === 'password') this.#deps.secrets.add(value.password);
    if (value?.kind === 'identity') this.#deps.secrets.add(value.token);
    if (bearer !== undefined) return await this.#token(bearer, value, { ...at, signal });
    if (value?.kind !== 'password') return ok(undefined);
    return ok({ value: this.#basic(value), until: Number.POSITIVE_INFINITY });
  }

  async #token(
    challenge: Challenge,
    credential: Credential | undefined,
    at: {
      readonly endpoint: Endpoint;
      readonly scopes: readonly string[];
      readonly signal: AbortSignal;
    },
  ): Promise<Result<Authorization>> {
    const realmText = challenge.params.get('realm') ?? '';
    const realm = URL.canParse(realmText) ? new URL(realmText) : undefined;
    const secure = realm?.protocol === 'https:';
    if (
      realm === undefined ||
      !(secure || (realm.protocol === 'http:' && at.endpoint.base.protocol === 'http:'))
    ) {
      return err(
        failure('RG007', 3, `${at.endpoint.host}: refused token server ${redact(realmText)}`, {
          help: 'a registry over https must name a token server over https',
        }),
      );
    }
    const request = this.#tokenRequest(realm, challenge, credential, at);
    // The token server's certificate belongs to another host unless it is the same one.
    const answer = await this.#once(
      request,
      {
        ...at.endpoint,
        base: new URL(realm.origin),
        config: realm.host === at.endpoint.base.host ? at.endpoint.config : {},
      },
      undefined,
    );
    if (answer.status !== 200) return err(await statusFailure(request, answer, this.#deps.secrets));
    const bytes = await readCapped(answer, MAX_TOKEN_BYTES);
    const parsed = parseJson(Buffer.from(bytes ?? new Uint8Array()).toString('utf8'));
    const json = parsed.ok && isRecord(parsed.value) ? parsed.value : {};
    const token = json['token'] ?? json['access_token'];
    if (typeof token !== 'string' || !/^[\x21-\x7e]+$/.test(token)) {
      return err(
        failure('RG007', 3, `GET ${redact(realm)}: the token server's answer has no token`),
      );
    }
    this.#deps.secrets.add(token);
    const life = json['expires_in'];
    const seconds = typeof life === 'number' && life > 0 ? life : DEFAULT_LIFE_S;
    // Renewed a little early: a token must not end on its way.
    const until = this.#deps.clock.now() + Math.max(1, seconds * 0.9) * 1000;
    return ok({ value: `Bearer ${token}`, until });
  }

  #tokenRequest(
    realm: URL,
    challenge: Challenge,
    credential: Credential | undefined,
    at: { readonly scopes: readonly string[]; readonly signal: AbortSignal },
  ): HttpRequest {
    const service = challenge.params.get('service') ?? '';
    const asked = challenge.params.get('scope') ?? '';
    const scopes = mergeScopes([...asked.split(' '), ...at.scopes]);
    const url = new URL(realm);
    if (credential?.kind === 'identity') {
      const form = new URLSearchParams({
        grant_type: 'refresh_token',
        service,
        scope: scopes.join(' '),
        client_id: 'varve',
        refresh_token: credential.token,
      });
      return {
        method: 'POST',
        url,
        headers: { 'content-type': 'application/x-www-form-urlencoded' },
        body: () => Buffer.from(form.toString()),
        secretBody: true,
        signal: at.signal,
      };
    }
    if (service !== '') url.searchParams.append('service', service);
    for (const scope of scopes) url.searchParams.append('scope', scope);
    const headers = credential === undefined ? {} : { authorization: this.#basic(credential) };
    return { method: 'GET', url, headers, signal: at.signal };
  }

  #basic(credential: Credential & { readonly kind: 'password' }): string {
    const pair = Buffer.from(`${credential.username}:${credential.password}`).toString('base64');
    this.#deps.secrets.add(pair);
    if (/[\r\n]/.test(credential.username)) {
      throw new FailureError(
        failure('RG020', 2, 'registry credentials: the user name has a line break'),
      );
    }
    return `Basic ${pair}`;
  }
}
