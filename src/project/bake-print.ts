import type { TargetSpec } from './project.ts';

/** Targets in the form of a bake file in which nothing is left to be resolved (`docker buildx bake --print`). */
export function bakePrint(targets: readonly TargetSpec[]): Readonly<Record<string, unknown>> {
  return {
    group: { default: { targets: targets.map(({ name }) => name) } },
    target: Object.fromEntries(targets.map((target) => [target.name, printed(target)])),
  };
}

function printed(target: TargetSpec): Readonly<Record<string, unknown>> {
  const all: Readonly<Record<string, unknown>> = {
    context: target.context,
    contexts: target.contexts,
    dockerfile:
      target.dockerfile ?? (target.dockerfileInline === undefined ? 'Dockerfile' : undefined),
    'dockerfile-inline': target.dockerfileInline,
    args: target.args,
    labels: target.labels,
    tags: target.tags,
    'cache-from': target.cacheFrom,
    'cache-to': target.cacheTo,
    target: target.target,
    secret: target.secret,
    ssh: target.ssh,
    platforms: target.platforms,
    output: target.output,
    pull: target.pull ? true : undefined,
    'no-cache': target.noCache ? true : undefined,
    network: target.network,
    'no-cache-filter': target.noCacheFilter,
    'shm-size': target.shmSize,
    ulimits: target.ulimits,
    annotations: target.annotations,
    attest: target.attest,
    entitlements: target.entitlements,
    'extra-hosts': Object.fromEntries(
      target.extraHosts.map((host) => [
        host.slice(0, host.indexOf(':')),
        host.slice(host.indexOf(':') + 1),
      ]),
    ),
  };
  const said = (value: unknown): boolean =>
    value !== undefined &&
    (typeof value !== 'object' || value === null || Object.keys(value).length > 0);
  return Object.fromEntries(Object.entries(all).filter(([, value]) => said(value)));
}
