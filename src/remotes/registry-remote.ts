import { err, failure, ok, type Result } from '../base/index.ts';
import {
  formatReference,
  parseReference,
  type Reference,
  repositoryOf,
  withDefaultTag,
} from '../oci/index.ts';
import type { CacheRemote, ContentStore, Registry } from '../ports/index.ts';
import { furtherName } from './further-name.ts';

const IMAGE = 'docker-image://';

interface RegistryRemoteDeps {
  readonly registry: Registry;
  readonly content: ContentStore;
}

/** A cache under a name in a registry; `ref` is a normalised reference. */
export function createRegistryRemote(deps: RegistryRemoteDeps, ref: string): Result<CacheRemote> {
  const parsed = parseReference(ref);
  return parsed.ok
    ? ok(remoteAt(deps, withDefaultTag(parsed.value)))
    : err(failure('RG005', 2, `${JSON.stringify(ref)}: ${parsed.error}`));
}

function remoteAt(deps: RegistryRemoteDeps, tagged: Reference): CacheRemote {
  const { registry, content } = deps;
  const name = formatReference(tagged);
  const repository = repositoryOf(tagged);
  return {
    name,
    origin: `${IMAGE}${repository}`,
    manifest: async (options, child) => {
      const where = child === undefined ? name : `${repository}@${child.digest}`;
      const found = await registry.manifest(where, options);
      return found.ok ? ok(found.value.bytes) : found;
    },
    read: async (blob, { signal, maxBytes }) => {
      const pulled = await registry.pullBlob(`${repository}@${blob.digest}`, blob, { signal });
      return pulled.ok ? await content.read(blob.digest, { maxBytes }) : pulled;
    },
    mayHave: () => Promise.resolve(true),
    write: async (blob, { signal, obtain, from, progress }) => {
      const here = (await content.size(blob.digest)) === blob.size;
      const source = from?.startsWith(IMAGE) === true ? from.slice(IMAGE.length) : undefined;
      const options = {
        signal,
        ...(progress === undefined ? {} : { progress }),
        ...(source === undefined ? {} : { from: [source] }),
      };
      if (!here && source?.split('/')[0] === repository.split('/')[0]) {
        // Without the bytes: the same registry may have the blob, or mount it.
        const known = await registry.pushBlob(name, blob, options);
        if (known.ok) return ok(known.value === 'uploaded' ? 'written' : 'exists');
      }
      const ready = here ? ok(undefined) : await obtain();
      if (!ready.ok) return ready;
      const pushed = await registry.pushBlob(name, blob, options);
      return pushed.ok ? ok(pushed.value === 'uploaded' ? 'written' : 'exists') : pushed;
    },
    publish: async (manifest, mediaType, options) => {
      const pushed = await registry.pushManifest(name, manifest, mediaType, options);
      return pushed.ok ? ok(undefined) : pushed;
    },
    named: (further) => {
      const { digest: _pinned, ...place } = tagged;
      return remoteAt(deps, { ...place, tag: furtherName(tagged.tag ?? 'latest', further) });
    },
  };
}
