/**
 * Faults at every transition of a store, in a real process: preloaded with `NODE_OPTIONS=--import=…/faults.ts`, so that the
 * program itself has no trace of it. Wraps what changes files (`node:fs`, its promises, file handles) and SQLite's writing
 * statements; a transition's name is the call and where it happens, with random parts of paths replaced by `*`.
 */
import childProcess from 'node:child_process';
import fs from 'node:fs';
import fsp, { type FileHandle } from 'node:fs/promises';
import { createRequire, syncBuiltinESMExports } from 'node:module';
import { basename } from 'node:path';
import { DatabaseSync, StatementSync } from 'node:sqlite';
import { isMainThread } from 'node:worker_threads';
import { ARM, type FaultPlan, TORTURE } from './fault-plan.ts';
import { half, tearRemoval } from './tear.ts';

type Call = (...args: readonly unknown[]) => unknown;
type Table = Record<string, Call>;

/** Calls that change something, by the argument that names it; `write` calls need space. */
const CALLS: readonly (readonly [name: string, path: number, needsSpace: boolean])[] = [
  ['appendFile', 0, true],
  ['chmod', 0, false],
  ['copyFile', 1, true],
  ['link', 1, true],
  ['mkdir', 0, true],
  ['rename', 1, true],
  ['rm', 0, false],
  ['rmdir', 0, false],
  ['symlink', 1, true],
  ['truncate', 0, false],
  ['unlink', 0, false],
  ['utimes', 0, false],
  ['writeFile', 0, true],
];

async function install(plan: FaultPlan): Promise<void> {
  const state = new Faults(plan);
  const paths = new Map<number, string>();
  const handles = new WeakMap<object, string>();
  // Node's own modules as tables of functions: their types differ from call to call.
  const [sync, promised] = [fs, fsp] as unknown as [Table, Table];
  for (const [name, at, space] of CALLS) {
    wrap(sync, `${name}Sync`, (call, args) =>
      state.sync({ name, path: args[at], space, data: args[1] }, () => call(...args)),
    );
    wrap(promised, name, (call, args) =>
      state.async({ name, path: args[at], space, data: args[1] }, () => call(...args)),
    );
  }
  wrap(sync, 'openSync', (call, args) => {
    const opened = makes(args[1])
      ? state.sync({ name: 'open', path: args[0], space: true }, () => call(...args))
      : call(...args);
    if (makes(args[1])) paths.set(Number(opened), String(args[0]));
    return opened;
  });
  wrap(sync, 'closeSync', (call, args) => {
    paths.delete(Number(args[0]));
    return call(...args);
  });
  for (const [name, space] of [
    ['write', true],
    ['fsync', true],
  ] as const)
    wrap(sync, `${name}Sync`, (call, args) =>
      state.sync({ name, path: paths.get(Number(args[0])), space, data: args[1] }, (data) =>
        data === undefined ? call(...args) : call(args[0], data),
      ),
    );
  wrap(promised, 'open', async (call, args) => {
    const opened = makes(args[1])
      ? await state.async({ name: 'open', path: args[0], space: true }, () => call(...args))
      : await call(...args);
    if (makes(args[1])) handles.set(opened as object, String(args[0]));
    return opened;
  });
  await wrapHandles(state, handles);
  wrapDatabase(state);
  wrapSystemCalls(state);
  syncBuiltinESMExports();
  const given = plan;
  Object.assign(globalThis, { [ARM]: (next?: FaultPlan) => state.arm(next ?? given) });
  if (plan.clockMs !== undefined) shiftClock(plan.clockMs);
}

/** Whether flags of open(2) make or change a file. */
function makes(flags: unknown): boolean {
  if (typeof flags === 'number') return (flags & 3) !== 0;
  return typeof flags === 'string' && /[wa+]/.test(flags);
}

function wrap(
  table: Table,
  name: string,
  around: (call: Call, args: readonly unknown[]) => unknown,
): void {
  const call = table[name];
  if (call === undefined) throw new Error(`there is no ${name} to wrap`);
  table[name] = function (this: unknown, ...args: readonly unknown[]) {
    return around(call.bind(this), args);
  };
}

async function wrapHandles(state: Faults, handles: WeakMap<object, string>): Promise<void> {
  // The class is not exported: one handle leads to it. What is opened for reading is let through.
  const handle: FileHandle = await fsp.open('/dev/null', 'r');
  const table = Object.getPrototypeOf(handle) as Table;
  await handle.close();
  for (const name of ['write', 'writeFile', 'appendFile', 'sync', 'truncate']) {
    const call = table[name];
    if (call === undefined) throw new Error(`handles have no ${name} to wrap`);
    table[name] = function (this: object, ...args: readonly unknown[]) {
      const step = { name, path: handles.get(this), space: true, data: args[0] };
      return state.async(step, (data) => call.apply(this, data === undefined ? [...args] : [data]));
    };
  }
}

function wrapDatabase(state: Faults): void {
  const [database, statement] = [DatabaseSync.prototype, StatementSync.prototype] as unknown as [
    Table,
    Table,
  ];
  const around = (table: Table, name: string, sqlOf: (self: unknown, sql: unknown) => string) => {
    const call = table[name];
    if (call === undefined) throw new Error(`there is no ${name} to wrap`);
    table[name] = function (this: unknown, ...args: readonly unknown[]) {
      const sql = sqlOf(this, args[0]).trim();
      const verb = /^(BEGIN|COMMIT|INSERT INTO \w+|UPDATE \w+|DELETE FROM \w+|CREATE)/i.exec(sql);
      const run = (): unknown => call.apply(this, [...args]);
      if (verb?.[1] === undefined) return run();
      const space = !/^(BEGIN|DELETE)/i.test(verb[1]);
      return state.sync({ name: 'db', at: verb[1].toLowerCase(), space, database: true }, run);
    };
  };
  around(database, 'exec', (_, sql) => String(sql));
  for (const name of ['run', 'get', 'all'])
    around(statement, name, (self) => (self as StatementSync).sourceSQL);
}

const SYSTEM_CALLS = ['mount', 'umount2', 'syncfs', 'renameat2', 'mknod', 'syscall'];

/** Mounts and the like, which Node lacks, and programs that are started. */
function wrapSystemCalls(state: Faults): void {
  wrap(childProcess as unknown as Table, 'spawn', (call, args) =>
    state.sync({ name: 'spawn', at: basename(String(args[0])), space: false }, () => call(...args)),
  );
  // As untyped as what it wraps.
  const koffi = createRequire(import.meta.url)('koffi') as Table;
  wrap(koffi, 'load', (load, library) => {
    // The program takes functions of the library, and nothing else; it cannot be changed itself.
    const self = load(...library) as Table;
    const func = (name: unknown, ...types: readonly unknown[]): Call => {
      const bound = self['func']?.(name, ...types) as Call;
      if (!SYSTEM_CALLS.includes(String(name))) return bound;
      return (...args) => {
        const at = name === 'syscall' ? `syscall ${String(args[0])}` : String(name);
        return state.sync({ name: 'system', at, space: false }, () => bound(...args));
      };
    };
    return { func };
  });
}

function shiftClock(by: number): void {
  const [now, dateNow] = [performance.now.bind(performance), Date.now.bind(Date)];
  performance.now = () => now() + by;
  Date.now = () => dateNow() + by;
}

/** One transition about to happen. */
interface Step {
  readonly name: string;
  readonly path?: unknown;
  /** What stands for the path. */
  readonly at?: string;
  readonly space: boolean;
  readonly data?: unknown;
  readonly database?: boolean;
}

class Faults {
  #plan: FaultPlan;
  readonly #counts = new Map<string, number>();
  readonly #append = fs.appendFileSync.bind(fs);
  #writes = 0;

  constructor(plan: FaultPlan) {
    this.#plan = plan;
  }

  /** Another plan, from the beginning. */
  arm(plan: FaultPlan): void {
    this.#plan = plan;
    this.#counts.clear();
    this.#writes = 0;
  }

  sync(step: Step, run: (data?: Uint8Array) => unknown): unknown {
    const when = this.#reach(step);
    if (when === 'torn' && !tearRemoval(step)) run(half(step.data));
    if (when === 'before' || when === 'torn') this.#die();
    const value = run();
    if (when === 'after') this.#die();
    return value;
  }

  async async(step: Step, run: (data?: Uint8Array) => unknown): Promise<unknown> {
    const when = this.#reach(step);
    if (when === 'torn' && !tearRemoval(step)) await run(half(step.data));
    if (when === 'before' || when === 'torn') this.#die();
    const value = await run();
    if (when === 'after') this.#die();
    return value;
  }

  /** Notes a transition; answers when this is the one to die at. */
  #reach(step: Step): 'before' | 'after' | 'torn' | undefined {
    const name = this.#nameOf(step);
    if (name === undefined) return undefined;
    const { record, kill } = this.#plan;
    const nth = (this.#counts.get(name) ?? 0) + 1;
    this.#counts.set(name, nth);
    if (record !== undefined) this.#append(record, `${step.space ? 'w' : '-'} ${name}\n`);
    if (this.#plan.pause?.point === name && this.#plan.pause.nth === nth) this.#pause();
    if (step.space) this.#fill(step, name);
    if (kill?.point !== name || kill.nth !== nth) return undefined;
    if (kill.when !== 'torn') return kill.when;
    const bytes =
      (step.name === 'write' || step.name === 'sync') && step.data instanceof Uint8Array;
    return bytes || step.name === 'rm' ? 'torn' : 'before';
  }

  #fill(step: Step, name: string): void {
    const { full } = this.#plan;
    if (full === undefined) return;
    if (this.#writes < full.nth) {
      if (full.point === undefined || full.point === name) this.#writes++;
      if (this.#writes < full.nth) return;
    } else if (full.once) return;
    this.#happened(name);
    throw step.database === true
      ? Object.assign(new Error('database or disk is full'), {
          ...{ code: 'ERR_SQLITE_ERROR', errcode: 13, errstr: 'database or disk is full' },
        })
      : Object.assign(new Error(`ENOSPC: no space left on device, ${name}`), {
          ...{ code: 'ENOSPC', errno: -28, syscall: step.name },
        });
  }

  #pause(): void {
    const { pause } = this.#plan;
    if (pause === undefined) return;
    this.#append(pause.reached, '');
    while (!fs.existsSync(pause.go)) rest(5);
  }

  #nameOf({ name, path, at }: Step): string | undefined {
    if (at !== undefined) return `${name} ${at}`;
    if (path === undefined) return undefined;
    const file = Buffer.isBuffer(path) ? path.toString() : typeof path === 'string' ? path : '';
    const { root, also } = this.#plan;
    const base = [root, ...also].find((dir) => file === dir || file.startsWith(`${dir}/`));
    if (base === undefined) return undefined;
    const rest = file
      .slice(base.length + 1)
      .replace(/(\.tmp-)p\d+t\d+b[0-9a-f]{6}n[0-9a-f]{6}-/, '$1')
      .replace(/[0-9a-f]{6,}/g, '*')
      .replace(/\/fs\/.*$/, '/fs/*')
      .replace(/\d+/g, '#');
    return `${name} ${base === root ? rest : `output/${rest}`}`;
  }

  #happened(name: string): void {
    const { happened } = this.#plan;
    if (happened !== undefined) this.#append(happened, `${name}\n`);
  }

  #die(): never {
    this.#happened(this.#plan.kill?.point ?? '');
    process.kill(process.pid, 'SIGKILL');
    for (;;) rest(1000);
  }
}

/** Stands still without a turn of the event loop. */
function rest(ms: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
}

const text = process.env[TORTURE];
// The variable is written by the harness alone.
if (text !== undefined && isMainThread) await install(JSON.parse(text) as FaultPlan);
