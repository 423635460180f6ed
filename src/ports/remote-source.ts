import type { Digest, Result } from '../base/index.ts';
import type { TransferProgress } from './registry.ts';

/** What a server said about a file it sent, so that it can be asked whether the file changed (RFC 9110, section 13). */
export interface HttpValidators {
  readonly etag?: string;
  readonly lastModified?: string;
}

/** The answer to a download. */
export type HttpDownload =
  /** The file is the one the validators belong to; nothing was sent. */
  | { readonly kind: 'unchanged' }
  /** The file is a blob of the content store now. */
  | ({
      readonly kind: 'fetched';
      readonly digest: Digest;
      readonly size: number;
      /** Name the server proposes (Content-Disposition). */
      readonly filename?: string;
    } & HttpValidators);

/** Files at addresses. */
export interface HttpFiles {
  /** Downloads into the content store, with redirects and retries; `validators` make the request conditional. */
  fetch(
    url: string,
    options: {
      readonly signal: AbortSignal;
      readonly validators?: HttpValidators;
      /** A whole `Authorization` header; it goes to no other host. */
      readonly authorization?: string;
      readonly progress?: TransferProgress;
    },
  ): Promise<Result<HttpDownload>>;
}

/** A git repository and how to enter it. */
export interface GitRemote {
  readonly url: string;
  /** An `Authorization` header for HTTP. */
  readonly authorization?: string;
  /** Socket of an SSH agent. */
  readonly agent?: string;
  /** Lines of `known_hosts`; without them the host's key is not checked. */
  readonly knownHosts?: string;
}

/** A commit that a reference means. */
export interface GitCommit {
  /** Hexadecimal id of the commit. */
  readonly sha: string;
  /** Id of the tag object, for an annotated tag. */
  readonly tag?: string;
  /** The whole name of the reference, or the commit's id when that was asked for. */
  readonly ref: string;
}

/** What of a commit is wanted, and how. */
export interface GitCheckout {
  readonly commit: GitCommit;
  /** Relative path of the directory that becomes the root; empty: all. */
  readonly subdir: string;
  readonly keepGitDir: boolean;
  readonly submodules: boolean;
}

/** Repositories of git. */
export interface GitRepositories {
  /** Asks the server which commit a reference (empty: its HEAD) means now; a whole commit id is not asked for. */
  resolve(
    remote: GitRemote,
    ref: string,
    options: { readonly signal: AbortSignal },
  ): Promise<Result<GitCommit>>;
  /**
   * Fetches one commit, unless it is here, and writes its files into the existing empty directory `dir`: owner 0:0, modes
   * 0644, 0755, times of the commit.
   */
  checkout(
    remote: GitRemote,
    what: GitCheckout,
    to: { readonly dir: string; readonly signal: AbortSignal },
  ): Promise<Result<void>>;
}
