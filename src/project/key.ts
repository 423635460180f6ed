import { byCodeUnit, type Digest, goJson, hexOf, sha256 } from '../base/index.ts';

/** Raised when layers are made in another way: every layer is built anew. */
const FORMAT = 'varve.layer.v1';

/** What kind of thing a part of a layer's key is; the words that explanations use. */
export type FactKind =
  | 'platform'
  | 'base'
  | 'argument'
  | 'file'
  | 'list'
  | 'url'
  | 'instruction'
  | 'packages'
  | 'option'
  | 'layer';

/** One thing that a layer's content depends on: a file with its digest, an argument with its value, a need with its key. */
export interface Fact {
  readonly kind: FactKind;
  readonly name: string;
  readonly value: string;
}

/** The content key of a layer: the digest of everything that was declared, and of nothing else. */
export function layerKey(facts: readonly Fact[]): Digest {
  return sha256(goJson([FORMAT, ...facts.map(({ kind, name, value }) => [kind, name, value])]));
}

/** A difference between what two keys were made of. */
export interface FactChange extends Pick<Fact, 'kind' | 'name'> {
  readonly before?: string;
  readonly after?: string;
}

/** What differs; instructions are compared by their place, everything else by its name. */
export function factChanges(
  before: readonly Fact[],
  after: readonly Fact[],
): readonly FactChange[] {
  const key = (fact: Fact): string => `${fact.kind} ${fact.name}`;
  const old = new Map(before.map((fact) => [key(fact), fact]));
  const now = new Map(after.map((fact) => [key(fact), fact]));
  const changes: FactChange[] = [];
  for (const [id, fact] of now) {
    const was = old.get(id);
    if (was?.value === fact.value) continue;
    const { kind, name, value } = fact;
    changes.push({ kind, name, after: value, ...(was === undefined ? {} : { before: was.value }) });
  }
  for (const [id, { kind, name, value }] of old)
    if (!now.has(id)) changes.push({ kind, name, before: value });
  return changes.sort((a, b) => byCodeUnit(`${a.kind} ${a.name}`, `${b.kind} ${b.name}`));
}

/** The tag of a layer's image: its name and its key, so that a changed input never finds an old layer. */
export function layerTag(name: string, key: Digest, scope?: string): string {
  return `${scope === undefined ? '' : `${scope}.`}${name}-${hexOf(key).slice(0, 32)}`;
}
