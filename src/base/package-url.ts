/** A package URL (purl-spec, `PURL-SPECIFICATION.rst`): qualifiers in the order of their keys, empty ones left out. */
export function packageUrl(
  type: string,
  name: string,
  version: string | undefined,
  qualifiers: Readonly<Record<string, string | undefined>> = {},
): string {
  const path = name.split('/').map(escaped).join('/');
  const query = Object.keys(qualifiers)
    .sort()
    .flatMap((key) => {
      const value = qualifiers[key];
      return value === undefined || value === '' ? [] : [`${key}=${escaped(value)}`];
    });
  return `pkg:${type}/${path}${version === undefined ? '' : `@${escaped(version)}`}${query.length === 0 ? '' : `?${query.join('&')}`}`;
}

/** Everything but letters, digits and `.-_~:` is percent-encoded. */
const escaped = (text: string): string =>
  encodeURIComponent(text)
    .replace(/[!'()*]/g, (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`)
    .replaceAll('%3A', ':');
