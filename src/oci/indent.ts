import { type GoJson, goJson, goString } from '../base/index.ts';

/** JSON bytes as Go's `json.MarshalIndent(v, "", "  ")` writes them: the form of BuildKit's manifests. */
export function goJsonIndent(value: GoJson): Uint8Array {
  return Buffer.from(indented(value, ''), 'utf8');
}

function indented(value: GoJson, indent: string): string {
  if (typeof value !== 'object' || value === null) return goJson(value);
  const inner = `${indent}  `;
  // Array.isArray does not narrow readonly arrays out of a union.
  if (Array.isArray(value)) {
    const items = (value as readonly GoJson[]).map((item) => `${inner}${indented(item, inner)}`);
    return items.length === 0 ? '[]' : `[\n${items.join(',\n')}\n${indent}]`;
  }
  const members = Object.entries(value as { readonly [key: string]: GoJson | undefined }).flatMap(
    ([key, member]) =>
      member === undefined ? [] : [`${inner}${goString(key)}: ${indented(member, inner)}`],
  );
  return members.length === 0 ? '{}' : `{\n${members.join(',\n')}\n${indent}}`;
}
