import { writeFileSync } from 'node:fs';
import type { DatabaseSync, SQLInputValue, StatementSync } from 'node:sqlite';
import { FailureError } from '../base/index.ts';
import { databaseFailure, saysDamaged } from './failures.ts';

/** A row as SQLite returns it. */
export type Row = Readonly<Record<string, string | number | bigint | Uint8Array | null>>;

/** File whose presence beside the database says that a command found it damaged while using it. */
export const damageMark = (path: string): string => `${path}.damaged`;

/**
 * One connection. Statements are prepared at their first use and kept. Errors that the machine can cause leave as
 * `FailureError`; a damaged file is marked, so that the next command rebuilds it.
 */
export class Connection {
  readonly path: string;
  readonly #db: DatabaseSync;
  readonly #statements = new Map<string, StatementSync>();
  #depth = 0;
  /** Statements executed so far; what a no-op build may cost is asserted by it. */
  executed = 0;

  constructor(path: string, db: DatabaseSync) {
    this.path = path;
    this.#db = db;
  }

  get(sql: string, ...values: SQLInputValue[]): Row | undefined {
    // No column of the schema has another type than Row's.
    return this.#guard(() => this.#prepare(sql).get(...values) as Row | undefined);
  }

  all(sql: string, ...values: SQLInputValue[]): Row[] {
    // As in get.
    return this.#guard(() => this.#prepare(sql).all(...values) as Row[]);
  }

  /** Rows one after another, for tables of which only a part of each row is kept. Nothing else may use the statement meanwhile. */
  *each(sql: string, ...values: SQLInputValue[]): Generator<Row, void, undefined> {
    const rows = this.#guard(() => this.#prepare(sql).iterate(...values));
    for (;;) {
      // As in get.
      const next = this.#guard(() => rows.next() as IteratorResult<Row>);
      if (next.done === true) return;
      yield next.value;
    }
  }

  /** Executes a writing statement; returns the number of rows it changed and the last row id. */
  run(sql: string, ...values: SQLInputValue[]): { readonly changes: number; readonly id: number } {
    return this.#guard(() => {
      const { changes, lastInsertRowid } = this.#prepare(sql).run(...values);
      return { changes: Number(changes), id: Number(lastInsertRowid) };
    });
  }

  /** Runs `work` in one write transaction; nested calls join it. Everything is undone when it throws. */
  write<T>(work: () => T): T {
    if (this.#depth > 0) return work();
    this.#exec('BEGIN IMMEDIATE');
    this.#depth++;
    try {
      const value = work();
      this.#depth--;
      this.#exec('COMMIT');
      return value;
    } catch (e) {
      this.#depth = 0;
      if (this.#db.isTransaction) this.#db.exec('ROLLBACK');
      throw e;
    }
  }

  close(): void {
    this.#statements.clear();
    if (this.#db.isOpen) this.#db.close();
  }

  #exec(sql: string): void {
    this.executed++;
    this.#guard(() => this.#db.exec(sql));
  }

  #prepare(sql: string): StatementSync {
    this.executed++;
    let statement = this.#statements.get(sql);
    if (statement === undefined) {
      statement = this.#db.prepare(sql);
      this.#statements.set(sql, statement);
    }
    return statement;
  }

  #guard<T>(work: () => T): T {
    try {
      return work();
    } catch (e) {
      if (saysDamaged(e)) mark(this.path);
      const known = databaseFailure(e, this.path);
      throw known === undefined ? e : new FailureError(known);
    }
  }
}

function mark(path: string): void {
  try {
    writeFileSync(damageMark(path), '');
  } catch {
    // A disk that cannot take the mark: the failure itself is reported, and the next command meets the same damage.
  }
}

/** Text of a column that is never null. */
export function text(row: Row, column: string): string {
  const value = row[column];
  if (typeof value !== 'string') throw new Error(`column ${column} is not text`);
  return value;
}

/** Number of a column that is never null. */
export function number(row: Row, column: string): number {
  const value = row[column];
  if (typeof value !== 'number') throw new Error(`column ${column} is not a number`);
  return value;
}

/** Text of a column, or undefined where it is null. */
export function optionalText(row: Row, column: string): string | undefined {
  const value = row[column];
  return typeof value === 'string' ? value : undefined;
}

/** Number of a column, or undefined where it is null. */
export function optionalNumber(row: Row, column: string): number | undefined {
  const value = row[column];
  return typeof value === 'number' ? value : undefined;
}

/** Bytes of a column that is never null. */
export function bytes(row: Row, column: string): Uint8Array {
  const value = row[column];
  if (!(value instanceof Uint8Array)) throw new Error(`column ${column} is not a blob`);
  return value;
}
