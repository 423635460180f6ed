import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { byCodeUnit, isErrno } from '../base/index.ts';
import { AptConfig, readAptConf } from './apt-conf.ts';
import type { HttpRoute } from './http.ts';
import { type AptSource, parseDeb822Sources, parseSourceList } from './sources.ts';

/** What the host's own apt is configured to do. */
export interface HostApt {
  readonly config: AptConfig;
  readonly sources: readonly AptSource[];
  /** Keyrings that apt trusts for sources without `Signed-By`. */
  readonly trustedKeyrings: readonly string[];
  /** `VERSION_CODENAME` of os-release(5): the name that the host's own suites begin with. */
  readonly codename: string | undefined;
  readonly route: HttpRoute;
}

/** Environment variables that apt itself looks at (apt-transport-http(1), "Options"). */
export interface ProxyEnvironment {
  readonly http?: string | undefined;
  readonly https?: string | undefined;
  readonly no?: string | undefined;
}

/** Reads the host's apt configuration below `root` (`/` on a real host). What cannot be read counts as absent. */
export async function readHostApt(root: string, proxies: ProxyEnvironment = {}): Promise<HostApt> {
  const etc = join(root, 'etc/apt');
  const config = new AptConfig();
  for (const path of await partFiles(join(etc, 'apt.conf.d'), /^[\w.-]+$/, /^[^.]*$|\.conf$/))
    readAptConf((await readText(path)) ?? '', config);
  readAptConf((await readText(join(etc, 'apt.conf'))) ?? '', config);
  const sources = parseSourceList(
    (await readText(join(etc, 'sources.list'))) ?? '',
    'sources.list',
  );
  for (const path of await partFiles(
    join(etc, 'sources.list.d'),
    /^[\w.-]+$/,
    /\.(?:list|sources)$/,
  )) {
    const text = (await readText(path)) ?? '';
    const name = path.slice(path.lastIndexOf('/') + 1);
    sources.push(
      ...(name.endsWith('.list') ? parseSourceList(text, name) : parseDeb822Sources(text, name)),
    );
  }
  const trusted = await partFiles(join(etc, 'trusted.gpg.d'), /./, /\.(?:gpg|asc)$/);
  const single = await readText(join(etc, 'trusted.gpg'));
  const release = (await readText(join(root, 'etc/os-release'))) ?? '';
  const logins = await readLogins(etc);
  return {
    config,
    sources,
    trustedKeyrings: [
      ...(single === undefined || single === '' ? [] : [join(etc, 'trusted.gpg')]),
      ...trusted,
    ],
    codename: /^VERSION_CODENAME="?([\w.-]+)"?$/m.exec(release)?.[1],
    route: {
      proxyFor: (url) => proxyFor(url, config, proxies),
      authorization: (url) => authorizationFor(url, logins),
    },
  };
}

/** Files of a `.d` directory in apt's order: by name, only names that apt would read. */
async function partFiles(dir: string, safe: RegExp, wanted: RegExp): Promise<string[]> {
  try {
    const names = await readdir(dir);
    return names
      .filter((n) => safe.test(n) && wanted.test(n) && !n.startsWith('.'))
      .sort(byCodeUnit)
      .map((n) => join(dir, n));
  } catch (e) {
    if (isErrno(e, 'ENOENT', 'EACCES', 'ENOTDIR')) return [];
    throw e;
  }
}

async function readText(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8');
  } catch (e) {
    if (isErrno(e, 'ENOENT', 'EACCES', 'EISDIR', 'ENOTDIR')) return undefined;
    throw e;
  }
}

/** apt's order: the proxy of this host, the scheme's proxy, the environment; `DIRECT` means none (apt.conf(5)). */
function proxyFor(url: URL, config: AptConfig, env: ProxyEnvironment): string | undefined {
  const scheme = url.protocol.slice(0, -1);
  const own =
    config.get(`Acquire::${scheme}::Proxy::${url.hostname}`) ??
    config.get(`Acquire::${scheme}::Proxy`) ??
    (scheme === 'https' ? config.get('Acquire::http::Proxy') : undefined);
  if (own !== undefined && own !== '') return own === 'DIRECT' ? undefined : own;
  const exempt = (env.no ?? '').split(',').map((s) => s.trim().replace(/^\*?\./, ''));
  const direct = exempt.some(
    (name) =>
      name === '*' || (name !== '' && (url.hostname === name || url.hostname.endsWith(`.${name}`))),
  );
  const proxy = scheme === 'https' ? env.https : env.http;
  return direct || proxy === undefined || proxy === '' ? undefined : proxy;
}

interface Login {
  readonly machine: string;
  readonly login: string;
  readonly password: string;
}

async function readLogins(etc: string): Promise<readonly Login[]> {
  const paths = [
    join(etc, 'auth.conf'),
    ...(await partFiles(join(etc, 'auth.conf.d'), /^[\w.-]+$/, /^[^.]*$|\.conf$/)),
  ];
  const logins: Login[] = [];
  for (const path of paths) {
    const words = ((await readText(path)) ?? '')
      .replace(/#.*$/gm, '')
      .split(/\s+/)
      .filter((word) => word !== '');
    let current: { machine: string; login: string; password: string } | undefined;
    for (let i = 0; i + 1 < words.length; i += 2) {
      const [key, value = ''] = [words[i], words[i + 1]];
      if (key === 'machine') logins.push((current = { machine: value, login: '', password: '' }));
      else if (current !== undefined && (key === 'login' || key === 'password'))
        current[key] = value;
    }
  }
  return logins;
}

/** `machine [scheme://]host[:port][/path]`; without a scheme only https is given the password (apt_auth.conf(5)). */
function authorizationFor(url: URL, logins: readonly Login[]): string | undefined {
  if (url.username !== '')
    return basic(decodeURIComponent(url.username), decodeURIComponent(url.password));
  for (const { machine, login, password } of logins) {
    const [, scheme = 'https', host = '', path = ''] =
      /^(?:(\w+):\/\/)?([^/]+)(\/.*)?$/.exec(machine) ?? [];
    if (
      scheme === url.protocol.slice(0, -1) &&
      (host === url.host || host === url.hostname) &&
      url.pathname.startsWith(path)
    )
      return basic(login, password);
  }
  return undefined;
}

const basic = (login: string, password: string): string =>
  `Basic ${Buffer.from(`${login}:${password}`).toString('base64')}`;
