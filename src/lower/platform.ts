import { err, ok, type Result } from '../base/index.ts';
import { quoteGo } from '../dockerfile/index.ts';
import { normalisePlatform, type OpPlatform } from '../llb/index.ts';

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

/** Parses a platform specifier such as `linux/arm64` (containerd `platforms.Parse`); the error is its text. */
export function parsePlatform(text: string, host: OpPlatform): Result<OpPlatform, string> {
  const bad = (what: string): Result<never, string> =>
    err(`${quoteGo(text)}: ${what}: invalid argument`);
  if (text.includes('*')) return bad('wildcards not yet supported');
  const [system = '', arch, variant, ...more] = text.split('/');
  if (more.length > 0) return bad('cannot parse platform specifier');
  const os = SYSTEM.exec(system);
  if (os === null)
    return err(
      `${quoteGo(system)} is an invalid OS component of ${quoteGo(text)}: OSAndVersion specifier component must match "^([A-Za-z0-9_-]+)(?:\\\\(([A-Za-z0-9_.%-]*)((?:\\\\+[A-Za-z0-9_.%-]+)*)\\\\))?$": invalid argument`,
    );
  for (const part of [arch, variant])
    if (part !== undefined && !COMPONENT.test(part))
      return err(
        `${quoteGo(part)} is an invalid component of ${quoteGo(text)}: platform specifier component must match "^[A-Za-z0-9_.-]+$": invalid argument`,
      );
  if (arch === undefined)
    return parseOne(system, host) ?? bad('unknown operating system or architecture');
  const version = os[2] ?? '';
  const features = (os[3] ?? '').split('+').filter((f) => f !== '');
  return ok(
    normalisePlatform({
      Architecture: arch,
      OS: os[1] ?? '',
      ...(variant === undefined ? {} : { Variant: variant }),
      ...(version === '' ? {} : { OSVersion: version }),
      ...(features.length === 0 ? {} : { OSFeatures: features }),
    }),
  );
}

function parseOne(name: string, host: OpPlatform): Result<OpPlatform, string> | undefined {
  const word = name.toLowerCase();
  if (SYSTEMS.has(word) || word === 'macos') return ok(normalisePlatform({ ...host, OS: word }));
  const alone = normalisePlatform({ Architecture: word, OS: host.OS });
  return ARCHITECTURES.has(alone.Architecture) ? ok(alone) : undefined;
}

/** A platform as text, version and variant included (containerd `platforms.FormatAll`). */
export function formatPlatform(p: OpPlatform): string {
  const features = (p.OSFeatures ?? []).map((f) => `+${f}`).join('');
  const version = `${p.OSVersion ?? ''}${features}`;
  const os = version === '' ? p.OS : `${p.OS}(${version})`;
  return [os, p.Architecture, p.Variant ?? ''].filter((part) => part !== '').join('/');
}
