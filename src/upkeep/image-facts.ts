import type { Digest } from '../base/index.ts';
import {
  type Descriptor,
  decodeImageConfig,
  decodeManifest,
  familiarReference,
  MAX_CONFIG_BYTES,
  MAX_MANIFEST_BYTES,
  parseReference,
} from '../oci/index.ts';
import type { ImageRow } from '../ports/index.ts';
import type { UpkeepDeps } from './deps.ts';

/** A stored image and every blob it names. */
export interface ImageFact {
  readonly row: ImageRow;
  readonly familiar: string;
  /** Blobs by digest, with what each is. */
  readonly blobs: ReadonlyMap<Digest, 'index' | 'manifest' | 'configuration' | 'layer'>;
  readonly diffIds: ReadonlySet<Digest>;
  /** Manifests and configurations that are missing or damaged. */
  readonly missing: readonly Digest[];
}

/** Reads the manifests of all stored images; what is not here (platforms that were not pulled) is passed over. */
export async function imageFacts(
  deps: Pick<UpkeepDeps, 'images' | 'content'>,
): Promise<readonly ImageFact[]> {
  const facts: ImageFact[] = [];
  for (const row of deps.images.list()) facts.push(await imageFact(deps, row));
  return facts;
}

async function imageFact(
  { content }: Pick<UpkeepDeps, 'content'>,
  row: ImageRow,
): Promise<ImageFact> {
  const blobs = new Map<Digest, 'index' | 'manifest' | 'configuration' | 'layer'>();
  const diffIds = new Set<Digest>();
  const missing: Digest[] = [];
  // An index may name one document again and again, and that one others: each is read once.
  const seen = new Set<Digest>();
  const visit = async (target: Descriptor, top: boolean): Promise<void> => {
    if (seen.has(target.digest)) return;
    seen.add(target.digest);
    if (!top && (await content.size(target.digest)) === undefined) return;
    blobs.set(target.digest, 'manifest');
    const bytes = await content.read(target.digest, { maxBytes: MAX_MANIFEST_BYTES });
    const decoded = bytes.ok ? decodeManifest(bytes.value, row.name, target.mediaType) : bytes;
    if (!decoded.ok) {
      missing.push(target.digest);
      return;
    }
    if (decoded.value.kind === 'index') {
      blobs.set(target.digest, 'index');
      for (const child of decoded.value.index.manifests) await visit(child, false);
      return;
    }
    const { manifest } = decoded.value;
    for (const layer of manifest.layers) blobs.set(layer.digest, 'layer');
    blobs.set(manifest.config.digest, 'configuration');
    const raw = await content.read(manifest.config.digest, { maxBytes: MAX_CONFIG_BYTES });
    const config = raw.ok ? decodeImageConfig(raw.value, row.name) : raw;
    // The configuration of an attestation has no layers' digests.
    if (config.ok) for (const diffId of config.value.diffIds) diffIds.add(diffId);
    else if (!raw.ok) missing.push(manifest.config.digest);
  };
  await visit(row.target, true);
  const parsed = parseReference(row.name);
  const familiar = parsed.ok ? familiarReference(parsed.value) : row.name;
  return { row, familiar, blobs, diffIds, missing };
}
