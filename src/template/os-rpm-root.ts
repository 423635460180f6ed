import { err, failure, ok, type Result, spanOf } from '../base/index.ts';
import type { OsRoots } from './os-root.ts';
import type { OsTemplate, Placed } from './os-template.ts';
import type { Provider } from './provider.ts';
import type { RpmRepository, RpmTemplate } from './rpm-template.ts';
import type { PackageWish } from './template.ts';
import { joined } from './yaml-schema.ts';

/** A package name, a pattern of names, or anything that a package provides. */
const WISH = /^[^\s=<>]+$/;

/**
 * The root file systems of a template whose distribution is made of rpm packages; `own` are the packages that a system has to
 * have to boot. TP004: a package or a repository that cannot be meant.
 */
export function rpmRoots(
  t: OsTemplate,
  provider: Provider,
  own: readonly string[],
): Result<OsRoots> {
  const kernels = t.at(['systemConfig', 'kernel', 'packages']);
  const asked: Placed<string>[] = [...own.map((value) => ({ value, ...kernels })), ...t.packages];
  const wishes = new Map<string, PackageWish>();
  const problems: ReturnType<typeof failure>[] = [];
  for (const { value, file, span } of asked)
    if (WISH.test(value)) wishes.set(value, { name: value, span });
    else
      problems.push(
        failure('TP004', 2, `"${value}" is no package of rpm`, {
          help: 'write name, name_version or a pattern such as name-*',
          places: [{ file, span }],
        }),
      );
  const repositories = repositoriesOf(t);
  if (!repositories.ok) problems.push(repositories.error);
  if (!repositories.ok || problems.length > 0) return err(joined(problems));
  const of = (packages: readonly PackageWish[]): RpmTemplate => ({
    kind: 'rpm-root',
    file: t.file,
    distribution: provider.distribution,
    release: provider.suite,
    architecture: provider.architectures[t.target.arch] ?? '',
    repositories: repositories.value,
    hostRepositories: !namesOwnRepository(t, provider),
    packages,
    exclude: [],
    recommends: false,
    tools: ['rpm'],
    dbPath: provider.databasePath,
    files: [],
    users: [],
    config: { env: {}, entrypoint: [], cmd: ['bash'], workdir: '/', user: '', labels: {} },
  });
  const named = (names: readonly string[] = []): RpmTemplate =>
    of(names.map((name) => ({ name, span: spanOf(0, 1) })));
  return ok({
    root: of([...wishes.values()]),
    kernel: own,
    disk: named(provider.tools?.disk),
    convert: named(provider.tools?.convert),
    boot: named(provider.tools?.boot),
  });
}

function repositoriesOf(t: OsTemplate): Result<readonly RpmRepository[]> {
  const problems: ReturnType<typeof failure>[] = [];
  const repositories = t.repositories.flatMap(({ value, file, span }): readonly RpmRepository[] => {
    const uri = value.url ?? (value.path === undefined ? undefined : `file://${value.path}`);
    const keys = value.pkeys ?? (value.pkey === undefined ? [] : [value.pkey]);
    const fault =
      keys.length === 0
        ? 'has no key'
        : keys.some((key) => key.startsWith('['))
          ? 'is to be trusted without a signature'
          : undefined;
    if (fault !== undefined)
      problems.push(
        failure('TP004', 2, `repository ${value.codename ?? uri ?? ''} ${fault}`, {
          help: 'name the files of its public keys with pkey or pkeys',
          places: [{ file, span }],
        }),
      );
    if (uri === undefined) return [];
    return [
      {
        uri: uri.replace(/\/+$/, ''),
        keys,
        priority: value.priority ?? 500,
        allow: value.allowPackages ?? [],
        exclude: [],
      },
    ];
  });
  return problems.length === 0 ? ok(repositories) : err(joined(problems));
}

/** Whether a template names the distribution's own repository itself, by the distribution's name or release. */
const namesOwnRepository = (t: OsTemplate, provider: Provider): boolean =>
  t.repositories.some(({ value: { codename } }) =>
    [provider.dist, provider.suite, provider.distribution].includes(codename ?? provider.dist),
  );
