import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Semaphore } from '../../src/base/index.ts';
import {
  type CacheServers,
  type Part,
  SERVER_TYPES,
  type ServerType,
  startCacheServers,
} from '../rig/cache-places.ts';
import { IMPATIENT, type Outcome, rowBuild, rowWorld } from '../rig/cache-rows.ts';
import { note } from '../rig/golden.ts';
import type { Fault } from '../rig/registry.ts';
import type { Rig } from '../rig/rig.ts';

const { signal } = new AbortController();

/** Rows at once: most of their time is waiting for what does not come. */
const PARALLEL = 12;

/** What is met, and what is said of it. */
type Met = readonly [Fault, RegExp];

const status = (code: number, headers = {}): Met => [
  { kind: 'status', status: code, headers },
  new RegExp(code === 404 ? 'answers 404|no cache has|has no entry' : `answers ${code}`),
];

/** What requests can meet. */
const FAULTS: Readonly<Record<string, Met>> = {
  '401': status(401),
  '403': status(403),
  '404': status(404),
  '429': status(429, { 'retry-after': '0' }),
  '500': status(500),
  '503': status(503),
  reset: [{ kind: 'reset' }, /ECONNRESET/],
  stall: [{ kind: 'stall' }, /no answer in time/],
};

const altered = (change: (body: Buffer) => Buffer): Met => [
  { kind: 'alter', change },
  /damaged|has digest|another digest|bytes|cache config/,
];

/** What can be wrong with an answer besides. */
const DAMAGE: Readonly<Record<string, Met>> = {
  'cut off': [{ kind: 'truncate', after: 3 }, /other side closed|terminated/],
  corrupt: altered((body) => Buffer.from(body.map((byte, i) => (i === 0 ? byte ^ 1 : byte)))),
  truncated: altered((body) => body.subarray(0, body.length >> 1)),
  oversized: altered((body) => Buffer.concat([body, Buffer.alloc(17 * 2 ** 20, ' ')])),
};

type Faults = Readonly<Partial<Record<Part, readonly string[]>>>;
const DAMAGED = Object.keys(DAMAGE);
/** All faults: those that one client of a type treats alike are met at one of its parts each, the others at every part. */
const [FIRST, SECOND] = [
  ['401', '404', '429', '500', 'stall'],
  ['403', '404', '503', 'reset'],
];

/** What is read; the service of GitHub Actions gives no bytes that could be damaged. */
const READ: Readonly<Record<ServerType, Faults>> = {
  registry: {
    manifest: [...FIRST, 'reset', ...DAMAGED],
    config: ['404', ...DAMAGED],
    layer: [...SECOND, 'stall', ...DAMAGED],
  },
  s3: { manifest: [...FIRST, ...DAMAGED], layer: [...SECOND, ...DAMAGED] },
  gha: {
    service: [...FIRST, '403', 'reset'],
    manifest: ['404', '503', ...DAMAGED],
    layer: ['404', '503', 'reset', 'stall', ...DAMAGED],
  },
};
/** What is written; the config of a registry is written as a blob like the layers. */
const WRITTEN: Readonly<Record<ServerType, Faults>> = {
  registry: { manifest: FIRST, layer: [...SECOND, 'stall'] },
  s3: { manifest: FIRST, layer: SECOND },
  gha: { service: [...FIRST, '403', 'reset'], layer: ['403', '404', '503', 'reset', 'stall'] },
};

/** The faults of a table, each with its part. */
function* cells(table: Faults): Generator<readonly [Part, string, Met]> {
  for (const part of ['service', 'manifest', 'config', 'layer'] as const)
    for (const name of table[part] ?? []) {
      const met = FAULTS[name] ?? DAMAGE[name];
      if (met === undefined) throw new Error(`no fault is called ${name}`);
      yield [part, name, met];
    }
}

const patience = (met?: Met): Readonly<Record<string, string>> =>
  met?.[0].kind === 'stall' ? IMPATIENT : {};

/** Runs rows, and gives the differences from what each should come to. */
async function differences(
  rows: ReadonlyMap<string, () => Promise<readonly string[]>>,
): Promise<readonly string[]> {
  const slots = new Semaphore(PARALLEL);
  const wrong = await Promise.all(
    [...rows].map(async ([name, row]) =>
      (await slots.run(signal, row)).map((each) => `${name}: ${each}`),
    ),
  );
  return wrong.flat();
}

/** How an outcome differs from what it should be. */
function compared(got: Outcome, want: Omit<Outcome, 'said'>, said: readonly RegExp[]): string[] {
  const { said: text, ...rest } = got;
  const [is, should] = [JSON.stringify(rest), JSON.stringify(want)];
  return [
    ...(is === should ? [] : [`${is} in place of ${should}: ${text}`]),
    ...said.flatMap((each) => (each.test(text) ? [] : [`"${text}" has no ${each.source}`])),
  ];
}

async function withServers(
  work: (rig: Rig, servers: CacheServers) => Promise<void>,
): Promise<void> {
  await using rig = rowWorld();
  await using servers = await startCacheServers();
  for (const { to, env } of Object.values(servers.good)) {
    const made = await rowBuild(rig, ['--cache-to', `${to},mode=max`], { env });
    assert.deepEqual(made, { status: 0, steps: 'DONE DONE', said: '' });
  }
  await work(rig, servers);
}

test('whatever a server answers to an import, the build ends well, its steps run and the cache is reported', async () => {
  await withServers(async (rig, servers) => {
    const rows = new Map<string, () => Promise<readonly string[]>>();
    const row = async (type: ServerType, part: Part, met?: Met): Promise<readonly string[]> => {
      await using place = await servers.open(type, (asked) =>
        asked === part ? met?.[0] : undefined,
      );
      const { from } = place;
      const env = { ...place.env, ...patience(met) };
      const got = await rowBuild(rig, ['--cache-from', from], { env, output: true });
      const files = 'a\nb\n';
      if (met === undefined)
        return compared(got, { status: 0, steps: 'CACHED CACHED', files }, [/^$/]);
      const what =
        part === 'layer'
          ? /CacheLayerLost: layer .* cannot be used/
          : /^CacheImport: the cache \S+.* is not used/;
      return compared(got, { status: 0, steps: 'DONE DONE', files }, [what, met[1]]);
    };
    for (const type of SERVER_TYPES) {
      // Unbroken, so that a row cannot pass because nothing is ever found.
      rows.set(`${type} as it is`, () => row(type, 'manifest'));
      for (const [part, name, met] of cells(READ[type]))
        rows.set(`${type} ${part} ${name}`, () => row(type, part, met));
    }
    assert.deepEqual(await differences(rows), []);
    note(`imports from servers that fail: ${rows.size} rows`);
  });
});

test('whatever a server answers to an export, ignore-error decides between a warning and a failure', async () => {
  await withServers(async (rig, servers) => {
    const rows = new Map<string, () => Promise<readonly string[]>>();
    let count = 0;
    const row = async (
      what: { readonly type: ServerType; readonly part: Part; readonly ignore: boolean },
      met: Met,
    ): Promise<readonly string[]> => {
      const { type, part, ignore } = what;
      const [fault, said] = met;
      const broken = (asked: Part): Fault | undefined => (asked === part ? fault : undefined);
      await using place = await servers.open(type, broken, { empty: `empty-${count++}` });
      const { to } = place;
      const env = { ...place.env, ...patience(met) };
      const flags = ['--cache-to', `${to},mode=max,ignore-error=${ignore}`];
      const got = await rowBuild(rig, flags, { env, output: true });
      const first = ignore
        ? /^CacheExport: the cache was not exported to [^|]*$/
        : /^error\[(?:RG|RC)\d+\]: [^|]*$/;
      const want = { status: ignore ? 0 : 3, steps: 'DONE DONE', files: 'a\nb\n' };
      return compared(got, want, [first, said]);
    };
    // Who decides knows no fault: each is met one way or the other, one of each part both ways.
    for (const type of SERVER_TYPES)
      for (const [i, [part, name, met]] of [...cells(WRITTEN[type])].entries())
        for (const ignore of name === '404' ? [true, false] : [i % 2 === 0])
          rows.set(`${type} ${part} ${name} ignore-error=${ignore}`, () =>
            row({ type, part, ignore }, met),
          );
    assert.deepEqual(await differences(rows), []);
    note(`exports to servers that fail: ${rows.size} rows`);
  });
});
