import { join } from 'node:path';
import type { HostFiles } from '../registry/index.ts';
import type { Io } from './io.ts';

/**
 * How registries are reached: certificates from `VARVE_CERTS_DIR` (directories separated by `:`), else from the places of
 * Docker and of the containers tools; `VARVE_MIRRORS` (`docker.io=mirror:5000,ghcr.io=…`, the same name again for a second
 * mirror) and `VARVE_INSECURE_REGISTRIES` (`host:port,…`).
 */
export function registryHosts(io: Pick<Io, 'env'>): HostFiles {
  const { env } = io;
  const given = items(env['VARVE_CERTS_DIR'], ':');
  const config = env['XDG_CONFIG_HOME'] ?? join(env['HOME'] ?? '/root', '.config');
  const mirrors = new Map<string, string[]>();
  for (const item of items(env['VARVE_MIRRORS'], ',')) {
    const [host = '', mirror = ''] = item.split('=', 2);
    if (mirror !== '') mirrors.set(host, [...(mirrors.get(host) ?? []), mirror]);
  }
  return {
    certificateDirs:
      given.length > 0
        ? given
        : [join(config, 'containers/certs.d'), '/etc/containers/certs.d', '/etc/docker/certs.d'],
    mirrors,
    plain: new Set(items(env['VARVE_INSECURE_REGISTRIES'], ',')),
  };
}

function items(text: string | undefined, separator: string): string[] {
  return (text ?? '')
    .split(separator)
    .map((item) => item.trim())
    .filter((item) => item !== '');
}
