import assert from 'node:assert/strict';
import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { type Digest, sha256 } from '../../../src/base/index.ts';
import {
  type CacheGraph,
  readSigningKey,
  readTrustedKey,
  refuseUnsigned,
  type SigningKey,
  signCache,
  type TrustedKey,
} from '../../../src/remotes/index.ts';

const GRAPH: CacheGraph = {
  records: [
    { digest: sha256('image'), inputs: [], results: [] },
    {
      digest: sha256('step'),
      inputs: [[{ record: 0, selector: sha256('/') }]],
      results: [
        {
          layers: [{ blob: sha256('b'), mediaType: 'm', size: 3, diffId: sha256('d') }],
          createdAt: '2026-01-01T00:00:00Z',
        },
      ],
    },
  ],
  attachments: [{ mediaType: 'i', digest: sha256('index'), size: 1 }],
};

/** A pair of keys as their files give them. */
async function keys(
  dir: string,
  pair: { readonly privateKey: KeyObject; readonly publicKey: KeyObject },
  scopes?: readonly string[],
): Promise<{ readonly signing: SigningKey; readonly trusted: TrustedKey }> {
  const [secret, open] = [join(dir, 'key'), join(dir, 'pub')];
  writeFileSync(secret, pair.privateKey.export({ type: 'pkcs8', format: 'pem' }));
  writeFileSync(open, pair.publicKey.export({ type: 'spki', format: 'pem' }));
  const [signing, trusted] = [await readSigningKey(secret), await readTrustedKey(open, scopes)];
  assert.ok(signing.ok && trusted.ok);
  assert.equal(signing.value.id, trusted.value.id);
  return { signing: signing.value, trusted: trusted.value };
}

async function withDir(work: (dir: string) => Promise<void>): Promise<void> {
  const dir = mkdtempSync(join(tmpdir(), 'varve-sign-'));
  try {
    await work(dir);
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}

const NOW = Date.UTC(2026, 0, 2);
const UNTIL = NOW + 1000;

test('a signature holds for what was signed, its scope, its key and its time only', async () => {
  await withDir(async (dir) => {
    for (const pair of [
      generateKeyPairSync('ed25519'),
      generateKeyPairSync('ec', { namedCurve: 'P-256' }),
    ]) {
      const { signing, trusted } = await keys(dir, pair, ['main', 'release/*']);
      const other = await keys(dir, generateKeyPairSync('ed25519'));
      const sign = (scope: string, key = signing): string =>
        signCache(GRAPH, key, { scope, now: NOW, until: UNTIL });
      const refuse = (
        text: string | undefined,
        want: { scope?: string; keys?: TrustedKey[]; now?: number; graph?: CacheGraph } = {},
      ): string | undefined => {
        const { graph = GRAPH, ...rest } = want;
        const wanted = { scope: 'main', keys: [other.trusted, trusted], now: NOW, ...rest };
        return refuseUnsigned(graph, text, wanted)?.message.replace(/sha256:\w+/g, 'KEY');
      };
      const good = sign('main');
      const [root, step] = GRAPH.records;
      assert.ok(root && step);
      const [result] = step.results;
      const [layer] = result?.layers ?? [];
      assert.ok(layer);
      const size = (bytes: number): CacheGraph => ({
        ...GRAPH,
        records: [root, { ...step, results: [{ layers: [{ ...layer, size: bytes }] }] }],
      });
      const link = { ...step, inputs: [[{ record: 0 }]] };
      assert.deepEqual(
        {
          good: refuse(good),
          again: refuse(sign('release/2'), { scope: 'release/2' }),
          unsigned: refuse(undefined),
          malformed: refuse('{}'),
          'a layer changed': refuse(good, { graph: size(4) }),
          'a link changed': refuse(good, { graph: { ...GRAPH, records: [root, link] } }),
          'an index left out': refuse(good, { graph: { records: GRAPH.records } }),
          'a record left out': refuse(good, { graph: { ...GRAPH, records: [root] } }),
          'of another scope': refuse(sign('pull/1'), { scope: 'main' }),
          'a scope that is not the key’s': refuse(sign('pull/1'), { scope: 'pull/1' }),
          'by a stranger': refuse(sign('main', other.signing), { keys: [trusted] }),
          'in the name of another key': refuse(
            sign('main', other.signing).replace(other.signing.id, signing.id),
          ),
          'a scope put in': refuse(sign('pull/1').replace('pull/1', 'main')),
          late: refuse(good, { now: UNTIL }),
        },
        {
          good: undefined,
          again: undefined,
          unsigned: 'it is not signed',
          malformed: 'its signature is malformed',
          'a layer changed': 'it was altered after it was signed',
          'a link changed': 'it was altered after it was signed',
          'an index left out': 'it was altered after it was signed',
          'a record left out': 'it was altered after it was signed',
          'of another scope': 'it was signed for "pull/1", not for "main"',
          'a scope that is not the key’s': 'its key KEY may not sign for "pull/1"',
          'by a stranger': 'its key KEY is not among the required ones',
          'in the name of another key': 'its signature is false',
          'a scope put in': 'its signature is false',
          late: 'its signature expired at 2026-01-02T00:00:01.000Z',
        },
      );
    }
  });
});

test('files that hold no usable key are refused without a word of what is in them', async () => {
  await withDir(async (dir) => {
    const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 });
    const ed = generateKeyPairSync('ed25519');
    const file = (name: string, text: string | Buffer): string => {
      writeFileSync(join(dir, name), text);
      return join(dir, name);
    };
    const locked = ed.privateKey.export({
      ...{ type: 'pkcs8', format: 'pem', cipher: 'aes-256-cbc', passphrase: 'x' },
    });
    const results = [
      await readSigningKey(join(dir, 'absent')),
      await readSigningKey(file('text', 'no key')),
      await readSigningKey(file('rsa', rsa.privateKey.export({ type: 'pkcs8', format: 'pem' }))),
      await readSigningKey(file('locked', locked)),
      await readSigningKey(file('public', ed.publicKey.export({ type: 'spki', format: 'pem' }))),
      await readTrustedKey(
        file('private', ed.privateKey.export({ type: 'pkcs8', format: 'pem' })),
        undefined,
      ),
    ].map((read) => (read.ok ? read.value.id : `${read.error.code} ${read.error.message}`));
    const bad = 'holds no Ed25519 or ECDSA private key in PEM without a passphrase';
    assert.deepEqual(
      results.map((text: Digest | string) => text.replace(`${dir}/`, '')),
      [
        'RC031 absent cannot be read (ENOENT)',
        `RC031 text ${bad}`,
        `RC031 rsa ${bad}`,
        `RC031 locked ${bad}`,
        `RC031 public ${bad}`,
        'RC031 private holds no Ed25519 or ECDSA public key in PEM',
      ],
    );
  });
});
