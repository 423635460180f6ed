import {
  formatPlatformParts,
  normalisePlatformParts,
  ok,
  type PlatformParts,
  parsePlatformParts,
  type Result,
} from '../base/index.ts';
import type { OpPlatform } from './op.ts';

function partsOf(p: OpPlatform): PlatformParts {
  return {
    os: p.OS,
    architecture: p.Architecture,
    variant: p.Variant ?? '',
    version: p.OSVersion ?? '',
    features: p.OSFeatures ?? [],
  };
}

function platformOf(p: PlatformParts): OpPlatform {
  return {
    Architecture: p.architecture,
    OS: p.os,
    ...(p.variant === '' ? {} : { Variant: p.variant }),
    ...(p.version === '' ? {} : { OSVersion: p.version }),
    ...(p.features.length === 0 ? {} : { OSFeatures: p.features }),
  };
}

/** A platform of an op in the normal form of keys. */
export function normalisePlatform(platform: OpPlatform): OpPlatform {
  return platformOf(normalisePlatformParts(partsOf(platform)));
}

/** Parses a platform specifier such as `linux/arm64` into its normal form; the error is its text. */
export function parsePlatform(text: string, host: OpPlatform): Result<OpPlatform, string> {
  const parsed = parsePlatformParts(text, partsOf(host));
  return parsed.ok ? ok(platformOf(normalisePlatformParts(parsed.value))) : parsed;
}

/** A platform as text, version, features and variant included. */
export function formatPlatform(p: OpPlatform): string {
  return formatPlatformParts(partsOf(p));
}
