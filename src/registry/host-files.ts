import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { FailureError, failure, isErrno } from '../base/index.ts';
import type { HostConfig } from './hosts.ts';

/** Where the settings of registry hosts come from. */
export interface HostFiles {
  /**
   * Directories with one directory a host, as Docker has them (`/etc/docker/certs.d/HOST:PORT/`): `*.crt` are authorities,
   * `NAME.cert` and `NAME.key` what the client shows. The first directory that knows a host is taken.
   */
  readonly certificateDirs: readonly string[];
  /** Mirrors by registry, best first. */
  readonly mirrors?: ReadonlyMap<string, readonly string[]>;
  /** Hosts that are spoken to without TLS. */
  readonly plain?: ReadonlySet<string>;
}

/** The settings of hosts; files are read when a host is first needed. One that cannot be read throws `FailureError`. */
export function hostConfigs(files: HostFiles): (host: string) => HostConfig {
  const known = new Map<string, HostConfig>();
  return (host) => {
    const before = known.get(host);
    if (before !== undefined) return before;
    const mirrors = files.mirrors?.get(host);
    const config: HostConfig = {
      ...certificates(files.certificateDirs, host),
      ...(mirrors === undefined ? {} : { mirrors }),
      ...(files.plain?.has(host) === true ? { plainHttp: true } : {}),
    };
    known.set(host, config);
    return config;
  };
}

function certificates(dirs: readonly string[], host: string): HostConfig {
  // A host is a name of a directory here: what is no host must not lead elsewhere.
  if (!/^[A-Za-z0-9.[\]:_-]+$/.test(host) || /^\.+$/.test(host)) return {};
  for (const dir of dirs.map((d) => join(d, host))) {
    const names = namesIn(dir);
    if (names === undefined) continue;
    const authorities = names.filter((n) => n.endsWith('.crt')).map((n) => read(join(dir, n)));
    const cert = names.find((n) => n.endsWith('.cert'));
    const key = cert?.replace(/cert$/, 'key');
    if (cert !== undefined && (key === undefined || !names.includes(key)))
      throw new FailureError(
        failure('RG022', 3, `${join(dir, cert)} has no ${key ?? 'key'} beside it`),
      );
    return {
      ...(authorities.length === 0 ? {} : { ca: authorities.join('\n') }),
      ...(cert === undefined || key === undefined
        ? {}
        : { cert: read(join(dir, cert)), key: read(join(dir, key)) }),
    };
  }
  return {};
}

function namesIn(dir: string): readonly string[] | undefined {
  try {
    return readdirSync(dir).sort();
  } catch (e) {
    if (isErrno(e, 'ENOENT', 'ENOTDIR')) return undefined;
    throw unreadable(e, dir);
  }
}

function read(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (e) {
    throw unreadable(e, path);
  }
}

function unreadable(e: unknown, path: string): unknown {
  if (!isErrno(e, 'EACCES', 'EISDIR', 'EPERM', 'ENOENT')) return e;
  return new FailureError(
    failure('RG022', 3, `certificates of registries: ${path} cannot be read (${e.code ?? ''})`),
  );
}
