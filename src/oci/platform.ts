import { err, ok, type Result } from '../base/index.ts';
import type { Platform } from './types.ts';

const KNOWN_OS = new Set(
  'aix android darwin dragonfly freebsd hurd illumos ios js linux nacl netbsd openbsd plan9 solaris windows zos'.split(
    ' ',
  ),
);
const KNOWN_ARCH = new Set(
  '386 amd64 amd64p32 arm armbe arm64 arm64be ppc64 ppc64le loong64 mips mipsle mips64 mips64le mips64p32 mips64p32le ppc riscv riscv64 s390 s390x sparc sparc64 wasm'.split(
    ' ',
  ),
);
const COMPONENT = /^[A-Za-z0-9_.-]+$/;
const OS_COMPONENT = /^([A-Za-z0-9_-]+)(?:\(([A-Za-z0-9_.-]*)\))?$/;

/** The platform of a machine by the names of its kernel (`x86_64`, `aarch64`) or of Node (`x64`). */
export function hostPlatform(arch: string): Platform {
  const [architecture, variant] = normaliseArch(arch === 'x64' ? 'amd64' : arch, '');
  // Tools name the default variant of the host's arm64 nowhere.
  return build('linux', architecture, variant);
}

/** Parses `linux/arm64/v8`, `arm64`, `linux` (containerd/platforms, `Parse`); `host` fills what is not said. */
export function parsePlatform(text: string, host: Platform): Result<Platform, string> {
  if (text.includes('*')) return err(`"${text}": wildcards not yet supported: invalid argument`);
  const parts = text.split('/');
  const [first = '', second, third] = parts;
  for (const [i, part] of parts.entries()) {
    if (!(i === 0 ? OS_COMPONENT : COMPONENT).test(part)) {
      return err(
        `"${part}" is an invalid component of "${text}": platform specifier component must match "${(i === 0 ? OS_COMPONENT : COMPONENT).source}": invalid argument`,
      );
    }
  }
  const osMatch = OS_COMPONENT.exec(first);
  const os = normaliseOs(osMatch?.[1] ?? first);
  const version = osMatch?.[2];
  const extra = version === undefined || version === '' ? {} : { 'os.version': version };
  if (second === undefined) return parseOne(text, os, extra, host);
  if (parts.length > 3) return err(`"${text}": cannot parse platform specifier: invalid argument`);
  const [architecture, variant] = normaliseArch(second, third ?? '');
  if (third === undefined) {
    return ok({
      ...build(os, architecture, architecture === 'arm' && variant === 'v7' ? '' : variant),
      ...extra,
    });
  }
  return ok({
    ...build(os, architecture, architecture === 'arm64' && variant === '' ? 'v8' : variant),
    ...extra,
  });
}

function parseOne(
  text: string,
  os: string,
  extra: Partial<Platform>,
  host: Platform,
): Result<Platform, string> {
  if (KNOWN_OS.has(os)) return ok({ ...host, os, ...extra });
  const [architecture, variant] = normaliseArch(text, '');
  if (KNOWN_ARCH.has(architecture)) {
    return ok(
      build(host.os, architecture, architecture === 'arm' && variant === 'v7' ? '' : variant),
    );
  }
  return err(`"${text}": unknown operating system or architecture: invalid argument`);
}

/** `linux/arm64/v8`. */
export function formatPlatform(p: Platform): string {
  const variant = p.variant === undefined || p.variant === '' ? '' : `/${p.variant}`;
  const version = p['os.version'];
  const os = version === undefined || version === '' ? p.os : `${p.os}(${version})`;
  return `${os}/${p.architecture}${variant}`;
}

/** The normal form in which platforms are compared (containerd/platforms, `Normalize`). */
export function normalise(p: Platform): Platform {
  const { variant: _variant, ...rest } = p;
  const [architecture, variant] = normaliseArch(p.architecture, p.variant ?? '');
  return {
    ...rest,
    os: normaliseOs(p.os),
    architecture,
    ...(variant === '' ? {} : { variant }),
  };
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
      return [...older(8, 'arm64', variant), ...older(5, 'arm', 'v8')];
    default:
      return [p];
  }
}

function build(os: string, architecture: string, variant: string): Platform {
  return { architecture, os, ...(variant === '' ? {} : { variant }) };
}

function normaliseOs(os: string): string {
  const lower = os.toLowerCase();
  return lower === 'macos' ? 'darwin' : lower;
}

function normaliseArch(archText: string, variantText: string): readonly [string, string] {
  const [arch, variant] = [archText.toLowerCase(), variantText.toLowerCase()];
  switch (arch) {
    case 'i386':
      return ['386', ''];
    case 'x86_64':
    case 'x86-64':
    case 'amd64':
      return ['amd64', variant === 'v1' ? '' : variant];
    case 'aarch64':
    case 'arm64':
      return [
        'arm64',
        ['8', 'v8', 'v8.0'].includes(variant)
          ? ''
          : variant === '9' || variant === '9.0' || variant === 'v9.0'
            ? 'v9'
            : variant,
      ];
    case 'armhf':
      return ['arm', 'v7'];
    case 'armel':
      return ['arm', 'v6'];
    case 'arm':
      return [
        'arm',
        variant === '' || variant === '7'
          ? 'v7'
          : /^[568]$/.test(variant)
            ? `v${variant}`
            : variant,
      ];
    default:
      return [arch, variant];
  }
}
