import type { SandboxSpec } from '../ports/index.ts';

/** Contents of `/etc/hosts` in a step (hosts(5)); as BuildKit writes it, so that steps that read it see the same. */
export function hostsFile(spec: Pick<SandboxSpec, 'hostname' | 'extraHosts'>): string {
  const own = [
    `127.0.0.1\tlocalhost ${spec.hostname}`,
    '::1\tlocalhost ip6-localhost ip6-loopback',
  ];
  const extra = spec.extraHosts.map(({ host, ip }) => `${ip}\t${host}`);
  return `${[...own, ...extra].join('\n')}\n`;
}
