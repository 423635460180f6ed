import { z } from 'zod';

/*
 * The template schema of os-image-composer (its os-image-template JSON schema): one strict object a table, except where
 * that schema itself takes any key.
 */

const OPERATING_SYSTEMS = [
  'azure-linux',
  'edge-microvisor-toolkit',
  'wind-river-elxr',
  'ubuntu',
  'redhat-compatible-distro',
  'debian',
] as const;

const text = z.string();
const texts = z.array(text);
const size = text.regex(
  /^(?:0|\d+(?:\.\d+)?\s*(?:[KMGT]i?B?|B)?)$/i,
  'expected a size such as 4GiB or 513MiB',
);

const partition = z.strictObject({
  id: text.regex(/^[A-Za-z0-9_-]+$/, 'expected letters, digits, "-" or "_"').optional(),
  index: z.int().min(1).max(128).optional(),
  name: text.max(36, 'expected at most 36 characters').optional(),
  type: text.optional(),
  typeUUID: text
    .regex(/^(?:[0-9A-Fa-f]{8}-(?:[0-9A-Fa-f]{4}-){3}[0-9A-Fa-f]{12}|[0-9A-Fa-f]{1,2})$/, {
      error: 'expected a UUID, or two hexadecimal digits (mbr)',
    })
    .optional(),
  fsType: text.optional(),
  fsLabel: text.max(16, 'expected at most 16 characters').optional(),
  start: size.optional(),
  end: size.optional(),
  mountPoint: text.optional(),
  mountOptions: text.optional(),
  flags: texts.optional(),
});

const disk = z.strictObject({
  name: text,
  path: text.optional(),
  size: size.optional(),
  partitionTableType: z.enum(['gpt', 'mbr']).optional(),
  artifacts: z
    .array(
      z.strictObject({
        type: z.enum(['raw', 'qcow2', 'vhd', 'vhdx', 'vmdk', 'vdi']),
        compression: z.enum(['gz', 'gzip', 'xz', 'zstd', 'bz2']).optional(),
      }),
    )
    .optional(),
  partitions: z.array(partition).optional(),
});

const user = z.strictObject({
  name: text.regex(/^[a-z_][a-z0-9_-]{0,31}$/, 'expected a user name'),
  password: text.optional(),
  hash_algo: text.optional(),
  passwordMaxAge: z.int().optional(),
  startupScript: text.optional(),
  groups: texts.optional(),
  sudo: z.boolean().optional(),
  home: text.regex(/^\//, 'expected an absolute path').optional(),
  shell: text.regex(/^\//, 'expected an absolute path').optional(),
});

const kernel = z.strictObject({
  name: text.optional(),
  version: text.optional(),
  cmdline: text.regex(/^[^\n\0]*$/, 'expected one line').optional(),
  enableExtraModules: text.optional(),
  uki: z.boolean().optional(),
  packages: texts.optional(),
});

const systemConfig = z.strictObject({
  name: text.optional(),
  description: text.optional(),
  hostname: text
    .regex(/^[A-Za-z0-9](?:[A-Za-z0-9.-]{0,62}[A-Za-z0-9])?$/, 'expected a host name')
    .optional(),
  initramfs: z.strictObject({ template: text.optional() }).optional(),
  immutability: z
    .strictObject({
      enabled: z.boolean(),
      secureBootDBKey: text.optional(),
      secureBootDBCrt: text.optional(),
      secureBootDBCer: text.optional(),
    })
    .optional(),
  users: z.array(user).optional(),
  bootloader: z
    .strictObject({
      bootType: z.enum(['efi', 'legacy']).optional(),
      provider: z.enum(['grub', 'grub2', 'systemd-boot']).optional(),
    })
    .optional(),
  packages: texts.optional(),
  additionalFiles: z
    .array(z.looseObject({ local: text, final: text.regex(/^\//, 'expected an absolute path') }))
    .optional(),
  configurations: z.array(z.looseObject({ cmd: text })).optional(),
  kernel: kernel.optional(),
});

const repository = z.strictObject({
  codename: text.optional(),
  url: text.optional(),
  path: text.optional(),
  pkey: text.optional(),
  pkeys: texts.optional(),
  component: text.optional(),
  priority: z.int().min(-9999).max(9999).optional(),
  allowPackages: texts.optional(),
});

/** A template file as it is written. */
export const osSchema = z.strictObject({
  /** Varve's own: a file whose values stand where this one is silent. */
  extends: text.optional(),
  metadata: z
    .strictObject({
      description: text.optional(),
      use_cases: texts.optional(),
      keywords: texts.optional(),
    })
    .optional(),
  image: z.strictObject({
    name: text.regex(/^[A-Za-z0-9_-]+$/, 'expected letters, digits, "-" or "_"'),
    version: text.regex(/^[0-9A-Za-z][0-9A-Za-z.+_-]*$/, 'expected a version such as 1.0.0'),
  }),
  target: z.strictObject({
    os: z.enum(OPERATING_SYSTEMS),
    dist: text.regex(/^[a-z0-9]+$/, 'expected a distribution such as debian13'),
    arch: z.enum(['x86_64', 'aarch64', 'armv7hl']),
    imageType: z.enum(['raw', 'img', 'iso']),
  }),
  disk: disk.optional(),
  systemConfig: systemConfig.optional(),
  packageRepositories: z.array(repository).optional(),
});

/** What a file that others extend may leave out: everything. */
export const osPartSchema = osSchema.partial();

/** A template, its parents merged in. */
export type OsDocument = z.infer<typeof osSchema>;
/** A template file by itself. */
export type OsPart = z.infer<typeof osPartSchema>;
/** One entry of `disk.partitions`. */
export type OsPartition = z.infer<typeof partition>;
/** One entry of `systemConfig.users`. */
export type OsUser = z.infer<typeof user>;
/** One entry of `packageRepositories`. */
export type OsRepository = z.infer<typeof repository>;
