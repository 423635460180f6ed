import { hexOf, packageUrl, parseDigest, redact } from '../base/index.ts';
import type { SourceOp, Vertex } from '../llb/index.ts';
import { type Platform, parseReference } from '../oci/index.ts';
import { LOCK_ATTR, parseLock, TEMPLATE_SCHEME } from '../template/index.ts';
import { imageUrl } from './image-url.ts';
import type { BuildFacts } from './types.ts';

/** Something from outside that took part in a build (SLSA v1 `ResourceDescriptor`, v0.2 material). */
export interface Material {
  readonly uri: string;
  /** By algorithm, in hexadecimal digits. */
  readonly digest: Readonly<Record<string, string>>;
}

/**
 * Images, repositories, downloads and packages that a definition is made of, each once, sorted by address. Directories of
 * this machine are none: they have no address.
 */
export function materials({
  definition,
  sources,
}: Pick<BuildFacts, 'definition' | 'sources'>): readonly Material[] {
  const all = new Map<string, Material>();
  for (const vertex of definition.vertices.values())
    for (const material of materialsOf(vertex, sources.get(vertex.digest)))
      all.set(`${material.uri} ${Object.values(material.digest).join(' ')}`, material);
  return [...all].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, material]) => material);
}

function materialsOf(vertex: Vertex, identity: string | undefined): readonly Material[] {
  const { body, platform } = vertex.op;
  if (body.kind !== 'source') return [];
  const { source } = body;
  const scheme = /^[a-z0-9+.-]+:\/\//.exec(source.identifier)?.[0] ?? '';
  const rest = source.identifier.slice(scheme.length);
  switch (scheme) {
    case 'docker-image://':
    case 'oci-layout://': {
      const type = scheme === 'docker-image://' ? 'docker' : 'oci';
      const of: Platform | undefined =
        platform === undefined
          ? undefined
          : {
              architecture: platform.Architecture,
              os: platform.OS,
              ...(platform.Variant === undefined ? {} : { variant: platform.Variant }),
            };
      return image(type, rest, of, identity);
    }
    case 'git://':
      return [gitMaterial(source, identity ?? '')];
    case 'http://':
    case 'https://':
      return [{ uri: redact(source.identifier), digest: sha256Of(identity) }];
    case TEMPLATE_SCHEME:
      return lockedPackages(source.attrs[LOCK_ATTR] ?? '');
    default:
      return [];
  }
}

function image(
  type: 'docker' | 'oci',
  text: string,
  platform: Platform | undefined,
  identity: string | undefined,
): readonly Material[] {
  const ref = parseReference(text);
  if (!ref.ok) return [];
  return [{ uri: imageUrl(type, ref.value, platform), digest: sha256Of(identity) }];
}

/** A repository of git and the commit that its reference meant. */
export function gitMaterial({ identifier, attrs }: SourceOp, commit: string): Material {
  const hash = identifier.indexOf('#');
  const address =
    attrs['git.fullurl'] ??
    `https://${identifier.slice('git://'.length, hash === -1 ? undefined : hash)}`;
  const fragment = hash === -1 ? '' : identifier.slice(hash);
  return {
    uri: `${redact(address)}${fragment}`,
    digest: commit === '' ? {} : { [commit.length === 64 ? 'sha256' : 'sha1']: commit },
  };
}

/** The packages that a root was made of, with the digests of their files. */
function lockedPackages(text: string): readonly Material[] {
  const lock = parseLock(text);
  if (!lock.ok) return [];
  const { distribution, packages, rpm } = lock.value;
  const type = rpm === undefined ? 'deb' : 'rpm';
  return [...packages, ...(rpm?.tools ?? [])].map((p) => ({
    uri: packageUrl(type, `${distribution}/${p.name}`, p.version, { arch: p.architecture }),
    digest: { sha256: hexOf(p.sha256) },
  }));
}

function sha256Of(identity: string | undefined): Readonly<Record<string, string>> {
  const digest = identity === undefined ? undefined : parseDigest(identity);
  return digest === undefined ? {} : { sha256: hexOf(digest) };
}
