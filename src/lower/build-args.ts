import { type ArgCommand, expandWord } from '../dockerfile/index.ts';
import { formatPlatform, type OpPlatform, type ProxyEnv } from '../llb/index.ts';
import { EnvList } from './env-list.ts';
import type { DeclaredParameter } from './outline.ts';
import { locate, stop } from './stop.ts';

const NOTHING: ReadonlySet<string> = new Set();

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
    // Without version and features, unlike that of the target.
    ['BUILDPLATFORM', formatPlatform({ ...b, OSVersion: '', OSFeatures: [] })],
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
): {
  readonly args: EnvList;
  readonly keys: readonly string[];
  readonly parameters: ReadonlyMap<string, DeclaredParameter>;
} {
  let args = start;
  const keys: string[] = [];
  const parameters = new Map<string, DeclaredParameter>();
  for (const command of metaArgs) {
    for (const { key, value, docComment } of command.args) {
      let deps: ReadonlySet<string> = NOTHING;
      const given = options.buildArgs[key];
      let set = given;
      if (given === undefined && value !== undefined) {
        const expanded = expandWord(value, args, { escapeToken: options.escapeToken });
        if (!expanded.ok) locate(command, () => stop(expanded.error, 'DF021'));
        else {
          set = expanded.value.value;
          deps = expanded.value.matched;
          // A default that reads the argument itself reads what the one before it read.
          if (deps.has(key)) deps = deps.union(parameters.get(key)?.deps ?? NOTHING);
        }
      }
      if (set !== undefined) args = args.with(key, set);
      keys.push(key);
      const { lines } = command;
      parameters.set(key, { name: key, description: docComment, value: set ?? '', lines, deps });
    }
  }
  return { args, keys, parameters };
}

/** Proxy settings among the build arguments, whatever their case. */
export function proxyOf(buildArgs: Readonly<Record<string, string>>): ProxyEnv | undefined {
  const found = Object.entries(buildArgs).flatMap(([key, value]) => {
    const name = key.toLowerCase();
    return /^(?:http|https|ftp|no|all)_proxy$/.test(name) ? [[name, value] as const] : [];
  });
  return found.length === 0 ? undefined : Object.fromEntries(found);
}
