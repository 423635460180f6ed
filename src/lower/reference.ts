import { err, ok, type Result } from '../base/index.ts';

/** An image reference taken apart (distribution/reference, normalised names). */
export interface ImageReference {
  /** Domain and path, `docker.io/library/` filled in. */
  readonly name: string;
  readonly tag?: string;
  readonly digest?: string;
}

const HOST = '(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])';
const DOMAIN = `(?:${HOST}(?:\\.${HOST})*|\\[(?:[a-fA-F0-9:]+)\\])(?::[0-9]+)?`;
const PART = '[a-z0-9]+(?:(?:[.]|_|__|[-]+)[a-z0-9]+)*';
const NAME = `(?:${DOMAIN}/)?${PART}(?:/${PART})*`;
const REFERENCE = new RegExp(
  `^(${NAME})(?::([A-Za-z0-9_][A-Za-z0-9_.-]{0,127}))?(?:@([A-Za-z][A-Za-z0-9]*(?:[-_+.][A-Za-z][A-Za-z0-9]*)*[:][0-9a-fA-F]{32,}))?$`,
);

/** Parses an image reference as people write it; the error is the library's text. */
export function parseReference(text: string): Result<ImageReference, string> {
  if (/^[a-f0-9]{64}$/.test(text))
    return err(`invalid repository name (${text}), cannot specify 64-byte hexadecimal strings`);
  const [domain, remainder] = splitDomain(text);
  const colon = remainder.indexOf(':');
  const remote = colon === -1 ? remainder : remainder.slice(0, colon);
  if (remote.toLowerCase() !== remote)
    return err(`invalid reference format: repository name (${remote}) must be lowercase`);
  const match = REFERENCE.exec(`${domain}/${remainder}`);
  if (match === null) return err('invalid reference format');
  const [, name = '', tag, digest] = match;
  return ok({
    name,
    ...(tag === undefined ? {} : { tag }),
    ...(digest === undefined ? {} : { digest }),
  });
}

function splitDomain(name: string): readonly [string, string] {
  const slash = name.indexOf('/');
  const head = slash === -1 ? '' : name.slice(0, slash);
  const isDomain = /[.:]/.test(head) || head === 'localhost' || head.toLowerCase() !== head;
  const written = slash !== -1 && isDomain ? head : 'docker.io';
  const rest = slash !== -1 && isDomain ? name.slice(slash + 1) : name;
  const domain = written === 'index.docker.io' ? 'docker.io' : written;
  return [domain, domain === 'docker.io' && !rest.includes('/') ? `library/${rest}` : rest];
}

/** A reference as text; `latest` stands in where neither tag nor digest is given. */
export function formatReference(ref: ImageReference): string {
  const tag = ref.tag ?? (ref.digest === undefined ? 'latest' : undefined);
  return `${ref.name}${tag === undefined ? '' : `:${tag}`}${ref.digest === undefined ? '' : `@${ref.digest}`}`;
}

/** The short form a person would write: without `docker.io/library/` and `:latest`; the key of named contexts. */
export function familiarName(ref: ImageReference): string {
  const full = formatReference(ref).replace(/^docker\.io\/(library\/)?/, '');
  return full.replace(/:latest$/, '');
}
