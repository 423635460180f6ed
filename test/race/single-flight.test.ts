import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { openStateDb } from '../../src/cachedb/index.ts';

class Store implements Disposable {
  readonly dir = mkdtempSync(join(tmpdir(), 'varve-race-'));
  readonly #children: ChildProcess[] = [];

  start(...args: readonly string[]): {
    readonly child: ChildProcess;
    readonly ended: Promise<string>;
  } {
    const child = spawn(
      process.execPath,
      [join(import.meta.dirname, 'solve-child.ts'), this.dir, ...args],
      {
        stdio: ['ignore', 'pipe', 'pipe'],
      },
    );
    this.#children.push(child);
    let out = '';
    child.stdout.on('data', (chunk: Buffer) => (out += chunk.toString()));
    child.stderr.on('data', (chunk: Buffer) => (out += chunk.toString()));
    const ended = new Promise<string>((resolve) => {
      child.on('close', (code, signal) => resolve(`${code ?? signal}: ${out.trim()}`));
    });
    return { child, ended };
  }

  executed(): string[] {
    return readFileSync(join(this.dir, 'executed.log'), 'utf8').trim().split('\n').sort();
  }

  [Symbol.dispose](): void {
    for (const child of this.#children) child.kill('SIGKILL');
    rmSync(this.dir, { recursive: true, force: true });
  }
}

test('eight processes with the same graph execute each step once', async () => {
  using store = new Store();
  const all = Array.from({ length: 8 }, () => store.start('5').ended);
  assert.deepEqual(
    await Promise.all(all),
    Array.from({ length: 8 }, () => '0: layer join'),
  );
  const expected = ['base', 'join', ...Array.from({ length: 5 }, (_, i) => `shared ${i}`)];
  assert.deepEqual(store.executed(), expected.sort());
});

test('a process killed in the middle of a step leaves it to the one that waits', async () => {
  using store = new Store();
  const first = store.start('1', 'hang');
  await new Promise((resolve) => first.child.stdout?.on('data', resolve));
  const second = store.start('1');
  first.child.kill('SIGKILL');
  assert.equal(await second.ended, '0: layer join');
  assert.equal(await first.ended, 'SIGKILL: running');
  assert.deepEqual(store.executed(), ['base', 'join', 'shared 0', 'shared 0']);
});

test('the leases of a killed process are dropped by the next command', async () => {
  using store = new Store();
  const first = store.start('1', 'hang');
  await new Promise((resolve) => first.child.stdout?.on('data', resolve));
  first.child.kill('SIGKILL');
  await first.ended;
  const opened = openStateDb({ path: join(store.dir, 'state.db'), clock: { now: () => 1 } });
  assert.ok(opened.ok);
  using db = opened.value;
  await using lease = db.leases.open('next');
  assert.deepEqual(db.leases.held(), [{ id: lease.id, purpose: 'next', resources: [] }]);
});
