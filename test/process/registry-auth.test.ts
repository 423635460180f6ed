import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { chmod, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { ok, sha256 } from '../../src/base/index.ts';
import { createContentStore } from '../../src/content/index.ts';
import { type Descriptor, encodeImageConfig, encodeManifest, MEDIA } from '../../src/oci/index.ts';
import type { ContentStore, Registry } from '../../src/ports/index.ts';
import {
  type Credential,
  createRegistry,
  hostConfigs,
  type RegistryDeps,
} from '../../src/registry/index.ts';
import { type RegistryProcess, startFaultyProxy, startRegistry } from '../rig/registry.ts';
import { Rig } from '../rig/rig.ts';
import { makeKeyPair, startTokenServer, type TokenServer } from '../rig/token-server.ts';

const { signal } = new AbortController();
const platform = { architecture: 'amd64', os: 'linux' };
const PASSWORD: Credential = { kind: 'password', username: 'me', password: 'secret-word' };

async function folder(t: TestContext): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), 'varve-test-'));
  t.after(() => rm(dir, { recursive: true, force: true }));
  return dir;
}

function client(
  t: TestContext,
  content: ContentStore,
  extra: Partial<RegistryDeps> = {},
): Registry & AsyncDisposable {
  const made = createRegistry({
    content,
    clock: { now: () => Date.now() },
    retry: { tries: 2, firstPauseMs: 1, maxPauseMs: 5 },
    ...extra,
  });
  t.after(() => made[Symbol.asyncDispose]());
  return made;
}

const as =
  (credential: Credential | undefined): NonNullable<RegistryDeps['credentials']> =>
  () =>
    Promise.resolve(ok(credential));

interface Made {
  readonly layer: Descriptor;
  readonly config: Descriptor;
  readonly manifest: Uint8Array;
}

async function image(store: ContentStore): Promise<Made> {
  const bytes = randomBytes(1000);
  const layer = { mediaType: MEDIA.ociLayer, digest: await store.put(bytes), size: bytes.length };
  const json = encodeImageConfig({
    ...platform,
    rootfs: { type: 'layers', diff_ids: [layer.digest] },
  });
  const config = { mediaType: MEDIA.ociConfig, digest: await store.put(json), size: json.length };
  const manifest = encodeManifest({ mediaType: MEDIA.ociManifest, config, layers: [layer] });
  return { layer, config, manifest };
}

async function push(registry: Registry, ref: string, made: Made): Promise<readonly string[]> {
  const done = [
    await registry.pushBlob(ref, made.layer, { signal }),
    await registry.pushBlob(ref, made.config, { signal }),
    await registry.pushManifest(ref, made.manifest, MEDIA.ociManifest, { signal }),
  ];
  return done.map((d) => (d.ok ? d.value : d.error.code));
}

interface TokenWorld {
  readonly dir: string;
  readonly tokens: TokenServer;
  readonly server: RegistryProcess;
}

async function tokenWorld(t: TestContext, expiresIn?: number): Promise<TokenWorld> {
  const dir = await folder(t);
  const pair = await makeKeyPair(dir, 'tokens');
  const tokens = await startTokenServer(pair, expiresIn === undefined ? {} : { expiresIn });
  t.after(() => tokens[Symbol.asyncDispose]());
  const server = await startRegistry({
    token: {
      realm: tokens.realm,
      service: tokens.service,
      issuer: tokens.issuer,
      bundle: pair.certificate,
    },
  });
  t.after(() => server.stop());
  return { dir, tokens, server };
}

describe('token authentication', () => {
  for (const credential of [PASSWORD, { kind: 'identity', token: 'secret-refresh' } as const]) {
    test(`an image is pushed, mounted and pulled with a ${credential.kind}, one token a scope`, async (t) => {
      const { dir, tokens, server } = await tokenWorld(t);
      const store = createContentStore(join(dir, 'a'));
      const made = await image(store);
      const registry = client(t, store, { credentials: as(credential) });
      const ref = `${server.host}/team/app:1`;
      assert.deepEqual(await push(registry, ref, made), [
        'uploaded',
        'uploaded',
        sha256(made.manifest),
      ]);
      assert.deepEqual(
        await registry.pushBlob(`${server.host}/team/other:1`, made.layer, {
          signal,
          from: [`${server.host}/team/app`],
        }),
        ok('mounted'),
      );
      const there = createContentStore(join(dir, 'b'));
      const pulled = client(t, there, { credentials: as(credential) });
      const resolved = await pulled.resolve(ref, { platform, signal });
      assert.deepEqual(resolved.ok && resolved.value.layers, [made.layer]);
      assert.deepEqual(await pulled.pullBlob(ref, made.layer, { signal }), ok(undefined));
      const method = credential.kind === 'password' ? 'GET' : 'POST';
      const asked = (...scopes: string[]): unknown => ({ method, user: 'me', scopes });
      const [app, other] = ['repository:team/app', 'repository:team/other'];
      assert.deepEqual(tokens.seen, [
        asked(`${app}:pull,push`),
        asked(`${other}:pull,push`),
        asked(`${app}:pull`, `${other}:pull,push`),
        asked(`${app}:pull`),
      ]);
    });
  }

  test('who is not signed in pulls what is public and pushes nothing new', async (t) => {
    const { dir, server } = await tokenWorld(t);
    const store = createContentStore(join(dir, 'a'));
    const made = await image(store);
    const ref = `${server.host}/public/app:1`;
    await push(client(t, store, { credentials: as(PASSWORD) }), ref, made);
    const there = client(t, createContentStore(join(dir, 'b')));
    const pulled = await there.resolve(ref, { platform, signal });
    assert.deepEqual(pulled.ok && pulled.value.layers, [made.layer]);
    const other = await image(createContentStore(join(dir, 'b')));
    assert.deepEqual(await push(there, ref, other), ['RG002', 'RG002', 'RG002']);
    const hidden = await there.manifest(`${server.host}/team/app:1`, { signal });
    assert.equal(hidden.ok ? '' : hidden.error.code, 'RG002');
  });

  test('a wrong password is refused by the token server, and is in no message', async (t) => {
    const { dir, tokens, server } = await tokenWorld(t);
    const wrong: Credential = { kind: 'password', username: 'me', password: 'not-the-word' };
    const registry = client(t, createContentStore(dir), { credentials: as(wrong) });
    const got = await registry.manifest(`${server.host}/team/app:1`, { signal });
    assert.deepEqual(got, {
      ok: false,
      error: {
        code: 'RG002',
        exit: 3,
        message: `GET ${tokens.realm}: the registry answers 401`,
        help: 'sign in to the registry (`docker login`), or check the name of the image',
      },
    });
  });

  test('a token is asked for again when its life is over', async (t) => {
    const { dir, tokens, server } = await tokenWorld(t, 10);
    const store = createContentStore(join(dir, 'a'));
    const made = await image(store);
    let now = 0;
    const registry = client(t, store, {
      credentials: as(PASSWORD),
      clock: { now: () => now },
    });
    const ref = `${server.host}/team/app:1`;
    await push(registry, ref, made);
    assert.equal(tokens.seen.length, 1);
    now = 8_999;
    await registry.pushBlob(ref, made.layer, { signal });
    assert.equal(tokens.seen.length, 1);
    now = 9_001;
    assert.deepEqual(await registry.pushBlob(ref, made.layer, { signal }), ok('exists'));
    assert.equal(tokens.seen.length, 2);
  });

  test('a registry over TLS cannot send its users to a token server without', async (t) => {
    const dir = await folder(t);
    const pair = await makeKeyPair(dir, 'registry');
    await using tokens = await startTokenServer(pair);
    const { realm, service, issuer } = tokens;
    await using server = await startRegistry({
      tls: pair,
      token: { realm, service, issuer, bundle: pair.certificate },
    });
    const ca = await readFile(pair.certificate, 'utf8');
    const registry = client(t, createContentStore(dir), {
      credentials: as(PASSWORD),
      hosts: () => ({ ca }),
    });
    const got = await registry.manifest(`${server.host}/app:1`, { signal });
    assert.equal(got.ok ? '' : got.error.code, 'RG007');
    assert.deepEqual(tokens.seen, []);
  });
});

describe('certificates and mirrors', () => {
  test('a certificate is trusted when its authority is named for the host, and only then', async (t) => {
    const dir = await folder(t);
    const pair = await makeKeyPair(dir, 'registry');
    await using server = await startRegistry({ tls: pair });
    const store = createContentStore(join(dir, 'a'));
    const made = await image(store);
    const ref = `${server.host}/app:1`;
    await mkdir(join(dir, 'certs.d', server.host), { recursive: true });
    await writeFile(
      join(dir, 'certs.d', server.host, 'ca.crt'),
      await readFile(pair.certificate, 'utf8'),
    );
    const known = client(t, store, {
      hosts: hostConfigs({ certificateDirs: [join(dir, 'nowhere'), join(dir, 'certs.d')] }),
    });
    assert.deepEqual(await push(known, ref, made), ['uploaded', 'uploaded', sha256(made.manifest)]);
    const stranger = client(t, store, { hosts: () => ({ plainHttp: false }) });
    assert.deepEqual(await push(stranger, ref, made), ['RG009', 'RG009', 'RG009']);
    const careless = client(t, store, { hosts: () => ({ plainHttp: false, skipVerify: true }) });
    assert.deepEqual(await push(careless, ref, made), ['exists', 'exists', sha256(made.manifest)]);
  });

  test('a client certificate without its key is a failure with the path, not a crash', async (t) => {
    const dir = await folder(t);
    await mkdir(join(dir, 'example.com'));
    await writeFile(join(dir, 'example.com', 'client.cert'), '');
    const registry = client(t, createContentStore(join(dir, 'a')), {
      hosts: hostConfigs({ certificateDirs: [dir] }),
    });
    assert.deepEqual(await registry.manifest('example.com/app:1', { signal }), {
      ok: false,
      error: {
        code: 'RG022',
        exit: 3,
        message: `${join(dir, 'example.com/client.cert')} has no client.key beside it`,
      },
    });
  });

  test('mirrors are asked first for manifests and blobs, and the registry for what they lack', async (t) => {
    const dir = await folder(t);
    await using origin = await startRegistry();
    await using copy = await startRegistry();
    const store = createContentStore(join(dir, 'a'));
    const [both, one] = [await image(store), await image(store)];
    const plain = client(t, store);
    await push(plain, `${origin.host}/both:1`, both);
    await push(plain, `${copy.host}/both:1`, both);
    await push(plain, `${origin.host}/one:1`, one);
    await using first = await startFaultyProxy(undefined, () => ({ kind: 'status', status: 404 }));
    await using mirror = await startFaultyProxy(copy.url, () => undefined);
    await using registry = await startFaultyProxy(origin.url, () => undefined);
    const through = client(t, createContentStore(join(dir, 'b')), {
      hosts: hostConfigs({
        certificateDirs: [],
        mirrors: new Map([[registry.host, [first.host, mirror.host]]]),
      }),
    });
    for (const [name, made] of [
      ['both', both],
      ['one', one],
    ] as const) {
      const ref = `${registry.host}/${name}:1`;
      const resolved = await through.resolve(ref, { platform, signal });
      assert.deepEqual(resolved.ok && resolved.value.layers, [made.layer]);
      assert.deepEqual(await through.pullBlob(ref, made.layer, { signal }), ok(undefined));
    }
    const paths = (made: Made, name: string): string[] => [
      `/v2/${name}/manifests/1`,
      `/v2/${name}/blobs/${made.config.digest}`,
      `/v2/${name}/blobs/${made.layer.digest}`,
    ];
    const all = [...paths(both, 'both'), ...paths(one, 'one')];
    assert.deepEqual(
      [first, mirror, registry].map((p) => p.seen.map((r) => r.path)),
      [all, all, paths(one, 'one')],
    );
  });
});

describe('the program and its settings of registries', () => {
  for (const key of ['credHelpers', 'credsStore', 'auths'] as const) {
    test(`varve image pull signs in with ${key} over TLS with the host's certificate`, async (t) => {
      await using rig = new Rig();
      const pair = await makeKeyPair(rig.root, 'registry');
      const htpasswd = join(rig.root, 'htpasswd');
      const { execFileSync } = await import('node:child_process');
      execFileSync('htpasswd', ['-Bbc', '-C', '4', htpasswd, 'me', 'secret-word'], {
        stdio: 'ignore',
      });
      await using server = await startRegistry({ tls: pair, htpasswd });
      const store = createContentStore(join(rig.root, 'from'));
      const made = await image(store);
      const ca = await readFile(pair.certificate, 'utf8');
      const registry = client(t, store, { credentials: as(PASSWORD), hosts: () => ({ ca }) });
      const ref = `${server.host}/app:1`;
      await push(registry, ref, made);
      rig.write(`certs.d/${server.host}/ca.crt`, ca);
      const helper = join(rig.work, 'bin/docker-credential-test');
      rig.write(
        'bin/docker-credential-test',
        `#!/bin/sh
read -r server
echo "$1 $server" >> ${rig.root}/asked
test "$server" = ${server.host} || { echo credentials not found in native keychain; exit 1; }
echo '{"ServerURL":"'$server'","Username":"me","Secret":"secret-word"}'
`,
      );
      await chmod(helper, 0o755);
      const auth = Buffer.from('me:secret-word').toString('base64');
      const config = {
        credHelpers: { credHelpers: { [server.host]: 'test' } },
        credsStore: { credsStore: 'test' },
        auths: { auths: { [server.host]: { auth } } },
      }[key];
      rig.write('docker/config.json', JSON.stringify(config));
      const env = {
        PATH: `${join(rig.work, 'bin')}:${process.env['PATH'] ?? ''}`,
        DOCKER_CONFIG: join(rig.work, 'docker'),
        VARVE_CERTS_DIR: join(rig.work, 'certs.d'),
      };
      assert.deepEqual(await rig.varve(['image', 'pull', '-q', ref], { env }), {
        status: 0,
        stdout: `${sha256(made.manifest)}\n`,
        stderr: '',
      });
      if (key !== 'auths')
        assert.equal(await readFile(join(rig.root, 'asked'), 'utf8'), `get ${server.host}\n`);
      const untrusted = await rig.varve(['image', 'pull', '-q', ref], {
        env: { ...env, VARVE_CERTS_DIR: rig.root },
      });
      assert.equal(untrusted.status, 3);
      const anonymous = await rig.varve(['image', 'pull', '-q', ref], {
        env: { ...env, DOCKER_CONFIG: rig.root },
      });
      assert.equal(anonymous.status, 3);
      assert.match(anonymous.stderr, /^error\[RG002\]: GET https:/);
    });
  }

  test('varve image pull says which helper of credentials is missing', async () => {
    await using rig = new Rig();
    await using proxy = await startFaultyProxy(undefined, () => ({
      kind: 'status',
      status: 401,
      headers: { 'www-authenticate': 'Basic realm="x"' },
    }));
    rig.write('docker/config.json', '{"credsStore":"that-is-not-there"}');
    const run = await rig.varve(['image', 'pull', '-q', `${proxy.host}/app:1`], {
      env: { DOCKER_CONFIG: join(rig.work, 'docker') },
    });
    assert.deepEqual(run, {
      status: 3,
      stdout: '',
      stderr:
        'error[RG021]: credential helper docker-credential-that-is-not-there: no such program\n',
    });
  });
});
