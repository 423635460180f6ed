import type { ExecMeta, ProxyEnv } from '../llb/index.ts';

/** What shells find programs in when nothing says otherwise (BuildKit `system.DefaultPathEnvUnix`). */
const DEFAULT_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/**
 * Environment of a step: that of the op, the proxy variables in both spellings, PATH when it is missing, and secrets. HOME
 * is set by the runtime from the user database when it is missing.
 */
export function execEnv(meta: ExecMeta, secrets: readonly string[]): string[] {
  const env = [...meta.env, ...proxyVariables(meta.proxy_env ?? {})];
  if (!env.some((variable) => variable.startsWith('PATH='))) env.push(`PATH=${DEFAULT_PATH}`);
  return [...env, ...secrets];
}

function proxyVariables(proxy: ProxyEnv): string[] {
  const names = ['http_proxy', 'https_proxy', 'ftp_proxy', 'no_proxy', 'all_proxy'] as const;
  return names.flatMap((name) => {
    const value = proxy[name] ?? '';
    return value === '' ? [] : [`${name.toUpperCase()}=${value}`, `${name}=${value}`];
  });
}
