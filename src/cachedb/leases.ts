import { randomBytes } from 'node:crypto';
import { FailureError, livenessOf, ownIdentity } from '../base/index.ts';
import type { Clock, Lease, Leases } from '../ports/index.ts';
import { type Connection, number, text } from './connection.ts';

/** A lease of a process in another PID namespace, which nobody here can look up, holds this long. */
const UNKNOWN_OWNER_MS = 24 * 3600_000;

/** Leases in SQLite; those of processes that ended are dropped when the database is opened. */
export class LeaseTable implements Leases {
  readonly #db: Connection;
  readonly #clock: Clock;

  constructor(db: Connection, clock: Clock) {
    this.#db = db;
    this.#clock = clock;
  }

  open(purpose: string): Lease {
    const id = randomBytes(12).toString('hex');
    this.#db.run(
      'INSERT INTO lease (id, purpose, owner, created_at) VALUES (?, ?, ?, ?)',
      ...[id, purpose, ownIdentity(), this.#clock.now()],
    );
    return new OpenLease(this.#db, id);
  }

  held(): ReturnType<Leases['held']> {
    this.sweep();
    const resources = Map.groupBy(
      this.#db.all('SELECT lease, resource FROM lease_resource ORDER BY resource'),
      (row) => text(row, 'lease'),
    );
    return this.#db.all('SELECT id, purpose FROM lease ORDER BY created_at, id').map((row) => ({
      id: text(row, 'id'),
      purpose: text(row, 'purpose'),
      resources: (resources.get(text(row, 'id')) ?? []).map((each) => text(each, 'resource')),
    }));
  }

  /** As `sweep`; a store that cannot be written keeps them, and they count no more for anybody. */
  sweepIfPossible(): number {
    try {
      return this.sweep();
    } catch (e) {
      if (!(e instanceof FailureError)) throw e;
      return 0;
    }
  }

  /** Drops the leases of processes that ended; returns how many. */
  sweep(): number {
    const rows = this.#db.all('SELECT id, owner, created_at FROM lease');
    const alive = new Map<string, boolean>();
    const dead = rows.filter((row) => {
      const owner = text(row, 'owner');
      const known = alive.get(owner) ?? this.#mayLive(owner, number(row, 'created_at'));
      alive.set(owner, known);
      return !known;
    });
    for (const row of dead) this.#db.run('DELETE FROM lease WHERE id = ?', text(row, 'id'));
    return dead.length;
  }

  #mayLive(owner: string, since: number): boolean {
    const liveness = livenessOf(owner);
    if (liveness === 'unknown') return this.#clock.now() - since < UNKNOWN_OWNER_MS;
    return liveness === 'alive';
  }
}

class OpenLease implements Lease {
  readonly id: string;
  readonly #db: Connection;
  readonly #held = new Set<string>();

  constructor(db: Connection, id: string) {
    this.#db = db;
    this.id = id;
  }

  add(...resources: readonly string[]): void {
    const wanted = resources.filter((resource) => !this.#held.has(resource));
    if (wanted.length === 0) return;
    this.#db.write(() => {
      for (const resource of wanted)
        this.#db.run(
          'INSERT INTO lease_resource (resource, lease) VALUES (?, ?) ON CONFLICT DO NOTHING',
          ...[resource, this.id],
        );
    });
    for (const resource of wanted) this.#held.add(resource);
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.#db.run('DELETE FROM lease WHERE id = ?', this.id);
    return Promise.resolve();
  }
}
