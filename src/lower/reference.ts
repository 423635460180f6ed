import {
  familiarReference,
  formatReference,
  type Reference,
  repositoryOf,
  withDefaultTag,
} from '../oci/index.ts';

/** A reference as text; `latest` stands in where neither tag nor digest is given. */
export function taggedReference(ref: Reference): string {
  return formatReference(withDefaultTag(ref));
}

/** The short form a person would write: without `docker.io/library/` and `:latest`; the key of named contexts. */
export function familiarName(ref: Reference): string {
  return familiarReference(ref).replace(/:latest$/, '');
}

/** The reference with the digest that was found for it. */
export function pinnedReference(ref: Reference, digest: string): string {
  const { digest: _asked, ...rest } = ref;
  const tagged = ref.digest === undefined ? withDefaultTag(rest) : rest;
  return `${formatReference(tagged)}@${digest}`;
}

/** The name of an image inside a layout: its repository, with the digest that was found for it. */
export function layoutReference(store: Reference, digest: string): string {
  return `${repositoryOf(store)}@${digest}`;
}
