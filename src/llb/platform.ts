import type { OpPlatform } from './op.ts';

/** A platform in the normal form of keys (containerd `platforms.Normalize`). */
export function normalisePlatform(platform: OpPlatform): OpPlatform {
  const os = platform.OS.toLowerCase() === 'macos' ? 'darwin' : platform.OS.toLowerCase();
  const [arch, variant] = normaliseArch(platform.Architecture, platform.Variant ?? '');
  const { Variant: _variant, ...rest } = platform;
  return {
    ...rest,
    OS: os,
    Architecture: arch,
    ...(variant === '' ? {} : { Variant: variant }),
  };
}

function normaliseArch(archText: string, variantText: string): readonly [string, string] {
  const arch = archText.toLowerCase();
  const variant = variantText.toLowerCase();
  switch (arch) {
    case 'i386':
      return ['386', ''];
    case 'x86_64':
    case 'x86-64':
    case 'amd64':
      return ['amd64', variant === 'v1' ? '' : variant];
    case 'aarch64':
    case 'arm64':
      return ['arm64', variant === '8' || variant === 'v8' ? '' : variant];
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
