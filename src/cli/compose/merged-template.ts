import type { GoJson } from '../../base/index.ts';
import type { LoadedTemplate } from './load-template.ts';

/**
 * The template with its parents merged in, without passwords. As `facts` its users and repositories stand by their names,
 * and what is compared by itself is left out.
 */
export function mergedTemplate({ template: t }: LoadedTemplate, as: 'document' | 'facts'): GoJson {
  const users = t.users.map(({ value: { password, ...user } }) => ({
    ...user,
    ...(password === undefined ? {} : { password: '(not shown)' }),
  }));
  const repositories = t.repositories.map((r) => r.value);
  const common = {
    image: t.image,
    target: t.target,
    ...(t.disk === undefined ? {} : { disk: t.disk }),
  };
  const commands = t.commands.map((c) => ({ cmd: c.value }));
  return as === 'document'
    ? {
        ...common,
        systemConfig: {
          ...t.system,
          users,
          packages: t.packages.map((p) => p.value),
          additionalFiles: t.files.map((f) => f.value),
          configurations: commands,
        },
        packageRepositories: repositories,
      }
    : {
        ...common,
        systemConfig: {
          ...t.system,
          users: Object.fromEntries(users.map((u) => [u.name, u])),
          configurations: commands,
        },
        packageRepositories: Object.fromEntries(
          repositories.map((r) => [r.codename ?? r.url ?? r.path ?? '', r]),
        ),
      };
}
