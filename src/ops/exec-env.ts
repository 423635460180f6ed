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

/** Passwords of proxies, as they are written and as they are meant. */
export function proxyPasswords(proxy: ProxyEnv): readonly Uint8Array[] {
  const written = Object.values(proxy).flatMap((value: string) => {
    const [, password = ''] = /^(?:[a-z0-9+.-]+:\/\/)?[^/:]*:([^/]*)@/i.exec(value) ?? [];
    return password === '' ? [] : [password];
  });
  return [...new Set(written.flatMap((each) => [each, decoded(each)]))].map((p) => Buffer.from(p));
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch (e) {
    if (e instanceof URIError) return text;
    throw e;
  }
}

function proxyVariables(proxy: ProxyEnv): string[] {
  const names = ['http_proxy', 'https_proxy', 'ftp_proxy', 'no_proxy', 'all_proxy'] as const;
  return names.flatMap((name) => {
    const value = proxy[name] ?? '';
    return value === '' ? [] : [`${name.toUpperCase()}=${value}`, `${name}=${value}`];
  });
}
