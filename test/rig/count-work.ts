/**
 * Preloaded by `--import` into a program and its worker threads: counts the statements that a database executes and the
 * bytes that are hashed. Each thread appends its counts, a line of JSON, to the file that VARVE_TEST_COUNTS names when it ends.
 */
import crypto from 'node:crypto';
import { appendFileSync } from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import sqlite from 'node:sqlite';

/** Counts of one thread. */
export interface Work {
  statements: number;
  hashedBytes: number;
}

const work: Work = { statements: 0, hashedBytes: 0 };

const size = (data: unknown): number =>
  typeof data === 'string'
    ? Buffer.byteLength(data)
    : ArrayBuffer.isView(data)
      ? data.byteLength
      : 0;

/** Puts a function in front of a method. */
function before(object: object, name: string, count: (args: readonly unknown[]) => void): void {
  const found: unknown = Reflect.get(object, name);
  if (typeof found !== 'function') throw new Error(`no method ${name}`);
  Reflect.set(object, name, function counted(this: unknown, ...args: unknown[]): unknown {
    count(args);
    const result: unknown = Reflect.apply(found, this, args);
    return result;
  });
}

const statement = (): void => {
  work.statements++;
};
for (const name of ['run', 'get', 'all', 'iterate'])
  before(sqlite.StatementSync.prototype, name, statement);
before(sqlite.DatabaseSync.prototype, 'exec', statement);
before(crypto.Hash.prototype, 'update', ([data]) => {
  work.hashedBytes += size(data);
});
before(crypto, 'hash', ([, data]) => {
  work.hashedBytes += size(data);
});
syncBuiltinESMExports();

const file = process.env['VARVE_TEST_COUNTS'];
if (file !== undefined) process.on('exit', () => appendFileSync(file, `${JSON.stringify(work)}\n`));
