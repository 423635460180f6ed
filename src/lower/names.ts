import { expandWord } from '../dockerfile/index.ts';
import type { OpPlatform } from '../llb/index.ts';
import { formatPlatform, normalisePlatform, parsePlatform } from '../llb/index.ts';
import type { EnvList } from './env-list.ts';
import type { Lowering, StageState } from './stage-state.ts';

/** Description key under which a vertex has the name that people see. */
export const CUSTOM_NAME = 'llb.customname';

/** `[stage 2/5] text`: counts the step. Without steps there is nothing to count and the text stands alone. */
export function stepName(
  lowering: Lowering,
  stage: StageState,
  text: string,
  options: { readonly platform: OpPlatform | undefined; readonly env?: EnvList },
): string {
  if (stage.stepTotal === 0) return text;
  const { platform, env } = options;
  const prefixed = lowering.request.multiPlatform === true && platform !== undefined;
  const where = prefixed ? `${formatPlatform(platform)}${crossSuffix(platform, env)} ` : '';
  const name = stage.shownName === '' ? '' : `${stage.shownName} `;
  stage.stepIndex++;
  const width = Math.floor(1 + Math.log10(stage.stepTotal));
  return `[${where}${name}${String(stage.stepIndex).padStart(width)}/${stage.stepTotal}] ${text}`;
}

/** `->arm64` where the stage's environment says that it builds for another platform than it runs on. */
function crossSuffix(base: OpPlatform, env: EnvList | undefined): string {
  const target = env === undefined ? undefined : platformOfEnv(env, base);
  if (target === undefined) return '';
  const p = normalisePlatform({
    ...target,
    OS: target.OS === '' ? base.OS : target.OS,
    Architecture: target.Architecture === '' ? base.Architecture : target.Architecture,
  });
  if (p.OS !== base.OS) return `->${formatPlatform(p)}`;
  if (p.Architecture === base.Architecture) return '';
  return `->${[p.Architecture, p.Variant ?? ''].filter((part) => part !== '').join('/')}`;
}

function platformOfEnv(env: EnvList, host: OpPlatform): OpPlatform | undefined {
  const whole = env.get('TARGETPLATFORM');
  const parsed = whole === undefined ? undefined : parsePlatform(whole, host);
  if (parsed?.ok === true) return parsed.value;
  const [os, arch, variant] = ['TARGETOS', 'TARGETARCH', 'TARGETVARIANT'].map((n) => env.get(n));
  if (os === undefined && arch === undefined && variant === undefined) return undefined;
  return {
    OS: os ?? '',
    Architecture: arch ?? '',
    ...(variant === undefined ? {} : { Variant: variant }),
  };
}

/** The instruction as shown: keyword in capitals, variables replaced where that works. */
export function shownCommand(
  lowering: Lowering,
  code: string,
  env: { get(name: string): string | undefined },
  options: { readonly raw: boolean } = { raw: false },
): string {
  const raw = options.raw ? { rawQuotes: true, skipUnsetEnv: true } : {};
  const expanded = expandWord(code, env, { escapeToken: lowering.escapeToken, ...raw });
  const text = expanded.ok ? expanded.value.value : code;
  const blank = text.indexOf(' ');
  return blank === -1
    ? text.toUpperCase()
    : `${text.slice(0, blank).toUpperCase()}${text.slice(blank)}`;
}
