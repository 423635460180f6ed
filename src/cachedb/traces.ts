import type { Digest } from '../base/index.ts';
import type {
  Clock,
  MemoDb,
  RecordId,
  StepTrace,
  StepTraceInput,
  TraceDb,
} from '../ports/index.ts';
import {
  bytes,
  type Connection,
  number,
  optionalNumber,
  optionalText,
  type Row,
  text,
} from './connection.ts';
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
    const packed = [...listings].map(
      ([content, pack]) => [content, this.listing(content) ?? pack()] as const,
    );
    this.#db.write(() => this.#insert(trace, new Map(packed), 0));
  }

  madeBy(records: readonly RecordId[]): readonly StepTrace[] {
    return records.flatMap((record) =>
      this.#db
        .all('SELECT * FROM trace WHERE record = ? ORDER BY id DESC LIMIT 1', record)
        .map(traceOf),
    );
  }

  merge(traces: readonly StepTrace[], listings: ReadonlyMap<Digest, () => Uint8Array>): void {
    this.#db.write(() => {
      for (const trace of traces) {
        const { step, project, op, at } = trace;
        const known = this.#db.get(
          'SELECT id FROM trace WHERE step = ? AND project = ? AND op = ? AND at = ?',
          ...[step, project, op, at],
        );
        if (known !== undefined) continue;
        const files = trace.inputs.flatMap(({ content }) => {
          const pack = content === undefined ? undefined : listings.get(content);
          return content === undefined || pack === undefined ? [] : [[content, pack()] as const];
        });
        this.#insert(trace, new Map(files), 1);
      }
    });
  }

  traces(step: string, limit: number, project?: string): readonly StepTrace[] {
    return this.#select('step', step, { limit, project });
  }

  tracesAbove(step: string, limit: number, project?: string): readonly StepTrace[] {
    return this.#select('below', step, { limit, project });
  }

  listing(content: Digest): Uint8Array | undefined {
    const row = this.#db.get('SELECT packed FROM listing WHERE content = ?', content);
    return row === undefined ? undefined : bytes(row, 'packed');
  }

  #insert(trace: StepTrace, listings: ReadonlyMap<Digest, Uint8Array>, imported: 0 | 1): void {
    const { id } = this.#db.run(
      `INSERT INTO trace
         (step, key, op, describes, pb, inputs, at, cost_ms, below, project, record, imported)
       VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
      ...[trace.step, trace.key, trace.op, trace.describes ?? null, trace.pb],
      ...[JSON.stringify(trace.inputs), trace.at, trace.costMs],
      ...[trace.below, trace.project, trace.record ?? null, imported],
    );
    for (const [content, files] of listings) {
      this.#db.run('INSERT OR IGNORE INTO listing (content, packed) VALUES (?, ?)', content, files);
      this.#db.run('INSERT INTO trace_listing (content, trace) VALUES (?, ?)', content, id);
    }
    this.#trim(trace, id);
  }

  #trim({ step, project }: StepTrace, newest: number): void {
    const old = this.#db.run(
      `DELETE FROM trace WHERE id <= ?3 OR (step = ?1 AND project = ?4 AND id <= (
         SELECT id FROM trace WHERE step = ?1 AND project = ?4 ORDER BY id DESC LIMIT 1 OFFSET ?2))`,
      ...[step, KEPT, newest - KEPT_IN_ALL, project],
    );
    if (old.changes > 0)
      this.#db.run(
        `DELETE FROM listing WHERE NOT EXISTS (
           SELECT 1 FROM trace_listing WHERE trace_listing.content = listing.content)`,
      );
  }

  #select(
    column: 'step' | 'below',
    value: string,
    { limit, project }: { readonly limit: number; readonly project: string | undefined },
  ): readonly StepTrace[] {
    const newest = `ORDER BY id DESC LIMIT ?`;
    if (project === undefined)
      return this.#db
        .all(`SELECT * FROM trace WHERE ${column} = ? ${newest}`, value, limit)
        .map(traceOf);
    const own = this.#db.all(
      `SELECT * FROM trace WHERE ${column} = ? AND project = ? ${newest}`,
      ...[value, project, limit],
    );
    if (own.length > 0) return own.map(traceOf);
    // The same project at another place: its directory has the same name.
    const name = project.slice(project.lastIndexOf('/'));
    return this.#db
      .all(
        `SELECT * FROM trace WHERE ${column} = ? AND substr(project, -?) = ? ${newest}`,
        ...[value, name.length, name, limit],
      )
      .map(traceOf);
  }
}

function traceOf(row: Row): StepTrace {
  const describes = optionalText(row, 'describes');
  const record = optionalNumber(row, 'record');
  return {
    step: text(row, 'step'),
    project: text(row, 'project'),
    below: optionalText(row, 'below') ?? '',
    ...(record === undefined ? {} : { record }),
    key: digest(row, 'key'),
    op: digest(row, 'op'),
    ...(describes === undefined ? {} : { describes }),
    pb: bytes(row, 'pb'),
    inputs: stored<readonly StepTraceInput[]>(text(row, 'inputs')),
    at: number(row, 'at'),
    costMs: number(row, 'cost_ms'),
  };
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

  setAll(namespace: string, entries: Iterable<readonly [key: string, value: Uint8Array]>): void {
    this.#db.write(() => {
      for (const [key, value] of entries) this.set(namespace, key, value);
    });
  }
}
