import type { Digest, Failure } from '../base/index.ts';
import type { Millis } from '../events/index.ts';
import type { BuildRow, HistoryDb, StepRow } from '../ports/index.ts';
import { type Connection, number, optionalNumber, optionalText, text } from './connection.ts';
import { optionalDigest, stored } from './stored-json.ts';

/** Builds and their steps in SQLite. */
export class History implements HistoryDb {
  readonly #db: Connection;

  constructor(db: Connection) {
    this.#db = db;
  }

  startBuild(build: BuildRow): void {
    this.#db.run(
      'INSERT INTO build (id, name, request, started_at) VALUES (?, ?, ?, ?)',
      ...[build.id, build.name, build.request, build.startedAt],
    );
  }

  finishBuild(
    id: string,
    end: { readonly at: Millis; readonly failure?: Failure; readonly image?: Digest },
  ): void {
    this.#db.run(
      'UPDATE build SET finished_at = ?, error = ?, failure = ?, image = ? WHERE id = ?',
      ...[end.at, end.failure?.message ?? null, end.failure?.code ?? null, end.image ?? null, id],
    );
  }

  saveStep(build: string, ...steps: readonly StepRow[]): void {
    this.#db.write(() => {
      for (const step of steps)
        this.#db.run(
          `INSERT INTO step (build, vertex, position, row)
           VALUES (?1, ?2, (SELECT count(*) FROM step WHERE build = ?1), ?3)
           ON CONFLICT (build, vertex) DO UPDATE SET row = excluded.row`,
          ...[build, step.vertex, JSON.stringify(step)],
        );
    });
  }

  builds(limit: number): ReturnType<HistoryDb['builds']> {
    const rows = this.#db.all(
      'SELECT * FROM build ORDER BY started_at DESC, id DESC LIMIT ?',
      limit,
    );
    return rows.map((row) => {
      const finishedAt = optionalNumber(row, 'finished_at');
      const error = optionalText(row, 'error');
      const image = optionalDigest(row, 'image');
      return {
        id: text(row, 'id'),
        startedAt: number(row, 'started_at'),
        name: text(row, 'name'),
        request: text(row, 'request'),
        ...(finishedAt === undefined ? {} : { finishedAt }),
        ...(error === undefined ? {} : { error }),
        ...(image === undefined ? {} : { image }),
      };
    });
  }

  steps(build: string): readonly StepRow[] {
    return this.#db
      .all('SELECT row FROM step WHERE build = ? ORDER BY position', build)
      .map((row) => stored<StepRow>(text(row, 'row')));
  }

  removeBuild(id: string): boolean {
    return this.#db.run('DELETE FROM build WHERE id = ?', id).changes > 0;
  }
}
