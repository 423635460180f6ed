import type { GitCommit } from '../ports/index.ts';

/** Whether a text is a whole commit id (SHA-1 or SHA-256). */
export function isCommitId(text: string): boolean {
  return /^(?:[0-9a-f]{40}|[0-9a-f]{64})$/.test(text);
}

/**
 * What a reference means by the answer of `git ls-remote --symref`: a whole name first, then tags before branches, as git
 * itself looks names up (gitrevisions, section on refname). An annotated tag means the commit it points to.
 */
export function findRef(listing: string, ref: string): GitCommit | undefined {
  const ids = new Map<string, string>();
  let head: string | undefined;
  for (const line of listing.split('\n')) {
    const [id = '', name = ''] = line.split('\t');
    if (id.startsWith('ref: ')) {
      if (name === 'HEAD') head = id.slice('ref: '.length);
    } else if (isCommitId(id)) ids.set(name, id);
  }
  const names =
    ref === ''
      ? ['HEAD']
      : [ref, `refs/${ref}`, `refs/tags/${ref}`, `refs/heads/${ref}`, `refs/remotes/${ref}`];
  for (const name of names) {
    const id = ids.get(name);
    if (id === undefined) continue;
    const peeled = ids.get(`${name}^{}`);
    const full = name === 'HEAD' ? (head ?? name) : name;
    return peeled === undefined ? { sha: id, ref: full } : { sha: peeled, tag: id, ref: full };
  }
  return undefined;
}
