import { byCodeUnit } from './order.ts';
import { err, ok, type Result } from './result.ts';

/** The parts of a platform's name, whatever the document that holds them calls them; an empty part is not given. */
export interface PlatformParts {
  readonly os: string;
  readonly architecture: string;
  readonly variant: string;
  /** `10.0.17763` of Windows. */
  readonly version: string;
  readonly features: readonly string[];
}

const SYSTEMS: ReadonlySet<string> = new Set(
  'aix android darwin dragonfly freebsd hurd illumos ios js linux nacl netbsd openbsd plan9 solaris windows zos'.split(
    ' ',
  ),
);
const ARCHITECTURES: ReadonlySet<string> = new Set(
  '386 amd64 amd64p32 arm armbe arm64 arm64be ppc64 ppc64le loong64 mips mipsle mips64 mips64le mips64p32 mips64p32le ppc riscv riscv64 s390 s390x sparc sparc64 wasm'.split(
    ' ',
  ),
);
const COMPONENT = /^[A-Za-z0-9_.-]+$/;
const SYSTEM = /^([A-Za-z0-9_-]+)(?:\(([A-Za-z0-9_.%-]*)((?:\+[A-Za-z0-9_.%-]+)*)\))?$/;

/**
 * Parses a platform specifier such as `linux/arm64/v8`, `arm64` or `windows(10.0.17763+win32k)/amd64` (containerd/platforms
 * 1.0, `Parse`); `host` fills what is not said. The error is the library's text.
 */
export function parsePlatformParts(
  text: string,
  host: PlatformParts,
): Result<PlatformParts, string> {
  const bad = (what: string): Result<never, string> =>
    err(`${JSON.stringify(text)}: ${what}: invalid argument`);
  if (text.includes('*')) return bad('wildcards not yet supported');
  const [system = '', second, third, ...more] = text.split('/');
  const rest = more.length === 0 ? [] : [more.join('/')];
  const os = SYSTEM.exec(system);
  if (os === null) return refusedPart(text, system, { kind: 'OS component', pattern: SYSTEM });
  for (const part of [second, third, ...rest])
    if (part !== undefined && !COMPONENT.test(part))
      return refusedPart(text, part, { kind: 'component', pattern: COMPONENT });
  const version = decodeOption(os[2] ?? '');
  if (version === undefined)
    return bad(`has an invalid OS version ${JSON.stringify(os[2])}: invalid URL escape`);
  const given = (os[3] ?? '').split('+').map(decodeOption);
  const features = given.filter((f) => f !== undefined);
  if (features.length < given.length) return bad('has invalid OS features: invalid URL escape');
  if (more.length > 0) return bad('cannot parse platform specifier');
  const options = {
    os: normaliseSystem(os[1] ?? ''),
    version,
    features: features.filter((f) => f !== ''),
  };
  if (second === undefined)
    return parseOne(system, host, options) ?? bad('unknown operating system or architecture');
  const [architecture, variant] = normaliseArchitecture(second, third ?? '');
  if (third === undefined)
    return ok({ ...options, architecture, variant: shortVariant(architecture, variant) });
  const said = architecture === 'arm64' && variant === '' ? 'v8' : variant;
  return ok({ ...options, architecture, variant: said });
}

function parseOne(
  word: string,
  host: PlatformParts,
  options: Pick<PlatformParts, 'os' | 'version' | 'features'>,
): Result<PlatformParts, string> | undefined {
  if (SYSTEMS.has(options.os)) {
    const { architecture, variant } = host;
    const own = architecture === 'arm' ? shortVariant(architecture, variant) : '';
    return ok({ ...options, architecture, variant: own });
  }
  const [architecture, variant] = normaliseArchitecture(word, '');
  if (!ARCHITECTURES.has(architecture)) return undefined;
  return ok({
    ...{ os: host.os, architecture, version: '', features: [] },
    variant: shortVariant(architecture, variant),
  });
}

function refusedPart(
  text: string,
  part: string,
  { kind, pattern }: { readonly kind: string; readonly pattern: RegExp },
): Result<never, string> {
  const specifier = pattern === SYSTEM ? 'OSAndVersion specifier' : 'platform specifier';
  return err(
    `${JSON.stringify(part)} is an invalid ${kind} of ${JSON.stringify(text)}: ${specifier} component must match ${JSON.stringify(pattern.source)}: invalid argument`,
  );
}

/** The usual variant of arm is not written where a specifier does not name it. */
const shortVariant = (architecture: string, variant: string): string =>
  architecture === 'arm' && variant === 'v7' ? '' : variant;

/** The text of a platform with version, features and variant (containerd/platforms, `FormatAll`). */
export function formatPlatformParts(p: PlatformParts): string {
  if (p.os === '') return 'unknown';
  const features = sortedFeatures(p.features).map((f) => `+${encodeOption(f)}`);
  const options = `${encodeOption(p.version)}${features.join('')}`;
  const os = options === '' ? p.os : `${p.os}(${options})`;
  return [os, p.architecture, p.variant].filter((part) => part !== '').join('/');
}

/** The normal form in which platforms are compared and hashed (containerd/platforms, `Normalize`). */
export function normalisePlatformParts(p: PlatformParts): PlatformParts {
  const [architecture, variant] = normaliseArchitecture(p.architecture, p.variant);
  const features = sortedFeatures(p.features);
  return { os: normaliseSystem(p.os), architecture, variant, version: p.version, features };
}

const sortedFeatures = (features: readonly string[]): string[] =>
  [...new Set(features.filter((f) => f !== ''))].sort(byCodeUnit);

/** Characters of versions and features that the syntax around them has a use for. */
const encodeOption = (text: string): string =>
  text.replace(/[%+()/]/g, (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`);

function decodeOption(text: string): string | undefined {
  if (/%(?![0-9A-Fa-f]{2})/.test(text)) return undefined;
  return text.replace(/%([0-9A-Fa-f]{2})/g, (_, hex: string) =>
    String.fromCharCode(Number.parseInt(hex, 16)),
  );
}

function normaliseSystem(os: string): string {
  const lower = os.toLowerCase();
  return lower === 'macos' ? 'darwin' : lower;
}

/** Names of an architecture to the one of Go, with its variant (containerd/platforms, `normalizeArch`). */
export function normaliseArchitecture(
  archText: string,
  variantText: string,
): readonly [architecture: string, variant: string] {
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
      if (['8', 'v8', 'v8.0'].includes(variant)) return ['arm64', ''];
      return ['arm64', ['9', '9.0', 'v9.0'].includes(variant) ? 'v9' : variant];
    case 'armhf':
      return ['arm', 'v7'];
    case 'armel':
      return ['arm', 'v6'];
    case 'arm':
      if (variant === '' || variant === '7') return ['arm', 'v7'];
      return ['arm', /^[568]$/.test(variant) ? `v${variant}` : variant];
    default:
      return [arch, variant];
  }
}
