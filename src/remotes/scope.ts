import { hexOf, sha256 } from '../base/index.ts';

/** Scopes whose names are tags and names of folders as they are; a dot is followed by a digit, so that no further name is one. */
const PLAIN = /^[A-Za-z0-9_](?:[A-Za-z0-9_-]|\.(?=[0-9])){0,89}$/;
/** What `scopeTag` puts behind names that it changed. */
const MARKED = /-[0-9a-f]{32}$/;

/**
 * The tag of a registry, or the name of a folder, that stands for a scope. No two scopes share one: a name that has to be
 * changed gets a digest of itself behind it, and so does one that looks as if it had been changed.
 */
export function scopeTag(scope: string): string {
  if (PLAIN.test(scope) && !MARKED.test(scope)) return scope;
  const readable = scope.replace(/[^A-Za-z0-9_]+/g, '-').replace(/^-+|-+$/g, '');
  return `${readable.slice(0, 60) || 'scope'}-${hexOf(sha256(scope)).slice(0, 32)}`;
}

/** Whether a scope is one of those that patterns name: a name, or the beginning of names followed by `*`. */
export function scopeMatches(scope: string, patterns: readonly string[]): boolean {
  return patterns.some((pattern) =>
    pattern.endsWith('*') ? scope.startsWith(pattern.slice(0, -1)) : scope === pattern,
  );
}
