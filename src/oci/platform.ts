import {
  formatPlatformParts,
  normaliseArchitecture,
  normalisePlatformParts,
  ok,
  type PlatformParts,
  parsePlatformParts,
  type Result,
} from '../base/index.ts';
import type { Platform } from './types.ts';

/** The parts of a platform of OCI documents. */
function partsOf(p: Platform): PlatformParts {
  return {
    os: p.os,
    architecture: p.architecture,
    variant: p.variant ?? '',
    version: p['os.version'] ?? '',
    features: p['os.features'] ?? [],
  };
}

function platformOf(p: PlatformParts): Platform {
  return {
    architecture: p.architecture,
    os: p.os,
    ...(p.variant === '' ? {} : { variant: p.variant }),
    ...(p.version === '' ? {} : { 'os.version': p.version }),
    ...(p.features.length === 0 ? {} : { 'os.features': p.features }),
  };
}

/** The platform of a machine by the names of its kernel (`x86_64`, `aarch64`) or of Node (`x64`). */
export function hostPlatform(arch: string): Platform {
  const [architecture, variant] = normaliseArchitecture(arch === 'x64' ? 'amd64' : arch, '');
  // Tools name the default variant of the host's arm64 nowhere.
  return build('linux', architecture, variant);
}

/** Parses `linux/arm64/v8`, `arm64`, `linux`; `host` fills what is not said. */
export function parsePlatform(text: string, host: Platform): Result<Platform, string> {
  const parsed = parsePlatformParts(text, partsOf(host));
  return parsed.ok ? ok(platformOf(parsed.value)) : parsed;
}

/** `linux/arm64/v8`. */
export function formatPlatform(p: Platform): string {
  return formatPlatformParts(partsOf(p));
}

/** The normal form in which platforms are compared. */
export function normalise(p: Platform): Platform {
  return platformOf(normalisePlatformParts(partsOf(p)));
}

/**
 * How well `candidate` serves `wanted`: 0 is exact, larger is a fallback (an older variant, 32 bits on 64), undefined does
 * not run there (containerd/platforms, `Only`).
 */
export function platformRank(candidate: Platform, wanted: Platform): number | undefined {
  const c = normalise(candidate);
  const at = fallbacks(normalise(wanted)).findIndex(
    (w) => w.os === c.os && w.architecture === c.architecture && variantOf(w) === variantOf(c),
  );
  return at === -1 ? undefined : at;
}

/** The best of some candidates for a platform; the first of equals. */
export function pickPlatform<T>(
  candidates: readonly T[],
  platformOf: (candidate: T) => Platform | undefined,
  wanted: Platform,
): T | undefined {
  let best: { readonly candidate: T; readonly rank: number } | undefined;
  for (const candidate of candidates) {
    const platform = platformOf(candidate);
    const rank = platform === undefined ? undefined : platformRank(platform, wanted);
    if (rank !== undefined && (best === undefined || rank < best.rank)) best = { candidate, rank };
  }
  return best?.candidate;
}

/** Variants of which the architecture without a variant is one. */
function variantOf(p: Platform): string {
  const defaults: Readonly<Record<string, string>> = { arm64: 'v8', arm: 'v7', amd64: 'v1' };
  return p.variant ?? defaults[p.architecture] ?? '';
}

function fallbacks(p: Platform): Platform[] {
  const variant = variantOf(p);
  const older = (lowest: number, architecture: string, from: string): Platform[] => {
    const number = /^v([0-9]{1,2})$/.exec(from)?.[1];
    if (number === undefined) return [build(p.os, architecture, from)];
    const list: Platform[] = [];
    for (let v = Number(number); v >= lowest; v--) list.push(build(p.os, architecture, `v${v}`));
    return list.length === 0 ? [build(p.os, architecture, from)] : list;
  };
  switch (p.architecture) {
    case 'amd64':
      return [...older(1, 'amd64', variant), build(p.os, '386', '')];
    case 'arm':
      return older(5, 'arm', variant);
    case 'arm64':
      return [
        ...arm64Variants(variant).map((v) => build(p.os, 'arm64', v)),
        ...older(5, 'arm', 'v8'),
      ];
    default:
      return [p];
  }
}

function build(os: string, architecture: string, variant: string): Platform {
  return { architecture, os, ...(variant === '' ? {} : { variant }) };
}

/** A variant of arm64 and those that run on it: of 9.N also 8.N+5 and older (containerd/platforms, `platformVector`). */
function arm64Variants(variant: string): readonly string[] {
  const [, major, minor = '0'] = /^v([89])(?:\.(\d))?$/.exec(variant) ?? [];
  if (major === undefined) return [variant];
  const down = (from: string, to: number): string[] =>
    Array.from({ length: to + 1 }, (_, i) => (to === i ? `v${from}` : `v${from}.${to - i}`));
  const of8 = Math.min(9, Number(minor) + 5);
  return major === '8'
    ? down('8', Number(minor))
    : [...down('9', Number(minor)), ...down('8', of8)];
}
