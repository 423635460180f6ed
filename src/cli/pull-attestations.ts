import { err, failure, ok, type Result } from '../base/index.ts';
import { ATTESTATION } from '../image/index.ts';
import {
  type Descriptor,
  decodeManifest,
  decodeNamed,
  isIndexType,
  MAX_CONFIG_BYTES,
  MAX_MANIFEST_BYTES,
  parseReference,
  REFERENCE_DIGEST,
  REFERENCE_TYPE,
  repositoryOf,
} from '../oci/index.ts';
import type { ContentStore, Lease, Registry } from '../ports/index.ts';

/** Statements are documents: a list of many thousand packages has a few MB. */
const MAX_STATEMENT_BYTES = 16 * MAX_CONFIG_BYTES;

const NOT_FOUND = 'RG003';

/** What fetching statements needs. */
export interface PullDeps {
  readonly content: ContentStore;
  readonly registry: Registry;
  readonly lease: Lease;
  readonly signal: AbortSignal;
}

/** Fetches what an index says of one of its images, so that the image can be saved and pushed with it. */
export async function pullAttestations(
  { content, registry, lease, signal }: PullDeps,
  name: string,
  image: { readonly top: Descriptor; readonly manifest: Descriptor },
): Promise<Result<void>> {
  if (!isIndexType(image.top.mediaType)) return ok(undefined);
  const bytes = await content.read(image.top.digest, { maxBytes: MAX_MANIFEST_BYTES });
  if (!bytes.ok) return bytes;
  const index = decodeManifest(bytes.value, name, image.top.mediaType);
  if (!index.ok) return index;
  const ref = parseReference(name);
  if (!ref.ok) return err(failure('RG005', 2, `${JSON.stringify(name)}: ${ref.error}`));
  const repository = repositoryOf(ref.value);
  for (const child of index.value.kind === 'index' ? index.value.index.manifests : []) {
    const { annotations } = child;
    if (annotations?.[REFERENCE_TYPE] !== ATTESTATION) continue;
    if (annotations[REFERENCE_DIGEST] !== image.manifest.digest) continue;
    lease.add(`blob:${child.digest}`);
    const fetched = await registry.manifest(`${repository}@${child.digest}`, { signal });
    // An image is as good without it: registries lose what no tag names.
    if (!fetched.ok && fetched.error.code === NOT_FOUND) continue;
    if (!fetched.ok) return fetched;
    const decoded = decodeNamed(fetched.value.bytes, name, child);
    if (!decoded.ok) return decoded;
    if (decoded.value.kind !== 'manifest') continue;
    const { config, layers } = decoded.value.manifest;
    for (const blob of [config, ...layers]) {
      if (blob.size > MAX_STATEMENT_BYTES)
        return err(
          failure(
            'RG011',
            3,
            `${name}: what is said of the image has ${blob.size} bytes, the limit is ${MAX_STATEMENT_BYTES}`,
          ),
        );
      lease.add(`blob:${blob.digest}`);
      const pulled = await registry.pullBlob(name, blob, { signal });
      if (!pulled.ok) return pulled;
    }
    // Last: a manifest that is here has everything that it names.
    await content.put(fetched.value.bytes);
  }
  return ok(undefined);
}
