import { type ArgCommand, expandWord } from '../dockerfile/index.ts';
import type { OpPlatform, ProxyEnv } from '../llb/index.ts';
import { EnvList } from './env-list.ts';
import { formatPlatform } from './platform.ts';
import { locate, stop } from './stop.ts';

/** Arguments that may be declared but never reach a step's environment. */
export const DECLARED_ONLY: ReadonlySet<string> = new Set([
  'BUILDKIT_SBOM_SCAN_CONTEXT',
  'BUILDKIT_SBOM_SCAN_STAGE',
]);

/** The predefined global arguments (Dockerfile reference, "Automatic platform ARGs in the global scope"). */
export function platformArgs(
  platforms: { readonly build: OpPlatform; readonly target: OpPlatform; readonly stage: string },
  buildArgs: Readonly<Record<string, string>>,
): EnvList {
  const { build: b, target: t, stage } = platforms;
  const defaults: readonly (readonly [string, string])[] = [
    ['BUILDPLATFORM', formatPlatform(b)],
    ['BUILDOS', b.OS],
    ['BUILDOSVERSION', b.OSVersion ?? ''],
    ['BUILDARCH', b.Architecture],
    ['BUILDVARIANT', b.Variant ?? ''],
    ['TARGETPLATFORM', formatPlatform(t)],
    ['TARGETOS', t.OS],
    ['TARGETOSVERSION', t.OSVersion ?? ''],
    ['TARGETARCH', t.Architecture],
    ['TARGETVARIANT', t.Variant ?? ''],
    ['TARGETSTAGE', stage === '' ? 'default' : stage],
  ];
  return new EnvList(defaults.map(([k, v]) => [k, buildArgs[k] ?? v] as const));
}

/** The global arguments after the ARG instructions above the first FROM; `keys` are the names these declare. */
export function globalArguments(
  start: EnvList,
  metaArgs: readonly ArgCommand[],
  options: {
    readonly buildArgs: Readonly<Record<string, string>>;
    readonly escapeToken: '\\' | '`';
  },
): { readonly args: EnvList; readonly keys: readonly string[] } {
  let args = start;
  const keys: string[] = [];
  for (const command of metaArgs) {
    for (const { key, value } of command.args) {
      const given = options.buildArgs[key];
      let set = given;
      if (given === undefined && value !== undefined) {
        const expanded = expandWord(value, args, { escapeToken: options.escapeToken });
        if (!expanded.ok) locate(command, () => stop(expanded.error, 'DF021'));
        else set = expanded.value.value;
      }
      if (set !== undefined) args = args.with(key, set);
      keys.push(key);
    }
  }
  return { args, keys };
}

/** Proxy settings among the build arguments, whatever their case. */
export function proxyOf(buildArgs: Readonly<Record<string, string>>): ProxyEnv | undefined {
  const found = Object.entries(buildArgs).flatMap(([key, value]) => {
    const name = key.toLowerCase();
    return /^(?:http|https|ftp|no|all)_proxy$/.test(name) ? [[name, value] as const] : [];
  });
  return found.length === 0 ? undefined : Object.fromEntries(found);
}
