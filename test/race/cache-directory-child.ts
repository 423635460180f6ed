/** Exports a graph of its own to a scope of a shared directory, again and again: `DIR STORE SCOPE NAME ROUNDS`. */
import { ok, sha256 } from '../../src/base/index.ts';
import { createContentStore } from '../../src/content/index.ts';
import {
  CACHE_CONFIG_MEDIA_TYPE,
  cacheConfigText,
  createSharedDirectory,
  DIRECTORY_RULES,
  encodeCacheConfig,
  encodeCacheManifest,
} from '../../src/remotes/index.ts';

const [dir = '', store = '', scope = '', name = '', rounds = '1'] = process.argv.slice(2);
const { signal } = new AbortController();
const content = createContentStore(store);
const layout = createContentStore(dir);

for (let round = 0; round < Number(rounds); round++) {
  const remote = createSharedDirectory({ content, layout, rules: DIRECTORY_RULES }, { dir, scope });
  // A layer that all have, and one of this round.
  const bytes = [Buffer.alloc(200_000, 'shared'), Buffer.alloc(50_000, `${name} ${round}`)];
  const layers = [];
  for (const each of bytes) {
    const digest = await content.put(each);
    const layer = { blob: digest, mediaType: 'm', size: each.length, diffId: sha256(digest) };
    const descriptor = { mediaType: 'm', digest, size: each.length };
    const written = await remote.write(descriptor, {
      signal,
      obtain: () => Promise.resolve(ok(undefined)),
    });
    if (!written.ok) throw new Error(written.error.message);
    layers.push(layer);
  }
  const records = [
    { digest: sha256('base'), inputs: [], results: [] },
    { digest: sha256(`${name} ${round}`), inputs: [[{ record: 0 }]], results: [{ layers }] },
  ];
  const encoded = encodeCacheConfig({ records });
  const text = Buffer.from(cacheConfigText(encoded.config));
  const config = { digest: await content.put(text), size: text.length };
  const stored = await remote.write(
    { mediaType: CACHE_CONFIG_MEDIA_TYPE, ...config },
    { signal, obtain: () => Promise.resolve(ok(undefined)) },
  );
  if (!stored.ok) throw new Error(stored.error.message);
  const manifest = encodeCacheManifest(config, encoded.layers);
  const published = await remote.publish(manifest.bytes, manifest.mediaType, { signal });
  if (!published.ok) throw new Error(published.error.message);
  process.stdout.write(`${name} ${round}\n`);
}
