import { z } from 'zod';
import { err, failure, type Result, type SourceFile } from '../base/index.ts';
import type { OsTemplate } from './os-template.ts';
import { parseYaml } from './yaml-schema.ts';

const texts = z.array(z.string());
const byArch = z.record(z.string(), z.string());

/** Packages and files (by path, executable) of the initramfs. */
const addition = z.strictObject({ packages: texts, files: byArch });

const schema = z.strictObject({
  os: z.string(),
  dist: z.string(),
  format: z.enum(['deb', 'rpm']),
  architectures: byArch,
  distribution: z.string(),
  suite: z.string(),
  components: texts.default([]),
  variant: z.enum(['essential', 'apt', 'minbase', 'important', 'standard']).default('essential'),
  packages: texts.default([]),
  /** Where rpm keeps its database. */
  databasePath: z.string().startsWith('/').default('/var/lib/rpm'),
  /** The group whose members may use sudo. */
  adminGroup: z.string().default('sudo'),
  kernel: byArch.default({}),
  initramfs: z
    .strictObject({
      packages: texts,
      command: z.string(),
      /** Extended regular expressions: a package with such a path takes part in the initramfs. */
      concerns: texts.min(1),
    })
    .optional(),
  /** What opens a root with a tree of hashes. */
  verity: addition.optional(),
  /** What opens the root of a live medium, and its kernel, which has to know more machines than that of a disk. */
  live: addition.extend({ kernel: byArch.optional() }).optional(),
  stub: byArch.default({}),
  efiName: byArch.default({}),
  tools: z
    .strictObject({
      disk: texts,
      convert: texts,
      boot: texts,
      verity: texts.default([]),
      sign: texts.default([]),
      iso: texts.default([]),
    })
    .optional(),
});

/**
 * What is known of a distribution, as data: `providers/<dist>.yml`. Without `tools` its templates are checked only.
 */
export type Provider = z.infer<typeof schema>;

/** What the initramfs of a template has beside the distribution's own: how it finds a root that nothing writes to. */
export function rootOpeners(
  t: { readonly target: { readonly imageType: string }; readonly system: OsTemplate['system'] },
  provider: Provider,
): readonly z.infer<typeof addition>[] {
  return [
    ...(t.system.immutability?.enabled === true ? [provider.verity] : []),
    ...(t.target.imageType === 'iso' ? [provider.live] : []),
  ].filter((a) => a !== undefined);
}

/** Reads a provider file. TP001 to TP003, as of templates. */
export function parseProvider(file: SourceFile): Result<Provider> {
  const parsed = parseYaml(file, schema);
  return parsed.ok ? { ok: true, value: parsed.value.value } : parsed;
}

/** The provider of a template's target among those known. TP007: there is none, or not of this architecture. */
export function providerOf(
  target: { readonly os: string; readonly dist: string; readonly arch: string },
  known: readonly Provider[],
): Result<Provider> {
  const found = known.find((p) => p.dist === target.dist && p.os === target.os);
  if (found === undefined)
    return err(
      failure('TP007', 2, `nothing is known of ${target.os} ${target.dist}`, {
        help: `known: ${known.map((p) => `${p.os} ${p.dist}`).join(', ')}`,
      }),
    );
  if (!(target.arch in found.architectures))
    return err(
      failure('TP007', 2, `${target.dist} is not known for ${target.arch}`, {
        help: `known: ${Object.keys(found.architectures).join(', ')}`,
      }),
    );
  return { ok: true, value: found };
}
