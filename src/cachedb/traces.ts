import type { Digest } from '../base/index.ts';
import type { Clock, MemoDb, StepTrace, StepTraceInput, TraceDb } from '../ports/index.ts';
import { bytes, type Connection, number, optionalText, text } from './connection.ts';
import { digest, stored } from './stored-json.ts';

/** Executions kept per step: enough to tell what changed, not a history (that is the builds' own). */
const KEPT = 8;

/** Executions kept in all: steps whose text nobody uses any more end here. */
const KEPT_IN_ALL = 20_000;

/** What earlier executions of steps looked like. */
export class Traces implements TraceDb {
  readonly #db: Connection;

  constructor(db: Connection) {
    this.#db = db;
  }

  remember(trace: StepTrace, listings: ReadonlyMap<Digest, () => Uint8Array> = new Map()): void {
    // Packed before the database is locked.
    const packed = [...listings].map(([content, pack]) => ({
      content,
      files: this.listing(content) ?? pack(),
    }));
    this.#db.write(() => {
      const { id } = this.#db.run(
        `INSERT INTO trace (step, key, op, describes, pb, inputs, at, cost_ms, below)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`,
        ...[trace.step, trace.key, trace.op, trace.describes ?? null, trace.pb],
        ...[JSON.stringify(trace.inputs), trace.at, trace.costMs, trace.inputs[0]?.step ?? null],
      );
      for (const { content, files } of packed) {
        this.#db.run(
          'INSERT OR IGNORE INTO listing (content, packed) VALUES (?, ?)',
          content,
          files,
        );
        this.#db.run('INSERT INTO trace_listing (content, trace) VALUES (?, ?)', content, id);
      }
      this.#trim(trace.step, id);
    });
  }

  traces(step: string, limit: number): readonly StepTrace[] {
    return this.#select('step = ?', step, limit);
  }

  tracesAbove(step: string, limit: number): readonly StepTrace[] {
    return this.#select('below = ?', step, limit);
  }

  listing(content: Digest): Uint8Array | undefined {
    const row = this.#db.get('SELECT packed FROM listing WHERE content = ?', content);
    return row === undefined ? undefined : bytes(row, 'packed');
  }

  #trim(step: string, newest: number): void {
    const old = this.#db.run(
      `DELETE FROM trace WHERE id <= ?3 OR (step = ?1 AND id <= (
         SELECT id FROM trace WHERE step = ?1 ORDER BY id DESC LIMIT 1 OFFSET ?2))`,
      ...[step, KEPT, newest - KEPT_IN_ALL],
    );
    if (old.changes > 0)
      this.#db.run(
        `DELETE FROM listing WHERE NOT EXISTS (
           SELECT 1 FROM trace_listing WHERE trace_listing.content = listing.content)`,
      );
  }

  #select(where: 'step = ?' | 'below = ?', value: string, limit: number): readonly StepTrace[] {
    const rows = this.#db.all(
      `SELECT * FROM trace WHERE ${where} ORDER BY id DESC LIMIT ?`,
      ...[value, limit],
    );
    return rows.map((row) => {
      const describes = optionalText(row, 'describes');
      return {
        step: text(row, 'step'),
        key: digest(row, 'key'),
        op: digest(row, 'op'),
        ...(describes === undefined ? {} : { describes }),
        pb: bytes(row, 'pb'),
        inputs: stored<readonly StepTraceInput[]>(text(row, 'inputs')),
        at: number(row, 'at'),
        costMs: number(row, 'cost_ms'),
      };
    });
  }
}

/** Facts that are expensive to find out. */
export class Memos implements MemoDb {
  readonly #db: Connection;
  readonly #clock: Clock;

  constructor(db: Connection, clock: Clock) {
    this.#db = db;
    this.#clock = clock;
  }

  get(namespace: string, key: string): Uint8Array | undefined {
    const row = this.#db.get(
      'SELECT value FROM memo WHERE namespace = ? AND key = ?',
      ...[namespace, key],
    );
    return row === undefined ? undefined : bytes(row, 'value');
  }

  set(namespace: string, key: string, value: Uint8Array): void {
    this.#db.run(
      `INSERT INTO memo (namespace, key, value, at) VALUES (?, ?, ?, ?)
       ON CONFLICT (namespace, key) DO UPDATE SET value = excluded.value, at = excluded.at`,
      ...[namespace, key, value, this.#clock.now()],
    );
  }
}
