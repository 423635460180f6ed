import { ok, type Result } from '../base/index.ts';
import type { FileEntry, FileTree } from '../cachekey/index.ts';
import { type MatchState, PatternMatcher } from '../dockerfile/index.ts';
import type { FileActionCopy } from '../llb/index.ts';
import { makeDirs } from './file-dirs.ts';
import { fileError, fileFailure } from './file-error.ts';
import type { EntryMetadata, FileLayer } from './file-layer.ts';
import { type ModeChange, parseModeChange } from './file-mode.ts';
import type { Owner } from './file-owner.ts';
import { baseName, child, cleanKeepingEnd, cleanPath, resolveSource } from './file-paths.ts';
import type { Pause } from './file-pause.ts';

/** One source of a copy action and where it goes. */
export interface CopyRequest {
  readonly source: FileTree;
  /** Resolved by wildcards, not by links. */
  readonly from: string;
  readonly copy: FileActionCopy;
  readonly owner: Owner | undefined;
  readonly layer: FileLayer;
  readonly pause: Pause;
}

/** What include and exclude patterns said of a directory. */
interface Matched {
  readonly include: MatchState;
  readonly exclude: MatchState;
}

const NOTHING_MATCHED: Matched = { include: [], exclude: [] };

/** A directory on the way down; made in the layer once something below it is copied. */
interface OpenDir {
  readonly from: string;
  readonly to: string;
  done: boolean;
}

/** Copies one source with `cp -a` semantics, as BuildKit does (tonistiigi/fsutil, copy). */
export async function copySource(request: CopyRequest): Promise<void> {
  await new Copier(request).run();
}

class Copier {
  readonly #source: FileTree;
  readonly #layer: FileLayer;
  readonly #copy: FileActionCopy;
  readonly #request: CopyRequest;
  readonly #pause: Pause;
  readonly #include: PatternMatcher | undefined;
  readonly #exclude: PatternMatcher | undefined;
  readonly #modeChange: ModeChange | undefined;
  readonly #timeNs: bigint | undefined;
  /** First name in the layer of each hard-linked file of the source. */
  readonly #links = new Map<string, string>();
  readonly #open: OpenDir[] = [];

  constructor(request: CopyRequest) {
    const { copy } = request;
    this.#request = request;
    this.#source = request.source;
    this.#layer = request.layer;
    this.#copy = copy;
    this.#pause = request.pause;
    this.#include = matcherOf('includepatterns', copy.include_patterns);
    this.#exclude = matcherOf('excludepatterns', copy.exclude_patterns);
    this.#modeChange = modeChangeOf(copy);
    this.#timeNs = copy.timestamp === -1n ? undefined : copy.timestamp;
  }

  async run(): Promise<void> {
    const asked = cleanKeepingEnd(this.#copy.dest);
    const named = baseOf(asked);
    const made = this.#makeDirs(named === undefined ? cleanPath(asked) : parentOf(asked));
    const { from } = this.#request;
    const at = resolveSource(this.#source, from, this.#copy.followSymlink);
    const entry = this.#source.lstat(at);
    if (entry === undefined) throw missing(this.#source, at);
    let target = this.#layer.resolve(cleanPath(asked));
    const existing = this.#layer.lstat(target);
    const isDir = entry.type === 'dir';
    const contents = this.#copy.dirCopyContents && isDir;
    if (isDir ? !this.#copy.dirCopyContents && existing !== undefined : existing?.type === 'dir') {
      const name = baseName(from);
      if (name !== '.' && name !== '/') target = child(target, name);
    }
    made.push(...this.#makeDirs(contents && existing === undefined ? target : parentOf(target)));
    await this.#enter(at, '', target, false, NOTHING_MATCHED);
    if (this.#timeNs === undefined) return;
    for (const dir of made) this.#layer.setMetadata(dir, { mtimeNs: this.#timeNs });
  }

  /** Missing directories on the way to the destination get the asked mode and owner. */
  #makeDirs(path: string): string[] {
    const { owner } = this.#request;
    const octal = this.#copy.modeStr === '' && this.#copy.mode !== -1;
    return makeDirs(this.#layer, this.#layer.resolve(path), {
      mode: octal ? this.#copy.mode & 0o777 : 0o755,
      ...(owner === undefined ? {} : { owner }),
      ...(this.#timeNs === undefined ? {} : { mtimeNs: this.#timeNs }),
    });
  }

  /** `relative` is the path below the source, empty for the source itself, which no pattern is asked about. */
  async #enter(
    from: string,
    relative: string,
    to: string,
    overwrite: boolean,
    parent: Matched,
  ): Promise<void> {
    if (this.#pause.due) await this.#pause.wait();
    const { wanted, excluded, state } = this.#judge(relative, parent);
    const prunes = excluded && !(this.#exclude?.exclusions ?? false);
    if (!wanted && prunes && this.#include === undefined) return;
    const entry = this.#source.lstat(from);
    if (entry === undefined) throw missing(this.#source, from);
    if (entry.type === 'dir') {
      await this.#directory({ from, relative, to, entry, overwrite, wanted, prunes, state });
      return;
    }
    if (!wanted) return;
    this.#makeWay(to, entry);
    this.#makeOpenDirs(overwrite);
    await this.#file(from, to, entry);
  }

  #judge(
    relative: string,
    parent: Matched,
  ): { readonly wanted: boolean; readonly excluded: boolean; readonly state: Matched } {
    if (relative === '') return { wanted: true, excluded: false, state: NOTHING_MATCHED };
    const include = this.#include?.matchesUsingParent(relative, parent.include);
    const exclude = this.#exclude?.matchesUsingParent(relative, parent.exclude);
    const excluded = exclude?.matched ?? false;
    return {
      wanted: (include?.matched ?? true) && !excluded,
      excluded,
      state: { include: include?.state ?? [], exclude: exclude?.state ?? [] },
    };
  }

  async #directory(dir: {
    readonly from: string;
    readonly relative: string;
    readonly to: string;
    readonly entry: FileEntry;
    readonly overwrite: boolean;
    readonly wanted: boolean;
    readonly prunes: boolean;
    readonly state: Matched;
  }): Promise<void> {
    const { from, relative, to, entry, overwrite, wanted } = dir;
    const existed = this.#layer.lstat(to) !== undefined;
    let created = false;
    if (wanted) {
      this.#makeWay(to, entry);
      this.#makeOpenDirs(overwrite);
      created = this.#makeDir(to, entry, overwrite);
    }
    this.#open.push({ from, to, done: wanted });
    if (!dir.prunes)
      for (const name of this.#source.list(from))
        await this.#enter(
          child(from, name),
          relative === '' ? name : `${relative}/${name}`,
          child(to, name),
          true,
          dir.state,
        );
    this.#open.pop();
    if (wanted && (created || overwrite)) this.#setMetadata(to, entry);
    else if (!overwrite && existed)
      this.#layer.setMetadata(to, { mtimeNs: this.#timeNs ?? entry.mtimeNs });
  }

  /** Removes what must not stay at the target. */
  #makeWay(to: string, entry: FileEntry): void {
    const existing = this.#layer.lstat(to);
    if (existing === undefined) return;
    const bothDirs = existing.type === 'dir' && entry.type === 'dir';
    if (this.#copy.alwaysReplaceExistingDestPaths && !bothDirs) {
      this.#layer.remove(to);
      return;
    }
    if (entry.type === 'dir') return;
    if (existing.type === 'dir') throw fileFailure(`cannot replace to directory ${to} with file`);
    this.#layer.remove(to);
  }

  /** Makes the directories above a match that patterns did not match themselves. */
  #makeOpenDirs(overwrite: boolean): void {
    for (const dir of this.#open) {
      if (dir.done) continue;
      const entry = this.#source.lstat(dir.from);
      if (entry?.type !== 'dir') throw fileFailure(`${dir.from} is not a directory`);
      if (this.#makeDir(dir.to, entry, overwrite)) this.#setMetadata(dir.to, entry);
      dir.done = true;
    }
  }

  /** Whether the directory was made now. */
  #makeDir(to: string, entry: FileEntry, overwrite: boolean): boolean {
    const existing = this.#layer.lstat(to);
    if (existing === undefined) {
      this.#layer.makeDir(to, entry.mode);
      return true;
    }
    if (existing.type !== 'dir') throw fileFailure(`cannot copy to non-directory: ${to}`);
    if (overwrite) this.#layer.setMetadata(to, { mode: entry.mode });
    return false;
  }

  async #file(from: string, to: string, entry: FileEntry): Promise<void> {
    const { signal } = this.#pause;
    switch (entry.type) {
      case 'symlink':
        this.#layer.makeSymlink(entry.link ?? '', to);
        break;
      case 'file': {
        const first = entry.inode === undefined ? undefined : this.#links.get(entry.inode);
        if (first !== undefined && this.#layer.isOwn(first)) this.#layer.link(first, to);
        else await this.#layer.copyFile({ tree: this.#source, path: from, entry }, to, signal);
        if (entry.inode !== undefined && first === undefined) this.#links.set(entry.inode, to);
        break;
      }
      case 'socket':
        this.#layer.writeFile(to, new Uint8Array(), entry.mode);
        break;
      case 'char':
      case 'block':
      case 'fifo':
        this.#layer.makeNode(to, {
          type: entry.type,
          mode: entry.mode,
          ...(entry.device === undefined ? {} : { device: entry.device }),
        });
        break;
      case 'dir':
        throw new Error(`${from} is a directory`);
    }
    this.#setMetadata(to, entry);
  }

  #setMetadata(to: string, entry: FileEntry): void {
    const isDir = entry.type === 'dir';
    const mode = this.#modeChange === undefined ? entry.mode : this.#modeChange(entry.mode, isDir);
    const metadata: EntryMetadata = {
      owner: this.#request.owner ?? { uid: entry.uid, gid: entry.gid },
      ...(entry.type === 'symlink' ? {} : { mode }),
      xattrs: entry.xattrs,
      mtimeNs: this.#timeNs ?? entry.mtimeNs,
    };
    this.#layer.setMetadata(to, metadata);
  }
}

function matcherOf(what: string, patterns: readonly string[]): PatternMatcher | undefined {
  if (patterns.length === 0) return undefined;
  const made = PatternMatcher.create(patterns);
  if (!made.ok) throw fileFailure(`invalid ${what}: [${patterns.join(' ')}]: ${made.error}`);
  return made.value;
}

function modeChangeOf(copy: FileActionCopy): ModeChange | undefined {
  if (copy.modeStr === '') {
    if (copy.mode === -1) return undefined;
    const mode = copy.mode & 0o7777;
    return () => mode;
  }
  const parsed: Result<ModeChange, string> = parseModeChange(copy.modeStr);
  if (!parsed.ok) throw fileFailure(`invalid mode "${copy.modeStr}": ${parsed.error}`);
  return ok(parsed.value).value;
}

/** The last name of a destination, or undefined when it says that it is a directory. */
function baseOf(path: string): string | undefined {
  const last = path.slice(path.lastIndexOf('/') + 1);
  return last === '' || last === '.' ? undefined : last;
}

function parentOf(path: string): string {
  return path.slice(0, path.lastIndexOf('/')) || '/';
}

function missing(tree: FileTree, path: string): Error {
  for (let at = parentOf(path); ; at = parentOf(at)) {
    const entry = tree.lstat(at);
    if (entry !== undefined)
      return fileError('lstat', path, entry.type === 'dir' ? 'ENOENT' : 'ENOTDIR');
    if (at === '/') return fileError('lstat', path, 'ENOENT');
  }
}
