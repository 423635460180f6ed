import { stat } from 'node:fs/promises';
import { err, failure, isErrno, ok, type Result } from '../base/index.ts';
import type { Template } from '../template/index.ts';
import type { HostApt } from './host-apt.ts';
import type { Keyring } from './signature.ts';
import { readKeyring } from './signature.ts';

/** One suite to take packages from. */
export interface SuitePlan {
  readonly uri: string;
  readonly suite: string;
  readonly components: readonly string[];
  readonly keyring: Keyring;
  /** Pin priority when the Release file does not lower it. */
  readonly priority: number;
  readonly checkValidUntil: boolean;
  readonly checkDate: boolean;
  /** One of the host's own sources: left out when its Release file is of another distribution. */
  readonly fromHost: boolean;
}

/**
 * Where a template's packages come from: its mirrors, or the host's apt sources with the host's codename replaced by the
 * template's (`bookworm-security` becomes `trixie-security`). Only for the host's own sources does its configuration decide
 * about expiry and dates. PK001: nothing to take packages from.
 */
export async function planSuites(
  template: Template,
  host: HostApt,
): Promise<Result<readonly SuitePlan[]>> {
  const fallback = template.keyring ?? distributionKeyring(template.distribution);
  if (template.mirrors.length === 0) return await hostSuites(template, host, fallback);
  const plans: SuitePlan[] = [];
  if (template.hostSources === true) {
    const own = await hostSuites(template, host, fallback);
    if (!own.ok) return own;
    plans.push(...own.value);
  }
  for (const mirror of template.mirrors) {
    const keyring = await readKeyring([mirror.signedBy ?? fallback]);
    if (!keyring.ok) return keyring;
    for (const suite of mirror.suites)
      plans.push({
        uri: mirror.uri,
        suite,
        components: mirror.components,
        keyring: keyring.value,
        priority: mirror.priority,
        checkValidUntil: true,
        checkDate: true,
        fromHost: false,
      });
  }
  return ok(plans);
}

const distributionKeyring = (distribution: string): string =>
  `/usr/share/keyrings/${distribution}-archive-keyring.gpg`;

async function hostSuites(
  template: Template,
  host: HostApt,
  fallback: string,
): Promise<Result<readonly SuitePlan[]>> {
  const plans: SuitePlan[] = [];
  const seen = new Set<string>();
  for (const source of host.sources) {
    const suite = translate(source.suite, host.codename, template.suite);
    if (suite === undefined || source.components.length === 0) continue;
    if (!/^(?:https?|file):/.test(source.uri) || seen.has(`${source.uri} ${suite}`)) continue;
    seen.add(`${source.uri} ${suite}`);
    const keyring = await readKeyring(await keyringsOf(template, host, source.signedBy, fallback));
    if (!keyring.ok) return keyring;
    plans.push({
      uri: source.uri,
      suite,
      components: template.components,
      keyring: keyring.value,
      priority: 500,
      checkValidUntil:
        source.checkValidUntil ?? host.config.flag('Acquire::Check-Valid-Until', true),
      checkDate: source.checkDate ?? host.config.flag('Acquire::Check-Date', true),
      fromHost: true,
    });
  }
  if (plans.length > 0) return ok(plans);
  return err(
    failure('PK001', 2, `this machine's apt sources have nothing for ${template.suite}`, {
      help: 'name a repository under "mirrors:"',
      ...(host.sources.length === 0
        ? {}
        : { details: host.sources.map((s) => `${s.origin}: ${s.suite}`) }),
    }),
  );
}

/** The template's suite in place of the host's codename; undefined for what belongs to neither. */
function translate(
  suite: string,
  codename: string | undefined,
  wanted: string,
): string | undefined {
  for (const base of [wanted, codename])
    if (
      base !== undefined &&
      (suite === base || suite.startsWith(`${base}-`) || suite.startsWith(`${base}/`))
    )
      return `${wanted}${suite.slice(base.length)}`;
  return undefined;
}

async function keyringsOf(
  template: Template,
  host: HostApt,
  signedBy: readonly string[],
  fallback: string,
): Promise<readonly string[]> {
  if (template.keyring !== undefined) return [template.keyring];
  // A fingerprint in Signed-By restricts the trusted keyrings; the keyrings are what can be read.
  const paths = signedBy.filter((s) => s.startsWith('/') || s.includes('-----BEGIN'));
  if (paths.length > 0) return paths;
  return (await exists(fallback)) ? [fallback] : host.trustedKeyrings;
}

async function exists(path: string): Promise<boolean> {
  try {
    return (await stat(path)).isFile();
  } catch (e) {
    if (isErrno(e, 'ENOENT', 'ENOTDIR', 'EACCES')) return false;
    throw e;
  }
}
