import { parseDigest } from '../base/index.ts';
import type { Descriptor } from '../oci/index.ts';
import type {
  BuildFact,
  ChainRow,
  Clock,
  DatabaseProblem,
  Eviction,
  ExecutedStep,
  HeldNow,
  LayerId,
  LayerRow,
  Leases,
  Measured,
  Pin,
  RecordId,
  ResultRow,
  UpkeepDb,
} from '../ports/index.ts';
import {
  bytes,
  type Connection,
  number,
  optionalNumber,
  optionalText,
  text,
} from './connection.ts';
import { digest, optionalDigest, stored } from './stored-json.ts';

// Brand: the column holds ids of LayerRefs only.
const layerId = (id: string): LayerId => id as LayerId;

/** Chains that lack a node below them: their rows were lost. */
const BROKEN_RESULTS = `
  WITH RECURSIVE whole (id) AS (
    SELECT 0 UNION SELECT chain.id FROM chain JOIN whole ON chain.parent = whole.id
  )
  SELECT record, chain FROM result WHERE chain NOT IN (SELECT id FROM whole)`;

/** The store's inventory as rows, and what trimming changes in them. */
export class Upkeep implements UpkeepDb {
  readonly #db: Connection;
  readonly #leases: Leases;
  readonly #clock: Clock;

  constructor(db: Connection, leases: Leases, clock: Clock) {
    this.#db = db;
    this.#leases = leases;
    this.#clock = clock;
  }

  layers(): readonly LayerRow[] {
    const blobs = new Map<string, Descriptor[]>();
    for (const row of this.#db.each(
      'SELECT layer, descriptor FROM layer_blob ORDER BY layer, digest',
    )) {
      const layer = text(row, 'layer');
      const blob = stored<Descriptor>(text(row, 'descriptor'));
      const known = blobs.get(layer);
      if (known === undefined) blobs.set(layer, [blob]);
      else known.push(blob);
    }
    const rows: LayerRow[] = [];
    for (const row of this.#db.each('SELECT * FROM layer ORDER BY id')) {
      const id = text(row, 'id');
      const diffId = optionalDigest(row, 'diff_id') ?? parseDigest(id);
      const origin = optionalText(row, 'origin');
      const own = blobs.get(id) ?? [];
      const ref = optionalText(row, 'ref_blob');
      // It mostly is one of those that are here.
      const also =
        ref === undefined || own.some((b) => ref.includes(b.digest))
          ? []
          : [stored<Descriptor>(ref)];
      rows.push({
        id: layerId(id),
        ...(diffId === undefined ? {} : { diffId }),
        ...(origin === undefined ? {} : { origin }),
        createdAt: number(row, 'created_at'),
        usedAt: number(row, 'used_at'),
        blobs: [...own, ...also],
      });
    }
    return rows;
  }

  chains(): readonly ChainRow[] {
    return Array.from(this.#db.each('SELECT id, parent, layer FROM chain ORDER BY id'), (row) => ({
      id: number(row, 'id'),
      parent: number(row, 'parent'),
      layer: layerId(text(row, 'layer')),
    }));
  }

  results(): readonly ResultRow[] {
    return Array.from(
      this.#db.each(
        'SELECT result.*, digest FROM result JOIN record ON record.id = record ORDER BY record',
      ),
      (row) => ({
        // Brand: the column holds record numbers.
        record: number(row, 'record') as RecordId,
        digest: digest(row, 'digest'),
        chain: number(row, 'chain'),
        createdAt: number(row, 'created_at'),
        costMs: number(row, 'cost_ms'),
        usedAt: number(row, 'used_at'),
        uses: number(row, 'uses'),
      }),
    );
  }

  executedSteps(): readonly ExecutedStep[] {
    return this.#db
      .all(
        `SELECT step.build, json_extract(row, '$.name') AS name,
           json_extract(row, '$.decision.key') AS key, json_extract(row, '$.startedAt') AS started,
           json_extract(row, '$.completedAt') AS completed
         FROM step JOIN build ON build.id = step.build
         WHERE json_extract(row, '$.decision.outcome') <> 'hit'
         ORDER BY build.started_at, step.build, position`,
      )
      .flatMap((row) => {
        const record = optionalDigest(row, 'key');
        const startedAt = optionalNumber(row, 'started');
        const completedAt = optionalNumber(row, 'completed');
        if (record === undefined || startedAt === undefined || completedAt === undefined) return [];
        const [build, name] = [text(row, 'build'), text(row, 'name')];
        return [{ build, name, record, startedAt, completedAt }];
      });
  }

  builds(): readonly BuildFact[] {
    return this.#db.all('SELECT * FROM build ORDER BY started_at, id').map((row) => {
      const finishedAt = optionalNumber(row, 'finished_at');
      const image = optionalDigest(row, 'image');
      return {
        id: text(row, 'id'),
        name: text(row, 'name'),
        startedAt: number(row, 'started_at'),
        ...(finishedAt === undefined ? {} : { finishedAt }),
        ...(image === undefined ? {} : { image }),
      };
    });
  }

  memos(namespace: string): readonly { readonly key: string; readonly value: Uint8Array }[] {
    return this.#db
      .all('SELECT key, value FROM memo WHERE namespace = ? ORDER BY key', namespace)
      .map((row) => ({ key: text(row, 'key'), value: bytes(row, 'value') }));
  }

  pins(): readonly Pin[] {
    return this.#db.all('SELECT * FROM pin ORDER BY resource').map((row) => {
      const expiresAt = optionalNumber(row, 'expires_at');
      return {
        resource: text(row, 'resource'),
        reason: text(row, 'reason'),
        createdAt: number(row, 'created_at'),
        ...(expiresAt === undefined ? {} : { expiresAt }),
      };
    });
  }

  pin(pin: Pin): void {
    this.#db.run(
      `INSERT INTO pin (resource, reason, created_at, expires_at) VALUES (?, ?, ?, ?)
       ON CONFLICT (resource) DO UPDATE SET reason = excluded.reason,
         created_at = excluded.created_at, expires_at = excluded.expires_at`,
      ...[pin.resource, pin.reason, pin.createdAt, pin.expiresAt ?? null],
    );
  }

  unpin(resource: string): boolean {
    return this.#db.run('DELETE FROM pin WHERE resource = ?', resource).changes > 0;
  }

  measured(): ReadonlyMap<string, Measured> {
    return new Map(
      this.#db
        .all('SELECT * FROM disk_use')
        .map((row) => [
          text(row, 'resource'),
          { stamp: text(row, 'stamp'), bytes: number(row, 'bytes') },
        ]),
    );
  }

  remember(sizes: ReadonlyMap<string, Measured>): void {
    if (sizes.size === 0) return;
    this.#db.write(() => {
      for (const [resource, { stamp, bytes: size }] of sizes)
        this.#db.run(
          `INSERT INTO disk_use (resource, stamp, bytes) VALUES (?, ?, ?)
           ON CONFLICT (resource) DO UPDATE SET stamp = excluded.stamp, bytes = excluded.bytes`,
          ...[resource, stamp, size],
        );
    });
  }

  exclusively<T>(work: (held: HeldNow) => T): T {
    return this.#db.write(() => work(this.held()));
  }

  held(): HeldNow {
    const leases = this.#leases.held();
    const oldest = this.#db.get('SELECT min(created_at) AS since FROM lease');
    const since = oldest === undefined ? undefined : optionalNumber(oldest, 'since');
    const by = new Map<string, string>();
    for (const { purpose, resources } of leases)
      for (const resource of resources) by.set(resource, purpose);
    const purposes = leases.map(({ purpose }) => purpose);
    return { resources: by, purposes, ...(since === undefined ? {} : { since }) };
  }

  evict(evictions: readonly Eviction[]): void {
    this.#db.write(() => {
      for (const { resource, rule, at, layers, blob } of evictions) {
        for (const layer of layers) this.#evictResults(layer, { resource, rule, at });
        if (blob !== undefined) this.#db.run('DELETE FROM layer_blob WHERE digest = ?', blob);
        this.#db.run('DELETE FROM disk_use WHERE resource = ?', resource);
      }
    });
  }

  #evictResults(layer: LayerId, why: Pick<Eviction, 'resource' | 'rule' | 'at'>): void {
    const above = `
      WITH RECURSIVE above (id) AS (
        SELECT id FROM chain WHERE layer = ?1
        UNION SELECT chain.id FROM chain JOIN above ON chain.parent = above.id
      )`;
    this.#db.run(
      `${above} INSERT INTO eviction (record, resource, rule, at)
       SELECT DISTINCT record, ?2, ?3, ?4 FROM result WHERE chain IN (SELECT id FROM above)
       ON CONFLICT (record) DO UPDATE SET resource = excluded.resource, rule = excluded.rule, at = excluded.at`,
      ...[layer, why.resource, why.rule, why.at],
    );
    this.#db.run(`${above} DELETE FROM result WHERE chain IN (SELECT id FROM above)`, layer);
  }

  compact(options: { readonly now: number; readonly keepEvictionsMs: number }): number {
    return this.#db.write(() => {
      if (this.#leases.held().length > 0) return 0;
      const before = options.now - options.keepEvictionsMs;
      this.#db.run('DELETE FROM eviction WHERE at < ?', before);
      let removed = 0;
      for (let more = 1; more > 0; removed += more) {
        more = this.#db.run(
          `DELETE FROM record WHERE id NOT IN (SELECT record FROM result)
             AND id NOT IN (SELECT parent FROM link) AND id NOT IN (SELECT record FROM eviction)`,
        ).changes;
      }
      for (let more = 1; more > 0; removed += more) {
        more = this.#db.run(
          `DELETE FROM chain WHERE id NOT IN (SELECT chain FROM result)
             AND id NOT IN (SELECT parent FROM chain)`,
        ).changes;
      }
      removed += this.#db.run(
        `DELETE FROM layer WHERE id NOT IN (SELECT layer FROM chain)
           AND id NOT IN (SELECT layer FROM layer_blob)`,
      ).changes;
      return removed;
    });
  }

  check(): readonly DatabaseProblem[] {
    const damaged = this.#db
      .all('PRAGMA integrity_check')
      .map((row) => text(row, 'integrity_check'))
      .filter((line) => line !== 'ok')
      .map((line): DatabaseProblem => ({ what: 'damaged', text: line }));
    const dangling = this.#db.all('PRAGMA foreign_key_check').map(
      (row): DatabaseProblem => ({
        what: 'dangling',
        text: `a row of ${text(row, 'table')} refers to a row of ${text(row, 'parent')} that is gone`,
      }),
    );
    const broken = this.#db.all(BROKEN_RESULTS).map(
      (row): DatabaseProblem => ({
        what: 'broken-result',
        text: `record ${number(row, 'record')} leads to chain ${number(row, 'chain')}, which is not whole`,
      }),
    );
    return [...damaged, ...dangling, ...broken];
  }

  removeBrokenResults(): number {
    return this.#db.write(() => {
      const broken = this.#db.all(BROKEN_RESULTS);
      for (const row of broken) {
        const [record, chain] = [number(row, 'record'), number(row, 'chain')];
        this.#db.run('DELETE FROM result WHERE record = ? AND chain = ?', record, chain);
        this.#db.run(
          `INSERT INTO eviction (record, resource, rule, at) VALUES (?, ?, ?, ?)
           ON CONFLICT (record) DO NOTHING`,
          ...[
            record,
            `record:${record}`,
            'removed by verify: its layers are not known',
            this.#clock.now(),
          ],
        );
      }
      return broken.length;
    });
  }
}
