import { ok, type Result, Secret } from '../../base/index.ts';
import { parseDuration } from '../../dockerfile/index.ts';
import { type GhaAccount, type GhaPlace, ghaRights } from '../../remotes/index.ts';
import { type CacheSpec, type CacheType, flagValue } from './cache-type.ts';

const KEYS = [
  ...['scope', 'token', 'url', 'url_v2', 'version', 'timeout', 'repository', 'ghtoken'],
];
const TIMEOUT = '10m';

/**
 * `type=gha`: settings and defaults are those of BuildKit (cache/remotecache/gha) and of what `docker buildx` takes from the
 * environment of a workflow. Reading has one place for each Git ref that the token gives access to, its own first.
 */
export const ghaCache: CacheType = {
  fromKeys: KEYS,
  toKeys: [...KEYS, 'pack'],
  from: (spec) => {
    const place = ghaPlace(spec);
    if (!place.ok) return place;
    const rights = rightsOf(place.value);
    const own = rights.filter((r) => r.write);
    const branches = [...own, ...rights.filter((r) => !r.write)].map((r) => r.branch);
    if (branches.length === 0) return ok([place.value]);
    return ok([...new Set(branches)].map((branch) => ({ ...place.value, branch })));
  },
  to: (spec) => {
    const place = ghaPlace(spec);
    if (!place.ok) return place;
    const pack = flagValue(spec, 'pack', false);
    if (!pack.ok) return pack;
    // Of several, BuildKit writes to the last.
    const branch = rightsOf(place.value).findLast((r) => r.write)?.branch;
    return ok({
      ...place.value,
      pack: pack.value,
      ...(branch === undefined ? {} : { branch }),
    });
  },
};

function rightsOf({ account }: GhaPlace): ReturnType<typeof ghaRights> {
  return account === undefined ? [] : ghaRights(account.token);
}

function ghaPlace(spec: CacheSpec): Result<GhaPlace> {
  const { map, io, refuse } = spec;
  const setting = (key: string, variable: string): string | undefined => {
    const value = map.get(key) ?? io.env[variable];
    return value === '' ? undefined : value;
  };
  if (map.get('version') === '1')
    return refuse('version 1 of the service is not supported', 'leave version out');
  const account = accountOf(spec, setting);
  if (!account.ok) return account;
  const repository = setting('repository', 'GITHUB_REPOSITORY');
  const ghtoken = map.get('ghtoken');
  const listing =
    repository === undefined || ghtoken === undefined || ghtoken === ''
      ? {}
      : {
          listing: {
            api: setting('', 'GITHUB_API_URL') ?? 'https://api.github.com',
            repository,
            token: new Secret(ghtoken),
          },
        };
  return ok({
    kind: 'gha',
    scope: map.get('scope') ?? 'buildkit',
    pack: false,
    ...(account.value === undefined ? {} : { account: account.value }),
    ...listing,
  });
}

function accountOf(
  spec: CacheSpec,
  setting: (key: string, variable: string) => string | undefined,
): Result<GhaAccount | undefined> {
  const { map, refuse } = spec;
  const timeout = parseDuration(map.get('timeout') ?? TIMEOUT);
  if (!timeout.ok || timeout.value <= 0n)
    return refuse('timeout is no duration', 'write timeout=10m');
  const url = map.get('url_v2') ?? map.get('url') ?? setting('', 'ACTIONS_RESULTS_URL');
  const token = setting('token', 'ACTIONS_RUNTIME_TOKEN');
  if (url === undefined || token === undefined) return ok(undefined);
  if (!/^https?:/.test(url) || !URL.canParse(url))
    return refuse('url is no address of http or https');
  return ok({ url, token: new Secret(token), timeoutMs: Number(timeout.value / 1_000_000n) });
}

/** The run of GitHub Actions that the environment tells of. */
export function actionsAccount(env: CacheSpec['io']['env']): GhaAccount | undefined {
  const { ACTIONS_RESULTS_URL: url, ACTIONS_RUNTIME_TOKEN: token } = env;
  if (url === undefined || token === undefined || !URL.canParse(url)) return undefined;
  return { url, token: new Secret(token), timeoutMs: 600_000 };
}
