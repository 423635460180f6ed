/*
 * Debian version numbers: [epoch:]upstream[-revision] (Debian Policy 5.6.12, deb-version(7)).
 */

const ZERO = 48;
const NINE = 57;
const TILDE = 126;

/** Order of two versions as `dpkg --compare-versions` sees it: negative, zero or positive. */
export function compareVersions(a: string, b: string): number {
  if (a === b) return 0;
  const [epochA, upstreamA, revisionA] = split(a);
  const [epochB, upstreamB, revisionB] = split(b);
  return (
    epochA - epochB || compareParts(upstreamA, upstreamB) || compareParts(revisionA, revisionB)
  );
}

function split(version: string): readonly [epoch: number, upstream: string, revision: string] {
  const colon = version.indexOf(':');
  const epoch = colon === -1 ? 0 : Number.parseInt(version.slice(0, colon), 10) || 0;
  const rest = version.slice(colon + 1);
  const dash = rest.lastIndexOf('-');
  return dash === -1 ? [epoch, rest, ''] : [epoch, rest.slice(0, dash), rest.slice(dash + 1)];
}

/** Alternating runs of non-digits (own order) and digits (as numbers of any length). */
function compareParts(a: string, b: string): number {
  let i = 0;
  let j = 0;
  while (i < a.length || j < b.length) {
    while ((i < a.length && !isDigit(a, i)) || (j < b.length && !isDigit(b, j))) {
      const difference = rank(a, i) - rank(b, j);
      if (difference !== 0) return difference;
      i++;
      j++;
    }
    while (a.charCodeAt(i) === ZERO) i++;
    while (b.charCodeAt(j) === ZERO) j++;
    let first = 0;
    while (isDigit(a, i) && isDigit(b, j)) {
      first ||= a.charCodeAt(i) - b.charCodeAt(j);
      i++;
      j++;
    }
    if (isDigit(a, i)) return 1;
    if (isDigit(b, j)) return -1;
    if (first !== 0) return first;
  }
  return 0;
}

const isDigit = (text: string, at: number): boolean => {
  const code = text.charCodeAt(at);
  return code >= ZERO && code <= NINE;
};

/** Tilde before the end, the end (or a digit) before letters, letters before everything else. */
function rank(text: string, at: number): number {
  const code = text.charCodeAt(at);
  if (Number.isNaN(code) || (code >= ZERO && code <= NINE)) return 0;
  if (code === TILDE) return -1;
  return (code >= 65 && code <= 90) || (code >= 97 && code <= 122) ? code : code + 256;
}

/** Relation of a dependency's version (Debian Policy 7.1). */
export type VersionRelation = '<<' | '<=' | '=' | '>=' | '>>';

/** Whether `version` stands in this relation to `bound`. */
export function satisfies(version: string, relation: VersionRelation, bound: string): boolean {
  const order = compareVersions(version, bound);
  switch (relation) {
    case '<<':
      return order < 0;
    case '<=':
      return order <= 0;
    case '=':
      return order === 0;
    case '>=':
      return order >= 0;
    case '>>':
      return order > 0;
  }
}
