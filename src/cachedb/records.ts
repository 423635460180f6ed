import type { Digest } from '../base/index.ts';
import type {
  CacheDb,
  CachedResult,
  Clock,
  RecordId,
  RecordInput,
  RecordLink,
} from '../ports/index.ts';
import type { Layers } from './chains.ts';
import { type Connection, number, optionalText, type Row, text } from './connection.ts';
import { digest as digestColumn, optionalDigest } from './stored-json.ts';

// Brand constructor: the column holds record numbers.
const idOf = (row: Row, column = 'id'): RecordId => number(row, column) as RecordId;

const CHILDREN =
  'SELECT child FROM link WHERE parent = ? AND digest = ? AND input = ? AND selector = ?';

/** The graph of cache keys in SQLite. */
export class Records implements CacheDb {
  readonly #db: Connection;
  readonly #layers: Layers;
  readonly #clock: Clock;

  constructor(db: Connection, layers: Layers, clock: Clock) {
    this.#db = db;
    this.#layers = layers;
    this.#clock = clock;
  }

  root(digest: Digest): RecordId | undefined {
    const row = this.#db.get('SELECT id FROM record WHERE digest = ? AND root = 1', digest);
    return row === undefined ? undefined : idOf(row);
  }

  ensureRoot(digest: Digest): RecordId {
    return (
      this.root(digest) ?? this.#db.write(() => this.root(digest) ?? this.#insert(digest, 'root'))
    );
  }

  children(parents: readonly RecordId[], link: RecordLink): readonly RecordId[] {
    const found = new Set<RecordId>();
    for (const parent of parents) {
      const { digest, input, selector = '' } = link;
      for (const row of this.#db.all(CHILDREN, parent, digest, input, selector)) {
        found.add(idOf(row, 'child'));
      }
    }
    return [...found];
  }

  knows(digest: Digest): boolean {
    const sql = 'SELECT 1 FROM record WHERE digest = ? AND root = 0 LIMIT 1';
    return this.#db.get(sql, digest) !== undefined;
  }

  ensureRecord(digest: Digest, inputs: readonly (readonly RecordInput[])[]): RecordId {
    if (inputs.length === 0) return this.ensureRoot(digest);
    return this.#db.write(() => {
      const record = this.#match(digest, inputs) ?? this.#insert(digest, 'inner');
      inputs.forEach((alternatives, input) => this.#link(record, digest, input, alternatives));
      return record;
    });
  }

  addInputs(record: RecordId, input: number, alternatives: readonly RecordInput[]): void {
    this.#db.write(() => this.#link(record, this.digestOf(record), input, alternatives));
  }

  results(record: RecordId): readonly CachedResult[] {
    return this.#db
      .all(
        'SELECT chain, created_at, cost_ms, source FROM result WHERE record = ? ORDER BY created_at DESC, chain DESC',
        record,
      )
      .flatMap((row) => {
        const chain = this.#layers.load(number(row, 'chain'));
        if (chain === undefined) return [];
        const source = optionalText(row, 'source');
        return [
          {
            ...{ chain, createdAt: number(row, 'created_at'), costMs: number(row, 'cost_ms') },
            ...(source === undefined ? {} : { source }),
          },
        ];
      });
  }

  addResult(record: RecordId, result: CachedResult): void {
    this.#db.write(() => {
      const chain = this.#layers.save(result.chain);
      this.#db.run(
        `INSERT INTO result (record, chain, created_at, cost_ms, used_at, uses, source)
         VALUES (?, ?, ?, ?, ?, 0, ?)
         ON CONFLICT (record, chain) DO UPDATE
         SET created_at = excluded.created_at, source = excluded.source`,
        ...[record, chain, result.createdAt, result.costMs, this.#clock.now()],
        result.source ?? null,
      );
      this.#db.run('DELETE FROM eviction WHERE record = ?', record);
    });
  }

  removeResult(record: RecordId, result: CachedResult): void {
    const chain = this.#layers.find(result.chain);
    if (chain === undefined) return;
    this.#db.run('DELETE FROM result WHERE record = ? AND chain = ?', record, chain);
  }

  used(record: RecordId, result: CachedResult): void {
    const chain = this.#layers.find(result.chain);
    if (chain === undefined) return;
    this.#db.run(
      'UPDATE result SET used_at = ?, uses = uses + 1 WHERE record = ? AND chain = ?',
      ...[this.#clock.now(), record, chain],
    );
  }

  eviction(record: RecordId): { readonly at: number; readonly rule: string } | undefined {
    const row = this.#db.get('SELECT at, rule FROM eviction WHERE record = ?', record);
    return row === undefined ? undefined : { at: number(row, 'at'), rule: text(row, 'rule') };
  }

  digestOf(record: RecordId): Digest {
    const row = this.#db.get('SELECT digest FROM record WHERE id = ?', record);
    if (row === undefined) throw new Error(`no cache record ${record}`);
    return digestColumn(row, 'digest');
  }

  inputsOf(record: RecordId): readonly (readonly RecordInput[])[] {
    const inputs: RecordInput[][] = [];
    const rows = this.#db.all(
      'SELECT input, parent, selector FROM link WHERE child = ? ORDER BY input, parent, selector',
      record,
    );
    for (const row of rows) {
      const at = number(row, 'input');
      while (inputs.length <= at) inputs.push([]);
      const selector = row['selector'] === '' ? undefined : optionalDigest(row, 'selector');
      const parent = idOf(row, 'parent');
      inputs[at]?.push(selector === undefined ? { record: parent } : { record: parent, selector });
    }
    return inputs;
  }

  /** The record that is already known below some alternative of every input. */
  #match(digest: Digest, inputs: readonly (readonly RecordInput[])[]): RecordId | undefined {
    let matches: ReadonlySet<RecordId> | undefined;
    inputs.forEach((alternatives, input) => {
      const found = new Set<RecordId>();
      for (const { record, selector } of alternatives) {
        const link = { digest, input, ...(selector === undefined ? {} : { selector }) };
        for (const child of this.children([record], link)) found.add(child);
      }
      matches = matches === undefined ? found : matches.intersection(found);
    });
    return matches === undefined ? undefined : [...matches].sort((a, b) => a - b)[0];
  }

  #insert(digest: Digest, kind: 'root' | 'inner'): RecordId {
    const { id } = this.#db.run(
      'INSERT INTO record (digest, root, created_at) VALUES (?, ?, ?)',
      ...[digest, kind === 'root' ? 1 : 0, this.#clock.now()],
    );
    // Brand constructor: the row just made.
    return id as RecordId;
  }

  #link(
    child: RecordId,
    digest: Digest,
    input: number,
    alternatives: readonly RecordInput[],
  ): void {
    for (const { record, selector } of alternatives) {
      this.#db.run(
        'INSERT INTO link (parent, digest, input, selector, child) VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING',
        ...[record, digest, input, selector ?? '', child],
      );
    }
  }
}
