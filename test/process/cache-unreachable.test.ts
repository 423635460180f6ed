import assert from 'node:assert/strict';
import { createServer, type Server, type Socket } from 'node:net';
import { describe, test } from 'node:test';
import { varveHere } from '../rig/in-process.ts';
import { MachineNetwork, needsNetworks } from '../rig/machines.ts';
import { Rig, statesOf } from '../rig/rig.ts';

/** Limits that a test can wait for. */
const IMPATIENT = { VARVE_NETWORK_TIMEOUT: '500ms', VARVE_NETWORK_TRIES: '2' };
/** Far above what the limits add up to, far below the limits that count when none are given. */
const SOON_MS = 25_000;
/** Keys that are read before anything is fetched, and sign nothing here. */
const KEYRING = '/usr/share/keyrings/debian-archive-keyring.gpg';
const FROM_SCRATCH = 'FROM scratch\nCOPY a.txt /a\n';
const KEYS = 'use_path_style=true,access_key_id=k,secret_access_key=k';

/** The flags of each type of cache at an address. */
const AT: Readonly<Record<string, (host: string) => string>> = {
  registry: (host) => `type=registry,ref=${host}/team/cache:main`,
  s3: (host) => `type=s3,bucket=b,region=r,endpoint_url=http://${host},${KEYS}`,
  gha: (host) => `type=gha,url_v2=http://${host}/,token=${RUNTIME}`,
};
const claims = { ac: JSON.stringify([{ Scope: 'refs/heads/main', Permission: 3 }]) };
const RUNTIME = `e30.${Buffer.from(JSON.stringify(claims)).toString('base64url')}.c2ln`;

interface Ended {
  readonly status: number | null;
  readonly step: string | undefined;
  /** What was said, without addresses. */
  readonly said: string;
}

async function build(
  rig: Rig,
  args: readonly string[],
  options: { readonly network?: string; readonly host: string; readonly type: string },
): Promise<Ended> {
  const started = performance.now();
  const { network, host, type } = options;
  const command = ['build', '--progress=rawjson', ...args, 'app'];
  const env = { ...IMPATIENT, VARVE_INSECURE_REGISTRIES: host };
  // A process of its own shows that nothing keeps it alive; one command does.
  const run =
    network !== undefined
      ? await rig.varve(command, { env, network })
      : type === 'registry' && args.includes('--cache-from')
        ? await rig.varve(command, { env })
        : await varveHere(rig, rig.work, command, env);
  const ms = performance.now() - started;
  assert.ok(ms < SOON_MS, `${args.join(' ')} took ${ms.toFixed(0)} ms`);
  const said = [...run.stderr.matchAll(/"short":"([^"]*)"/g)]
    .map(([, short]) => Buffer.from(short ?? '', 'base64').toString('utf8'))
    .join(' ');
  const error = /^error\[\w+\]: .*$/m.exec(run.stderr)?.[0] ?? '';
  return {
    status: run.status,
    step: statesOf(run.stderr)['[1/1] COPY a.txt /a'],
    said: `${said}${error}`,
  };
}

/** What is wrong with the ends of an import, and of exports with `ignore-error` either way. */
async function wrongEnds(
  rig: Rig,
  at: { readonly host: string; readonly network?: string },
  why: RegExp,
): Promise<readonly string[]> {
  const wrong: string[] = [];
  const { host, network } = at;
  for (const [type, specOf] of Object.entries(AT)) {
    // This process is in no other network.
    if (network !== undefined && type !== 'registry') continue;
    const spec = specOf(host);
    const options = { ...at, type };
    const runs = await Promise.all([
      build(rig, ['--cache-from', spec], options),
      build(rig, ['--cache-to', `${spec},ignore-error=true`], options),
      build(rig, ['--cache-to', spec], options),
    ]);
    const want: readonly [number, RegExp][] = [
      [0, /^CacheImport: the cache .* is not used/],
      [0, /^CacheExport: the cache was not exported/],
      [3, /^error\[(?:RG001|RC012)\]/],
    ];
    for (const [i, { status, step, said }] of runs.entries()) {
      const [code, first] = want[i] ?? [0, /^$/];
      const built = step === 'DONE' || step === 'CACHED';
      if (status !== code || !built || !first.test(said) || !why.test(said))
        wrong.push(`${type} ${i}: ${status} ${step} ${said}`);
    }
  }
  return wrong;
}

function world(): Rig {
  const rig = new Rig();
  rig.context('app', { Dockerfile: FROM_SCRATCH, 'a.txt': 'a\n' });
  return rig;
}

/** A server on a port of its own. */
async function listening(server: Server): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  assert.ok(typeof address === 'object' && address !== null);
  return address.port;
}

describe('a cache whose server is not there', () => {
  test('where nothing listens, imports are reported and exports fail or warn', async () => {
    await using rig = world();
    const server = createServer();
    const port = await listening(server);
    await new Promise((resolve) => server.close(resolve));
    assert.deepEqual(await wrongEnds(rig, { host: `127.0.0.1:${port}` }, /ECONNREFUSED/), []);
  });

  test('what accepts and never answers is given up by the limits that are set', async () => {
    await using rig = world();
    const sockets = new Set<Socket>();
    const server = createServer((socket) => {
      sockets.add(socket);
      socket.on('error', () => undefined);
      socket.resume();
    });
    const port = await listening(server);
    try {
      assert.deepEqual(
        await wrongEnds(rig, { host: `127.0.0.1:${port}` }, /no answer in time/),
        [],
      );
      assert.ok(sockets.size > 0);
    } finally {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    }
  });

  test('the same limits hold for ADD of an address and for repositories of packages', async () => {
    await using rig = world();
    const sockets = new Set<Socket>();
    const server = createServer((socket) => {
      sockets.add(socket);
      socket.on('error', () => undefined);
      socket.resume();
    });
    const url = `http://127.0.0.1:${await listening(server)}`;
    rig.write('add/Dockerfile', `FROM scratch\nADD ${url}/f /f\n`);
    rig.write(
      'deb.yml',
      `suite: stable\nmirrors: [{uri: "${url}/debian", signed-by: "${KEYRING}"}]\npackages: [app]\n`,
    );
    rig.write(
      'rpm.yml',
      `distribution: tiny\nrelease: "1"\narchitecture: x86_64\nrepositories: [{uri: "${url}/rpm", keys: ["${KEYRING}"]}]\npackages: [app]\n`,
    );
    try {
      const asking = {
        'ADD of an address': ['build', 'add'],
        'a Debian repository': ['compose', 'resolve', 'deb.yml'],
        'an rpm repository': ['compose', 'resolve', 'rpm.yml'],
      };
      const ends = await Promise.all(
        Object.entries(asking).map(async ([name, args]) => {
          const before = performance.now();
          const run = await varveHere(rig, rig.work, args, IMPATIENT);
          const soon = performance.now() - before < SOON_MS ? '' : ' late';
          const error = /^error\[\w+\]: .*$/m.exec(run.stderr)?.[0] ?? run.stderr;
          return [name, `${run.status} ${error.replaceAll(url, 'URL')}${soon}`];
        }),
      );
      assert.deepEqual(Object.fromEntries(ends), {
        'ADD of an address': '3 error[SR001]: GET URL/f: no answer in time',
        'a Debian repository':
          '3 error[PK002]: GET URL/debian/dists/stable/InRelease: no answer in time',
        'an rpm repository': '3 error[PK002]: GET URL/rpm/repodata/repomd.xml: no answer in time',
      });
    } finally {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    }
  });

  test('an address whose packets are lost is given up by the limits that are set', {
    skip: needsNetworks,
  }, async () => {
    await using rig = world();
    using network = new MachineNetwork();
    const machine = network.machine();
    const host = `${network.lost(machine)}:5000`;
    assert.deepEqual(
      await wrongEnds(rig, { host, network: machine }, /no answer in time|[Tt]imeout/),
      [],
    );
  });

  test('a limit that is none is refused before anything is built', async () => {
    await using rig = world();
    const env = { VARVE_NETWORK_TIMEOUT: 'soon' };
    const run = await varveHere(rig, rig.work, ['build', 'app'], env);
    assert.deepEqual(
      [run.status, run.stderr],
      [
        2,
        'error[CL009]: VARVE_NETWORK_TIMEOUT "soon" is no duration\nhelp: write a time such as 45s or 500ms\n',
      ],
    );
  });
});
