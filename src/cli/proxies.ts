/** Which proxy an address is reached through, by the usual variables (`HTTPS_PROXY`, `NO_PROXY`, lower case first). */
export function proxyFor(
  env: Readonly<Record<string, string | undefined>>,
): (url: URL) => string | undefined {
  const get = (name: string): string | undefined => {
    const value = env[name] ?? env[name.toUpperCase()];
    return value === '' ? undefined : value;
  };
  const exceptions = (get('no_proxy') ?? '')
    .split(',')
    .map((e) => e.trim().toLowerCase())
    .filter((e) => e !== '');
  return (url) => {
    const host = url.hostname.toLowerCase();
    if (exceptions.some((e) => excepts(e, host, url.port))) return undefined;
    return get(url.protocol === 'https:' ? 'https_proxy' : 'http_proxy') ?? get('all_proxy');
  };
}

function excepts(exception: string, host: string, port: string): boolean {
  if (exception === '*') return true;
  const [name = '', wantedPort] = exception.split(/:(?=\d+$)/);
  if (wantedPort !== undefined && wantedPort !== port) return false;
  const bare = name.replace(/^\*?\./, '');
  return host === bare || host.endsWith(`.${bare}`);
}
