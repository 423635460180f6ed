export { sweepTemporaries, writeAll, writeAllSync, writeAtomically } from './atomic-file.ts';
export { awaitAll } from './await-all.ts';
export { bytesText, formatBytes, formatSize } from './byte-text.ts';
export { type Digest, digestOfBytes, digestOfHex, hexOf, parseDigest, sha256 } from './digest.ts';
export { diskFailure, isDiskFailure } from './disk-failure.ts';
export { isErrno } from './errno.ts';
export { coveredFailure, renderFailure, type Severity } from './excerpt.ts';
export {
  type Failure,
  FailureError,
  type FailureExit,
  type FailurePlace,
  failure,
} from './failure.ts';
export { type GoJson, goJson, goString } from './go-json.ts';
export { Inflight } from './inflight.ts';
export { INODE_TYPES, type InodeType } from './inode-types.ts';
export { isRecord, parseJson } from './json.ts';
export { linesOf } from './lines-of.ts';
export { makeDirectory, makeImageDirectory } from './make-directory.ts';
export { noteUse } from './note-use.ts';
export { byCodeUnit, byUtf8 } from './order.ts';
export { packageUrl } from './package-url.ts';
export { bytesOfName, fsPath, nameOfBytes } from './path-text.ts';
export { neutralise, terminalJson } from './plain-text.ts';
export {
  formatPlatformParts,
  normaliseArchitecture,
  normalisePlatformParts,
  type PlatformParts,
  parsePlatformParts,
} from './platform.ts';
export { livenessOf, ownIdentity, type ProcessIdentity } from './process-identity.ts';
export { readIfThere } from './read-if-there.ts';
export {
  coveredCredentials,
  proxyWithoutCredentials,
  redact,
  withoutCredentials,
} from './redact.ts';
export { err, ok, type Result, unreachable } from './result.ts';
export { resolveInRoot } from './rooted-path.ts';
export { Secret } from './secret.ts';
export { Semaphore } from './semaphore.ts';
export {
  codePoints,
  type Position,
  positionAt,
  type SourceFile,
  type Span,
  spanOf,
} from './source.ts';
export { didYouMean, editDistance } from './suggest.ts';
export { TempDir } from './temp-dir.ts';
export { isAbandoned, removeAbandoned, temporaryName } from './temporary-name.ts';
export { type BlobSource, soundBlob, wholeBlob } from './whole-blob.ts';
