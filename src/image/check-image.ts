import { type Digest, err, type Failure, failure, ok, type Result } from '../base/index.ts';
import {
  type Descriptor,
  decodeImageConfig,
  decodeNamed,
  isIndexType,
  isManifestType,
  MAX_CONFIG_BYTES,
  MAX_INDEX_NESTING,
  MAX_MANIFEST_BYTES,
  type Manifest,
  MEDIA,
} from '../oci/index.ts';
import type { ContentStore } from '../ports/index.ts';

/**
 * Whether an image that came from an archive is what its descriptors say: documents of the kind and size that name them,
 * no index within an index without end, every blob of each manifest here, and as many layers as the configuration has.
 * Of an index some manifests may be missing (an archive of one platform), but not all.
 */
export async function checkImage(content: ContentStore, top: Descriptor): Promise<Result<void>> {
  const seen = new Set<Digest>();
  const found = { manifests: 0 };
  const visit = async (named: Descriptor, depth: number): Promise<Result<void>> => {
    if (seen.has(named.digest)) return ok(undefined);
    seen.add(named.digest);
    const size = await content.size(named.digest);
    if (size === undefined && depth > 0) return ok(undefined);
    if (size !== named.size) return err(lacks(named));
    // Attestations and artifacts of other kinds are blobs to this program.
    if (!isIndexType(named.mediaType) && !isManifestType(named.mediaType)) return ok(undefined);
    const bytes = await content.read(named.digest, { maxBytes: MAX_MANIFEST_BYTES });
    if (!bytes.ok) return bytes;
    const decoded = decodeNamed(bytes.value, named.digest, named);
    if (!decoded.ok) return decoded;
    const { value } = decoded;
    if (value.kind === 'manifest') {
      found.manifests++;
      return await checkManifest(content, value.manifest, named.digest);
    }
    if (depth > MAX_INDEX_NESTING) return err(tooDeep(named.digest));
    for (const child of value.index.manifests) {
      const below = await visit(child, depth + 1);
      if (!below.ok) return below;
    }
    return ok(undefined);
  };
  const checked = await visit(top, 0);
  if (!checked.ok || found.manifests > 0) return checked;
  return err(
    failure('EX032', 3, `the archive has no manifest of ${top.digest}, which its index names`),
  );
}

async function checkManifest(
  content: ContentStore,
  manifest: Manifest,
  what: string,
): Promise<Result<void>> {
  const { config, layers } = manifest;
  for (const blob of [config, ...layers])
    if ((await content.size(blob.digest)) !== blob.size) return err(lacks(blob));
  // Artifacts have configurations of their own.
  if (config.mediaType !== MEDIA.ociConfig && config.mediaType !== MEDIA.dockerConfig)
    return ok(undefined);
  const raw = await content.read(config.digest, { maxBytes: MAX_CONFIG_BYTES });
  if (!raw.ok) return raw;
  const decoded = decodeImageConfig(raw.value, what);
  if (!decoded.ok) return decoded;
  const { length } = decoded.value.diffIds;
  return length === layers.length
    ? ok(undefined)
    : err(
        failure(
          'RG012',
          3,
          `${what}: its manifest has ${layers.length} layers, its configuration ${length}`,
        ),
      );
}

const lacks = ({ digest, size }: Descriptor): Failure =>
  failure('EX032', 3, `the archive lacks ${digest} of ${size} bytes, which it names`);

const tooDeep = (digest: Digest): Failure =>
  failure('RG010', 3, `${digest}: indexes are nested deeper than ${MAX_INDEX_NESTING}`);
