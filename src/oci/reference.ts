import { type Digest, err, ok, parseDigest, type Result } from '../base/index.ts';

/** A normalised image reference. */
export interface Reference {
  /** `docker.io`, `localhost:5000`. */
  readonly domain: string;
  /** Repository below the domain: `library/alpine`. */
  readonly path: string;
  readonly tag?: string;
  readonly digest?: Digest;
}

const ALNUM = '[a-z0-9]+';
const PATH_COMPONENT = `${ALNUM}(?:(?:[._]|__|[-]+)${ALNUM})*`;
const PATH = `${PATH_COMPONENT}(?:/${PATH_COMPONENT})*`;
const DOMAIN_COMPONENT = '(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])';
const HOST = `(?:${DOMAIN_COMPONENT}(?:\\.${DOMAIN_COMPONENT})*|\\[[a-fA-F0-9:]+\\])`;
const DOMAIN = new RegExp(`^${HOST}(?::[0-9]+)?$`);
const NAME = new RegExp(`^${PATH}$`);
const TAG = /^[A-Za-z0-9_][A-Za-z0-9_.-]*$/;
const MAX_TAG = 128; // characters
const DIGEST = /^[A-Za-z][A-Za-z0-9]*(?:[-_+.][A-Za-z][A-Za-z0-9]*)*:[0-9a-fA-F]+$/;
const MIN_HEX = 32;
const IDENTIFIER = /^[a-f0-9]{64}$/;

/** Longest repository name the distribution reference grammar allows. */
const MAX_NAME = 255;
/** Nothing that can be a reference is longer: a name, a tag and a digest. */
const MAX_TEXT = 1024;

/**
 * Parses what people write (`alpine`, `me/app:1`, `localhost:5000/x@sha256:...`) into its normal form; the errors are the
 * texts of the distribution reference library (`ParseNormalizedNamed`).
 */
export function parseReference(text: string): Result<Reference, string> {
  if (text.length === 64 && IDENTIFIER.test(text)) {
    return err(`invalid repository name (${text}), cannot specify 64-byte hexadecimal strings`);
  }
  const { domain, rest } = splitDomain(text);
  const colon = rest.indexOf(':');
  const remote = colon === -1 ? rest : rest.slice(0, colon);
  if (remote.toLowerCase() !== remote) {
    return err(`invalid reference format: repository name (${remote}) must be lowercase`);
  }
  const full = `${domain}/${rest}`;
  const parts = full.length > MAX_TEXT ? undefined : readParts(full);
  if (parts === undefined) {
    return err(
      full.length <= MAX_TEXT && isReference(full.toLowerCase())
        ? 'repository name must be lowercase'
        : 'invalid reference format',
    );
  }
  const { path, tag } = parts;
  if (path.length > MAX_NAME) {
    return err(`repository name must not be more than ${MAX_NAME} characters`);
  }
  const digest = parts.digest === undefined ? ok(undefined) : checkDigest(parts.digest);
  if (!digest.ok) return digest;
  return ok({
    domain: parts.domain,
    path,
    ...(tag === undefined ? {} : { tag }),
    ...(digest.value === undefined ? {} : { digest: digest.value }),
  });
}

interface Parts {
  readonly path: string;
  readonly tag: string | undefined;
  readonly digest: string | undefined;
}

/** The parts of `domain/path[:tag][@digest]`; undefined when one of them is not what it should be. */
function readParts(full: string): (Parts & { readonly domain: string }) | undefined {
  const slash = full.indexOf('/');
  const domain = full.slice(0, slash);
  const parts = slash === -1 || !DOMAIN.test(domain) ? undefined : readPath(full.slice(slash + 1));
  return parts === undefined ? undefined : { domain, ...parts };
}

/** Neither a path nor a tag holds `@` or `:`, so the first of each ends what is in front of it. */
function readPath(text: string): Parts | undefined {
  const at = text.indexOf('@');
  const digest = at === -1 ? undefined : text.slice(at + 1);
  const named = at === -1 ? text : text.slice(0, at);
  const colon = named.indexOf(':');
  const tag = colon === -1 ? undefined : named.slice(colon + 1);
  const path = colon === -1 ? named : named.slice(0, colon);
  if (!NAME.test(path)) return undefined;
  if (tag !== undefined && (tag.length > MAX_TAG || !TAG.test(tag))) return undefined;
  if (digest !== undefined && !isDigest(digest)) return undefined;
  return { path, tag, digest };
}

const isDigest = (text: string): boolean =>
  parseDigest(text) !== undefined ||
  (DIGEST.test(text) && text.length - text.indexOf(':') - 1 >= MIN_HEX);

/** Whether a text follows the grammar of references, in which the domain may be missing. */
const isReference = (text: string): boolean =>
  readParts(text) !== undefined || readPath(text) !== undefined;

/** Adds the tag `latest` to a reference that has neither tag nor digest. */
export function withDefaultTag(ref: Reference): Reference {
  return ref.tag === undefined && ref.digest === undefined ? { ...ref, tag: 'latest' } : ref;
}

/** The full text: `docker.io/library/alpine:3@sha256:...`. */
export function formatReference(ref: Reference): string {
  const tag = ref.tag === undefined ? '' : `:${ref.tag}`;
  const digest = ref.digest === undefined ? '' : `@${ref.digest}`;
  return `${repositoryOf(ref)}${tag}${digest}`;
}

/** Domain and path: `docker.io/library/alpine`. */
export function repositoryOf(ref: Reference): string {
  return `${ref.domain}/${ref.path}`;
}

/** Parses, adds the default tag, and writes the normal form. */
export function normaliseReference(text: string): Result<string, string> {
  const ref = parseReference(text);
  return ref.ok ? ok(formatReference(withDefaultTag(ref.value))) : ref;
}

/** The short form that Docker shows: without `docker.io/` and `library/`. */
export function familiarReference(ref: Reference): string {
  const text = formatReference(ref);
  if (ref.domain !== 'docker.io') return text;
  const short = text.slice('docker.io/'.length);
  const rest = short.startsWith('library/') ? short.slice('library/'.length) : undefined;
  return rest === undefined || rest.includes('/') ? short : rest;
}

function splitDomain(name: string): { readonly domain: string; readonly rest: string } {
  const slash = name.indexOf('/');
  if (slash === -1) return { domain: 'docker.io', rest: `library/${name}` };
  const first = name.slice(0, slash);
  const after = name.slice(slash + 1);
  const isDomain = first === 'localhost' || /[.:]/.test(first) || first.toLowerCase() !== first;
  const domain = !isDomain || first === 'index.docker.io' ? 'docker.io' : first;
  const rest = isDomain ? after : name;
  const official = domain === 'docker.io' && !rest.includes('/');
  return { domain, rest: official ? `library/${rest}` : rest };
}

const HEX_LENGTH: Readonly<Record<string, number>> = { sha256: 64, sha384: 96, sha512: 128 };

function checkDigest(text: string): Result<Digest, string> {
  const colon = text.indexOf(':');
  const hex = text.slice(colon + 1);
  const length = HEX_LENGTH[text.slice(0, colon)];
  if (length === undefined) return err('unsupported digest algorithm');
  if (hex.length !== length) return err('invalid checksum digest length');
  if (!/^[0-9a-f]+$/.test(hex)) return err('invalid checksum digest format');
  const digest = parseDigest(text);
  return digest === undefined ? err('unsupported digest algorithm') : ok(digest);
}
