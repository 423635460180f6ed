/** Stores a manifest that refers to another one: `referrer-child.ts STORE REFERENCE SUBJECT NAME`. */
import { type Digest, FailureError } from '../../src/base/index.ts';
import { createContentStore } from '../../src/content/index.ts';
import { createRegistry } from '../../src/registry/index.ts';

const [store = '', reference = '', subject = '', name = ''] = process.argv.slice(2);
const clock = { now: () => performance.timeOrigin + performance.now() };
await using registry = createRegistry({
  content: createContentStore(store),
  clock,
  retry: { firstPauseMs: 300 },
});
const referrer = {
  bytes: Buffer.from(`{"schemaVersion":2,"note":"${name}"}`),
  mediaType: 'application/vnd.oci.image.manifest.v1+json',
  artifactType: `example/${name}`,
  // As the test wrote it.
  subject: subject as Digest,
};
const { signal } = new AbortController();
const stored = await registry.pushReferrer(reference, referrer, { signal });
if (!stored.ok) throw new FailureError(stored.error);
