import type { Clock, MemoDb, StepTrace, StepTraceInput, TraceDb } from '../ports/index.ts';
import { bytes, type Connection, number, optionalText, text } from './connection.ts';
import { digest, stored } from './stored-json.ts';

/** Executions kept per step: enough to tell what changed, not a history (that is the builds' own). */
const KEPT = 8;

/** What earlier executions of steps looked like. */
export class Traces implements TraceDb {
  readonly #db: Connection;

  constructor(db: Connection) {
    this.#db = db;
  }

  remember(trace: StepTrace): void {
    this.#db.write(() => {
      this.#db.run(
        'INSERT INTO trace (step, key, op, describes, pb, inputs, at, cost_ms) VALUES (?, ?, ?, ?, ?, ?, ?, ?)',
        ...[trace.step, trace.key, trace.op, trace.describes ?? null, trace.pb],
        ...[JSON.stringify(trace.inputs), trace.at, trace.costMs],
      );
      this.#db.run(
        `DELETE FROM trace WHERE step = ?1 AND id <= (
           SELECT id FROM trace WHERE step = ?1 ORDER BY id DESC LIMIT 1 OFFSET ?2)`,
        ...[trace.step, KEPT],
      );
    });
  }

  traces(step: string, limit: number): readonly StepTrace[] {
    const rows = this.#db.all(
      'SELECT * FROM trace WHERE step = ? ORDER BY id DESC LIMIT ?',
      ...[step, limit],
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
