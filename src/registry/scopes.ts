/**
 * One scope a resource, with all actions that any of the given scopes names: a token server is asked for each repository
 * once (distribution, "Token Scope Documentation": `type:name:action,action`). What has no such form stays as it is.
 */
export function mergeScopes(scopes: readonly string[]): string[] {
  const resources = new Map<string, Set<string>>();
  for (const scope of scopes) {
    if (scope === '') continue;
    const colon = scope.lastIndexOf(':');
    const resource = colon === -1 ? scope : scope.slice(0, colon);
    const actions = resources.get(resource) ?? new Set();
    if (colon !== -1) for (const action of scope.slice(colon + 1).split(',')) actions.add(action);
    resources.set(resource, actions);
  }
  return [...resources]
    .map(([resource, actions]) =>
      actions.size === 0 ? resource : `${resource}:${[...actions].sort().join(',')}`,
    )
    .sort();
}
