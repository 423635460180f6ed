import type { TlsConfig } from '../http/index.ts';

/** How one registry host is reached. */
export interface HostConfig extends TlsConfig {
  /** `host[:port]` of mirrors that are asked first when pulling. */
  readonly mirrors?: readonly string[];
  /** Speak plain HTTP; by default only to loopback addresses without a `ca`. */
  readonly plainHttp?: boolean;
}

/** A base URL with the way to reach it. */
export interface Endpoint {
  readonly host: string;
  readonly base: URL;
  readonly config: HostConfig;
}

/** Where the registry of a reference's domain answers (Docker Hub's API has another name than its references). */
export function endpointOf(domain: string, configOf: (host: string) => HostConfig): Endpoint {
  const config = configOf(domain);
  const host = domain === 'docker.io' ? 'registry-1.docker.io' : domain;
  const plain = config.plainHttp ?? (isLoopback(host) && config.ca === undefined);
  return { host: domain, base: new URL(`${plain ? 'http' : 'https'}://${host}`), config };
}

/** True for `localhost`, 127.0.0.0/8 and ::1, with or without a port. */
export function isLoopback(host: string): boolean {
  const name = host.replace(/:[0-9]+$/, '').toLowerCase();
  return name === 'localhost' || name === '[::1]' || /^127(?:\.[0-9]{1,3}){3}$/.test(name);
}
