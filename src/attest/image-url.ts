import { packageUrl } from '../base/index.ts';
import { formatPlatform, type Platform, type Reference } from '../oci/index.ts';

/** The package URL of an image, as BuildKit writes it (util/purl): the familiar name, the tag as version. */
export function imageUrl(
  type: 'docker' | 'oci',
  { domain, path, tag, digest }: Reference,
  platform: Platform | undefined,
): string {
  const inner = path.startsWith('library/') ? path.slice('library/'.length) : path;
  const name = domain === 'docker.io' ? inner : `${domain}/${path}`;
  return packageUrl(type, name, tag, {
    // A tag says which image was meant; only without one the digest does.
    digest: tag === undefined ? digest : undefined,
    platform: platform === undefined ? undefined : formatPlatform(platform),
  });
}
