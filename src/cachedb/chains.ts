import type { Digest } from '../base/index.ts';
import type { Descriptor } from '../oci/index.ts';
import type { Clock, LayerChain, LayerDb, LayerId, LayerRef } from '../ports/index.ts';
import { type Connection, number, optionalText, type Row, text } from './connection.ts';
import { optionalDescriptor, optionalDigest, stored } from './stored-json.ts';

/** Number of a stored chain; 0 is scratch. */
export type ChainId = number;

const CHAIN = `
  WITH RECURSIVE node (parent, layer, depth) AS (
    SELECT parent, layer, depth FROM chain WHERE id = ?
    UNION ALL
    SELECT chain.parent, chain.layer, chain.depth FROM chain JOIN node ON chain.id = node.parent
  )
  SELECT node.depth, layer.id, layer.diff_id, layer.ref_blob, layer.origin, layer.created_at,
    (SELECT descriptor FROM layer_blob WHERE layer_blob.layer = layer.id LIMIT 1) AS blob
  FROM node JOIN layer ON layer.id = node.layer ORDER BY node.depth`;

/** Layers and chains of layers: a chain is stored as the path to its top node, so that n steps take n rows, not n². */
export class Layers implements LayerDb {
  readonly #db: Connection;
  readonly #clock: Clock;
  readonly #chains = new Map<ChainId, LayerChain>();
  /** Numbers of the chains that were handed out. */
  readonly #numbers = new WeakMap<LayerChain, ChainId>();

  constructor(db: Connection, clock: Clock) {
    this.#db = db;
    this.#clock = clock;
  }

  layer(
    id: LayerId,
  ): { readonly diffId?: Digest; readonly blobs: readonly Descriptor[] } | undefined {
    const row = this.#db.get('SELECT diff_id FROM layer WHERE id = ?', id);
    if (row === undefined) return undefined;
    const diffId = optionalDigest(row, 'diff_id');
    const blobs = this.#db
      .all('SELECT descriptor FROM layer_blob WHERE layer = ? ORDER BY digest', id)
      .map((blob) => stored<Descriptor>(text(blob, 'descriptor')));
    return diffId === undefined ? { blobs } : { diffId, blobs };
  }

  setDiffId(id: LayerId, diffId: Digest, size: number): void {
    const now = this.#clock.now();
    this.#chains.clear();
    this.#db.run(
      `INSERT INTO layer (id, diff_id, size, created_at, used_at) VALUES (?, ?, ?, ?, ?)
       ON CONFLICT (id) DO UPDATE SET diff_id = excluded.diff_id, size = excluded.size`,
      ...[id, diffId, size, now, now],
    );
  }

  addBlob(id: LayerId, blob: Descriptor): void {
    const now = this.#clock.now();
    this.#chains.clear();
    this.#db.write(() => {
      this.#db.run(
        'INSERT INTO layer (id, created_at, used_at) VALUES (?, ?, ?) ON CONFLICT DO NOTHING',
        ...[id, now, now],
      );
      this.#db.run(
        `INSERT INTO layer_blob (layer, digest, descriptor) VALUES (?, ?, ?)
         ON CONFLICT (layer, digest) DO UPDATE SET descriptor = excluded.descriptor`,
        ...[id, blob.digest, JSON.stringify(blob)],
      );
    });
  }

  /** Stores a chain; the caller holds a write transaction. */
  save(chain: LayerChain): ChainId {
    let parent: ChainId = 0;
    chain.forEach((ref, depth) => {
      this.#saveLayer(ref);
      parent = this.#node(parent, ref.id) ?? this.#addNode(parent, ref.id, depth);
    });
    return parent;
  }

  /** The number of a chain, when it is stored. */
  find(chain: LayerChain): ChainId | undefined {
    const known = this.#numbers.get(chain);
    if (known !== undefined) return known;
    let at: ChainId | undefined = 0;
    for (const ref of chain) at = at === undefined ? undefined : this.#node(at, ref.id);
    return at;
  }

  /** The layers of a stored chain; undefined when one of them was removed. */
  load(id: ChainId): LayerChain | undefined {
    if (id === 0) return [];
    const known = this.#chains.get(id);
    if (known !== undefined) return known;
    const rows = this.#db.all(CHAIN, id);
    const top = rows.at(-1);
    if (top === undefined || number(top, 'depth') + 1 !== rows.length) return undefined;
    const chain = rows.map(refOf);
    this.#chains.set(id, chain);
    this.#numbers.set(chain, id);
    return chain;
  }

  #node(parent: ChainId, layer: LayerId): ChainId | undefined {
    const row = this.#db.get('SELECT id FROM chain WHERE parent = ? AND layer = ?', parent, layer);
    return row === undefined ? undefined : number(row, 'id');
  }

  #addNode(parent: ChainId, layer: LayerId, depth: number): ChainId {
    return this.#db.run(
      'INSERT INTO chain (parent, layer, depth) VALUES (?, ?, ?)',
      ...[parent, layer, depth],
    ).id;
  }

  #saveLayer(ref: LayerRef): void {
    const blob = ref.blob === undefined ? null : JSON.stringify(ref.blob);
    const { changes } = this.#db.run(
      `INSERT INTO layer (id, diff_id, ref_blob, origin, created_at, used_at)
       VALUES (?1, ?2, ?3, ?4, ?5, ?6)
       ON CONFLICT (id) DO UPDATE SET
         diff_id = coalesce(diff_id, excluded.diff_id),
         ref_blob = coalesce(excluded.ref_blob, ref_blob),
         origin = coalesce(excluded.origin, origin)
       WHERE (diff_id IS NULL AND excluded.diff_id IS NOT NULL)
         OR (excluded.ref_blob IS NOT NULL AND excluded.ref_blob IS NOT ref_blob)
         OR (excluded.origin IS NOT NULL AND excluded.origin IS NOT origin)`,
      ...[ref.id, ref.diffId ?? null, blob, ref.origin ?? null, ref.createdAt, this.#clock.now()],
    );
    if (changes > 0) this.#chains.clear();
  }
}

function refOf(row: Row): LayerRef {
  const diffId = optionalDigest(row, 'diff_id');
  const blob = optionalDescriptor(row, 'ref_blob') ?? optionalDescriptor(row, 'blob');
  const origin = optionalText(row, 'origin');
  return {
    // Brand: the column holds ids of LayerRefs only.
    id: text(row, 'id') as LayerId,
    ...(diffId === undefined ? {} : { diffId }),
    ...(blob === undefined ? {} : { blob }),
    ...(origin === undefined ? {} : { origin }),
    createdAt: number(row, 'created_at'),
  };
}
