import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { err, failure, isErrno, isRecord, ok, type Result } from '../base/index.ts';
import { DEFAULT_PRESET, decodePolicy, type GcPolicy, merged, PRESETS } from '../gc/index.ts';
import type { Io } from './io.ts';

type Options = Readonly<Record<string, unknown>>;

/** Rules of a policy by the names of their flags. */
const FLAGS: Readonly<Record<string, string>> = {
  preset: 'preset',
  maxUsedSpace: 'max-used-space',
  reservedSpace: 'reserved-space',
  minFreeSpace: 'min-free-space',
  keepDuration: 'keep-duration',
};

/**
 * The policy that holds: `gc.yml` of the user's configuration, then `gc.yml` of the store, then `VARVE_GC_*`, then flags. A later
 * one replaces single rules of an earlier one, and the first stands on the default preset unless one of them names another.
 * Files that are not there cost one look each.
 */
export async function gcPolicy(
  io: Io,
  root: string,
  options: Options = {},
): Promise<Result<GcPolicy>> {
  const sources: Result<Source>[] = [];
  for (const path of [join(configDir(io), 'varve/gc.yml'), join(root, 'gc.yml')]) {
    const text = readIfThere(path);
    if (!text.ok) return text;
    if (text.value !== undefined) sources.push(await policyFile(path, text.value));
  }
  sources.push(rulesOf('VARVE_GC_*: ', environmentRules(io)), rulesOf('--', flagRules(options)));
  const failed = sources.find((source) => !source.ok);
  if (failed?.ok === false) return failed;
  const known = sources.flatMap((source) => (source.ok ? [source.value] : []));
  const base = known.some((source) => source.named) ? {} : (PRESETS[DEFAULT_PRESET] ?? {});
  return ok(known.reduce<GcPolicy>((all, { policy }) => merged(all, policy), base));
}

/** Rules that stand in one place, and whether a preset is named there. */
interface Source {
  readonly policy: GcPolicy;
  readonly named: boolean;
}

function rulesOf(where: string, rules: Readonly<Record<string, unknown>>): Result<Source> {
  const decoded = decodePolicy(rules);
  return decoded.ok
    ? ok({ policy: decoded.value, named: rules['preset'] !== undefined })
    : err(failure('CL002', 2, `${where}${decoded.error}`));
}

function configDir(io: Io): string {
  const given = io.env['XDG_CONFIG_HOME'];
  return given === undefined || given === '' ? join(io.env['HOME'] ?? '/root', '.config') : given;
}

function readIfThere(path: string): Result<string | undefined> {
  try {
    return ok(readFileSync(path, 'utf8'));
  } catch (e) {
    if (isErrno(e, 'ENOENT', 'ENOTDIR')) return ok(undefined);
    if (!isErrno(e, 'EACCES', 'EISDIR', 'EIO')) throw e;
    return err(
      failure('ST040', 2, `policy ${path}: cannot be read (${e.code ?? ''})`, { cause: e }),
    );
  }
}

async function policyFile(path: string, text: string): Promise<Result<Source>> {
  const { parseDocument } = await import('yaml');
  const document = parseDocument(text, { schema: 'core' });
  const [problem] = document.errors;
  if (problem !== undefined)
    return err(failure('ST040', 2, `policy ${path}: ${problem.message.split('\n')[0] ?? ''}`));
  const value: unknown = document.toJS({ maxAliasCount: 0 }) ?? {};
  const decoded = decodePolicy(value);
  return decoded.ok
    ? ok({ policy: decoded.value, named: isRecord(value) && value['preset'] !== undefined })
    : err(
        failure('ST040', 2, `policy ${path}: ${decoded.error}`, {
          help: 'see docs/cache-commands.md for what a policy may say',
        }),
      );
}

function environmentRules(io: Io): Record<string, unknown> {
  return Object.fromEntries(
    Object.values(FLAGS).flatMap((rule) => {
      const value = io.env[`VARVE_GC_${rule.toUpperCase().replaceAll('-', '_')}`];
      return value === undefined || value === '' ? [] : [[rule, value]];
    }),
  );
}

function flagRules(options: Options): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(FLAGS).flatMap(([flag, rule]) => {
      const value = options[flag];
      return typeof value === 'string' ? [[rule, value]] : [];
    }),
  );
}
