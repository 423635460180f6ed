import type { Digest } from '../base/index.ts';
import { parseJson, sha256 } from '../base/index.ts';
import type { LayerChain, LayerId, MemoDb, Snapshotter } from '../ports/index.ts';

const MEMO = 'image-chain.v1';

/** Remembers which layers of this store an image was made of, so that building on it extracts none of them. */
export function rememberImageChain(
  memo: MemoDb,
  chain: LayerChain,
  diffIds: readonly Digest[],
): void {
  // Layers from outside are known by their diffID anyway.
  if (chain.every(({ id }, i) => id === (diffIds[i] as string))) return;
  const ids = JSON.stringify(chain.map(({ id }) => id));
  const known = memo.get(MEMO, keyOf(diffIds));
  if (known !== undefined && Buffer.from(known).toString('utf8') === ids) return;
  memo.set(MEMO, keyOf(diffIds), Buffer.from(ids));
}

/**
 * The chain of an image with the layers of this store in the place of its lowest ones, as many as an image made here had
 * with the same diffIDs and as are still extracted.
 */
export async function withLocalLayers(
  deps: { readonly memo: MemoDb; readonly snapshotter: Pick<Snapshotter, 'has'> },
  chain: LayerChain,
): Promise<LayerChain> {
  const diffIds = chain.flatMap(({ diffId }) => diffId ?? []);
  if (diffIds.length !== chain.length) return chain;
  for (let count = chain.length; count > 0; count--) {
    const ids = idsIn(deps.memo.get(MEMO, keyOf(diffIds.slice(0, count))));
    if (ids?.length !== count) continue;
    const local = chain.slice(0, count).map((layer, i): LayerChain[number] => {
      const { origin: _origin, ...rest } = layer;
      const id = ids[i] ?? layer.id;
      return id === layer.id ? layer : { ...rest, id };
    });
    const here = await Promise.all(
      local.map((_, i) => deps.snapshotter.has(local.slice(0, i + 1))),
    );
    if (here.every(Boolean)) return [...local, ...chain.slice(count)];
  }
  return chain;
}

function keyOf(diffIds: readonly Digest[]): string {
  return sha256(diffIds.join('\n'));
}

function idsIn(bytes: Uint8Array | undefined): readonly LayerId[] | undefined {
  if (bytes === undefined) return undefined;
  const parsed = parseJson(Buffer.from(bytes).toString('utf8'));
  if (!parsed.ok || !Array.isArray(parsed.value)) return undefined;
  // Brand: only ids of layers are remembered.
  return parsed.value.filter((id): id is LayerId => typeof id === 'string');
}
