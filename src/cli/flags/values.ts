import { ok, type Result } from '../../base/index.ts';
import { type Platform, parsePlatform } from '../../oci/index.ts';
import { usage } from './csv.ts';

/** `KEY=value` pairs; a lone `KEY` takes the environment's value and is left out where that has none. */
export function keyValues(
  flag: string,
  values: readonly string[],
  env: Readonly<Record<string, string | undefined>> | undefined,
): Result<Readonly<Record<string, string>>> {
  const out: Record<string, string> = {};
  for (const value of values) {
    const equals = value.indexOf('=');
    const key = equals === -1 ? value : value.slice(0, equals);
    if (key === '') return usage(flag, value, 'the name is empty', `write ${flag} NAME=VALUE`);
    if (equals !== -1) out[key] = value.slice(equals + 1);
    else if (env === undefined) out[key] = '';
    else if (env[key] !== undefined) out[key] = env[key];
  }
  return ok(out);
}

const UNITS: Readonly<Record<string, number>> = {
  '': 1,
  b: 1,
  k: 1024,
  m: 2 ** 20,
  g: 2 ** 30,
  t: 2 ** 40,
};

/** A size in bytes with a binary unit (`64m`, `1.5g`, `512kb`), as Docker reads memory sizes. */
export function byteSize(flag: string, text: string): Result<number> {
  const match = /^(\d+(?:\.\d+)?) ?([kmgt]?)i?b?$/i.exec(text);
  const unit = UNITS[(match?.[2] ?? '').toLowerCase()];
  if (match?.[1] === undefined || unit === undefined)
    return usage(
      flag,
      text,
      'not a size',
      'write a number of bytes, or a number with k, m, g or t',
    );
  return ok(Math.floor(Number(match[1]) * unit));
}

/** `NAME=SOFT[:HARD]`; -1 means unlimited. */
export function ulimit(
  flag: string,
  text: string,
): Result<{ readonly name: string; readonly soft: number; readonly hard: number }> {
  const match = /^([a-z]+)=(-?\d+)(?::(-?\d+))?$/.exec(text);
  if (match?.[1] === undefined)
    return usage(flag, text, 'not a limit', 'write name=soft or name=soft:hard');
  const soft = Number(match[2]);
  const hard = match[3] === undefined ? soft : Number(match[3]);
  if (!ULIMITS.has(match[1]))
    return usage(flag, text, `unknown limit "${match[1]}"`, `known: ${[...ULIMITS].join(', ')}`);
  if (hard !== -1 && (soft === -1 || soft > hard))
    return usage(flag, text, 'the soft limit is above the hard limit');
  return ok({ name: match[1], soft, hard });
}

const ULIMITS: ReadonlySet<string> = new Set([
  'core',
  'cpu',
  'data',
  'fsize',
  'locks',
  'memlock',
  'msgqueue',
  'nice',
  'nofile',
  'nproc',
  'rss',
  'rtprio',
  'rttime',
  'sigpending',
  'stack',
]);

/** `HOST:IP` or `HOST=IP`; the address may stand in brackets. */
export function extraHost(
  flag: string,
  text: string,
): Result<{ readonly host: string; readonly ip: string }> {
  const at = text.includes('=') ? text.indexOf('=') : text.indexOf(':');
  if (at <= 0 || at === text.length - 1)
    return usage(flag, text, 'not a host and an address', 'write host:ip');
  const ip = text.slice(at + 1).replace(/^\[(.*)\]$/, '$1');
  if (ip !== 'host-gateway' && !/^(?:\d{1,3}(?:\.\d{1,3}){3}|[0-9a-f:.]*:[0-9a-f:.]*)$/i.test(ip))
    return usage(flag, text, `"${ip}" is not an IP address`, 'write host:ip');
  return ok({ host: text.slice(0, at), ip });
}

/** `os/architecture[/variant]`, or a part of it; the rest is that of this machine. */
export function platform(flag: string, text: string, host: Platform): Result<Platform> {
  const parsed = parsePlatform(text, host);
  return parsed.ok
    ? parsed
    : usage(flag, text, parsed.error, 'write os/architecture, e.g. linux/arm64');
}
