import { lstatSync, readdirSync } from 'node:fs';
import { byUtf8, fsPath, isErrno, nameOfBytes } from '../base/index.ts';
import { LocalEntry, type LocalNode } from './entry.ts';
import { Identities } from './identity.ts';
import { type FilterState, type PathFilter, TOP } from './path-filter.ts';

/**
 * The nodes of the tree below `root` that the filter wants, by absolute path in the tree, `/` included, in lexical
 * component order. A directory that is not wanted itself is there when something below it is. Synchronous on purpose: it
 * is four times as fast as the asynchronous calls, and a build can do nothing before it ends.
 */
export function walk(root: string, filter: PathFilter, signal: AbortSignal): WalkedTree {
  const walker = new Walker(root, filter, signal);
  walker.start();
  return walker;
}

/** What a walk found. */
export interface WalkedTree {
  readonly nodes: ReadonlyMap<string, LocalNode>;
  /** States of the files, by the rows that the nodes name. */
  readonly identities: Identities;
}

interface Dir {
  /** Path relative to the root, without a leading slash; empty for the root. */
  readonly path: string;
  readonly parent: Dir | undefined;
  readonly node: LocalNode;
  readonly state: FilterState;
  added: boolean;
}

class Walker implements WalkedTree {
  readonly nodes = new Map<string, LocalNode>();
  readonly identities = new Identities();
  readonly #root: string;
  readonly #filter: PathFilter;
  readonly #signal: AbortSignal;

  constructor(root: string, filter: PathFilter, signal: AbortSignal) {
    this.#root = root;
    this.#filter = filter;
    this.#signal = signal;
  }

  start(): void {
    const node = this.#node('');
    if (node === undefined) return;
    this.nodes.set('/', node);
    this.#enter({ path: '', parent: undefined, node, state: TOP, added: true });
  }

  #enter(dir: Dir): void {
    this.#signal.throwIfAborted();
    for (const name of sortedNames(`${this.#root}/${dir.path}`)) {
      const path = dir.path === '' ? name : `${dir.path}/${name}`;
      const verdict = this.#filter.judge(path, dir.state);
      if (!verdict.wanted && verdict.prune) continue;
      const node = this.#node(path);
      if (node === undefined) continue;
      if (node.entry.type !== 'dir') {
        if (verdict.wanted) this.#addTo(dir, name, node);
        continue;
      }
      const child: Dir = { path, parent: dir, node, state: verdict.state, added: false };
      if (verdict.wanted) this.#add(child);
      if (!verdict.prune) this.#enter(child);
    }
  }

  /** Adds a node, its parents first. */
  #add(dir: Dir): void {
    if (dir.added || dir.parent === undefined) return;
    dir.added = true;
    this.#addTo(dir.parent, dir.path.slice(dir.path.lastIndexOf('/') + 1), dir.node);
  }

  #addTo(parent: Dir, name: string, node: LocalNode): void {
    this.#add(parent);
    parent.node.names.push(name);
    this.nodes.set(parent.path === '' ? `/${name}` : `/${parent.path}/${name}`, node);
  }

  /** Undefined when the entry vanished meanwhile. */
  #node(path: string): LocalNode | undefined {
    const full = path === '' ? this.#root : `${this.#root}/${path}`;
    try {
      const stat = lstatSync(fsPath(full), { bigint: true });
      const entry = new LocalEntry(full, stat);
      const names = entry.type === 'dir' ? [] : NO_NAMES;
      return { entry, identity: this.identities.add(stat), names, digest: undefined };
    } catch (e) {
      if (isErrno(e, 'ENOENT')) return undefined;
      throw e;
    }
  }
}

/** Shared by all that are no directories, and never written to. */
const NO_NAMES: string[] = [];

const SURROGATE = /[\ud800-\udfff]/;

/** Names in byte order. Names that are no UTF-8 are read again as bytes (base/path-text). */
function sortedNames(dir: string): string[] {
  let names = readdirSync(fsPath(dir), 'utf8');
  if (names.some((name) => name.includes('\ufffd')))
    names = readdirSync(fsPath(dir), 'buffer').map(nameOfBytes);
  names.sort();
  // Code unit order is byte order unless there are characters beyond U+FFFF or invalid bytes.
  return names.some((name) => SURROGATE.test(name)) ? names.sort(byUtf8) : names;
}
