import { err, failure, ok, type Result, spanOf } from '../base/index.ts';
import { rpmRoots } from './os-rpm-root.ts';
import type { OsTemplate, Placed } from './os-template.ts';
import { type Provider, rootOpeners } from './provider.ts';
import type { RootTemplate } from './rpm-template.ts';
import type { PackageWish, Template, TemplateMirror } from './template.ts';
import { joined } from './yaml-schema.ts';

const NAME = /^[a-z0-9][a-z0-9+.-]*$/;
/** `name_version`, as os-image-composer pins; a glob is for repositories of rpm. */
const PINNED = /^([a-z0-9][a-z0-9+.-]*)_([0-9][0-9A-Za-z.+:~-]*)$/;

/** The root file systems that a disk is made with. */
export interface OsRoots {
  readonly root: RootTemplate;
  /** Packages of the root that a kernel and its initramfs are made with: a root of them is part of it. */
  readonly kernel: readonly string[];
  /** What makes file systems and partition tables. */
  readonly disk: RootTemplate;
  /** What converts disks. */
  readonly convert: RootTemplate;
  /** What boots disks. */
  readonly boot: RootTemplate;
  /** What makes trees of hashes; absent where the template wants none. */
  readonly verity?: RootTemplate;
  /** What signs for Secure Boot; absent where nothing is signed. */
  readonly sign?: RootTemplate;
  /** What makes live media; absent for disks. */
  readonly iso?: RootTemplate;
}

/**
 * The root file systems of a template for a disk. TP004: a package that cannot be meant. TP008: the provider's templates
 * cannot be built.
 */
export function osRoots(t: OsTemplate, provider: Provider): Result<OsRoots> {
  const { tools } = provider;
  const { immutability } = t.system;
  if (tools === undefined || provider.initramfs === undefined)
    return err(
      failure('TP008', 2, `disks of ${provider.dist} cannot be built yet`, {
        help: 'templates of this distribution are checked only',
        places: [t.at(['target', 'dist'])],
      }),
    );
  if (provider.format === 'rpm') return rpmRoots(t, provider, ownPackages(t, provider));
  const wishes = packageWishes(t, provider);
  if (!wishes.ok) return wishes;
  const base = {
    kind: 'debian-root',
    file: t.file,
    distribution: provider.distribution,
    suite: provider.suite,
    architecture: provider.architectures[t.target.arch] ?? '',
    components: provider.components,
    mirrors: mirrors(t, provider),
    hostSources: t.repositories.length > 0 && !namesOwnRepository(t, provider),
    variant: provider.variant,
    exclude: [],
    recommends: false,
    aptSources: false,
    files: [],
    users: [],
    config: { env: {}, entrypoint: [], cmd: ['bash'], workdir: '/', user: '', labels: {} },
  } as const;
  const of = (packages: readonly string[]): Template => ({
    ...base,
    packages: packages.map((name) => ({ name, span: spanOf(0, 1) })),
  });
  return ok({
    root: { ...base, packages: wishes.value },
    kernel: wishes.value
      .map((w) => w.name)
      .filter((name) => ownPackages(t, provider).includes(name)),
    disk: of(tools.disk),
    convert: of(tools.convert),
    boot: of(tools.boot),
    ...(immutability?.enabled === true ? { verity: of(tools.verity) } : {}),
    ...(immutability?.secureBootDBKey === undefined ? {} : { sign: of(tools.sign) }),
    ...(t.target.imageType === 'iso' ? { iso: of(tools.iso) } : {}),
  });
}

/** What a system has to have to boot. */
function ownPackages(t: OsTemplate, provider: Provider): readonly string[] {
  const { arch, imageType } = t.target;
  const kernel = (imageType === 'iso' ? provider.live?.kernel : undefined) ?? provider.kernel;
  const kernels = t.system.kernel?.packages ?? [kernel[arch] ?? ''];
  const openers = rootOpeners(t, provider).flatMap((opener) => opener.packages);
  return [...provider.packages, ...(provider.initramfs?.packages ?? []), ...openers, ...kernels];
}

function packageWishes(t: OsTemplate, provider: Provider): Result<readonly PackageWish[]> {
  const asked: Placed<string>[] = [
    ...ownPackages(t, provider).map((value) => ({
      value,
      ...t.at(['systemConfig', 'kernel', 'packages']),
    })),
    ...t.packages,
  ];
  const wishes = new Map<string, PackageWish>();
  const problems: ReturnType<typeof failure>[] = [];
  for (const { value, file, span } of asked) {
    const pinned = PINNED.exec(value);
    if (NAME.test(value)) wishes.set(value, { name: value, span });
    else if (pinned !== null)
      wishes.set(pinned[1] ?? '', { name: pinned[1] ?? '', version: pinned[2] ?? '', span });
    else
      problems.push(
        failure('TP004', 2, `"${value}" is no package of Debian`, {
          help: 'write name or name_version; patterns are for repositories of rpm',
          places: [{ file, span }],
        }),
      );
  }
  return problems.length === 0 ? ok([...wishes.values()]) : err(joined(problems));
}

/**
 * Repositories beside the distribution's own. One of the provider's suite stands for the distribution's own; without any,
 * they are the apt sources of this machine.
 */
function mirrors(t: OsTemplate, provider: Provider): readonly TemplateMirror[] {
  return t.repositories.flatMap(({ value }) => {
    const uri = value.url ?? (value.path === undefined ? undefined : `file://${value.path}`);
    if (uri === undefined) return [];
    const key = value.pkey ?? value.pkeys?.[0];
    return [
      {
        uri: uri.replace(/\/+$/, ''),
        suites: [value.codename ?? provider.suite],
        components: (value.component ?? provider.components.join(' ')).split(/\s+/),
        ...(key === undefined ? {} : { signedBy: key }),
        priority: value.priority ?? 500,
      },
    ];
  });
}

/** Whether a template names the distribution's own repository itself. */
const namesOwnRepository = (t: OsTemplate, provider: Provider): boolean =>
  t.repositories.some((r) => (r.value.codename ?? provider.suite) === provider.suite);
