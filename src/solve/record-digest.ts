import { type Digest, sha256 } from '../base/index.ts';

/** Output number that stands for "content" in the digests of content keys. */
const CONTENT = -1;

/** Digest of the cache record of one output of an op (BuildKit solver/cachemanager.go): SHA-256 of `<op digest>@<output>`. */
export function recordDigest(op: Digest, output: number): Digest {
  return sha256(`${op}@${output}`);
}

/** Digest of the root record of a content key. */
export function contentRecordDigest(content: Digest): Digest {
  return recordDigest(content, CONTENT);
}
