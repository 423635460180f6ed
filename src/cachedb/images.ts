import type { Descriptor } from '../oci/index.ts';
import type { ImageDb, ImageRow } from '../ports/index.ts';
import { type Connection, number, type Row, text } from './connection.ts';
import { stored } from './stored-json.ts';

/** Where the names are kept a second time, for the day the database is lost. */
export interface NamesMirror {
  load(): readonly ImageRow[];
  save(rows: readonly ImageRow[]): void;
}

/** Names of images; each change is mirrored outside the database. */
export class Images implements ImageDb {
  readonly #db: Connection;
  readonly #mirror: NamesMirror | undefined;

  constructor(db: Connection, mirror: NamesMirror | undefined) {
    this.#db = db;
    this.#mirror = mirror;
  }

  get(name: string): ImageRow | undefined {
    const row = this.#db.get('SELECT * FROM image WHERE name = ?', name);
    return row === undefined ? undefined : rowOf(row);
  }

  set(row: ImageRow): void {
    // The mirror is written inside the transaction: two processes cannot write it in another order than the database.
    this.#db.write(() => {
      this.insert(row);
      this.#mirror?.save(this.list());
    });
  }

  remove(name: string): boolean {
    return this.#db.write(() => {
      const { changes } = this.#db.run('DELETE FROM image WHERE name = ?', name);
      if (changes > 0) this.#mirror?.save(this.list());
      return changes > 0;
    });
  }

  list(): readonly ImageRow[] {
    return this.#db.all('SELECT * FROM image ORDER BY name').map(rowOf);
  }

  /** Adds a row without mirroring it. */
  insert(row: ImageRow): void {
    this.#db.run(
      `INSERT INTO image (name, digest, target, created_at) VALUES (?, ?, ?, ?)
       ON CONFLICT (name) DO UPDATE SET digest = excluded.digest, target = excluded.target, created_at = excluded.created_at`,
      ...[row.name, row.target.digest, JSON.stringify(row.target), row.createdAt],
    );
  }
}

function rowOf(row: Row): ImageRow {
  return {
    name: text(row, 'name'),
    target: stored<Descriptor>(text(row, 'target')),
    createdAt: number(row, 'created_at'),
  };
}
