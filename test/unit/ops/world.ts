import {
  chmodSync,
  chownSync,
  lchownSync,
  linkSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ok, sha256 } from '../../../src/base/index.ts';
import type { Event } from '../../../src/events/index.ts';
import type { FileAction, Op, OpBody, Vertex } from '../../../src/llb/index.ts';
import type {
  ActiveLayer,
  LayerChain,
  LayerId,
  LayerRef,
  MountedTree,
  OpContext,
  PackedLayer,
  Snapshotter,
  TreeProvider,
} from '../../../src/ports/index.ts';
import { extractPack } from '../../../src/snapshot/pack-extract.ts';
import { PackView } from '../../../src/snapshot/pack-view.ts';
import { RecordedLayer } from '../../../src/snapshot/packed-layer.ts';
import { getXattr, mountOverlay, setTimes, unmount } from '../../../src/sys/index.ts';
import { diskTree } from './disk-tree.ts';

/** Option for `test()`: layers are mounted as overlays, devices and owners are made. */
export const needsRoot: { readonly skip?: string } =
  process.getuid?.() === 0 ? {} : { skip: 'not root' };

/** Seconds since the epoch that every entry made by `fill` has. */
export const OLD = 1_600_000_000;

/**
 * Makes entries below a directory, one a line: `path/` a directory, `path = text` a file, `path -> target` a symbolic link,
 * `path => other` a hard link; behind a path may stand `[mode uid:gid]`.
 */
export function fill(dir: string, lines: string): void {
  for (const line of lines.split('\n').map((l) => l.trim())) {
    const [, path = '', meta, rest = ''] = /^(\S+)(?: \[([^\]]*)\])?(?: (.*))?$/.exec(line) ?? [];
    if (path === '') continue;
    const full = join(dir, path);
    mkdirSync(join(full, '..'), { recursive: true });
    if (rest.startsWith('-> ')) symlinkSync(rest.slice(3), full);
    else if (rest.startsWith('=> ')) linkSync(join(dir, rest.slice(3)), full);
    else if (rest.startsWith('= ')) writeFileSync(full, rest.slice(2));
    else mkdirSync(full, { recursive: true });
    const [mode, owner = '0:0'] = (meta ?? '').split(' ');
    const [uid = 0, gid = 0] = owner.split(':').map(Number);
    if (rest.startsWith('-> ')) lchownSync(full, uid, gid);
    else chownSync(full, uid, gid);
    if (mode !== undefined && mode !== '') chmodSync(full, Number.parseInt(mode, 8));
  }
  const all = walk(dir).map((p) => join(dir, p));
  for (const path of [...all, dir]) setOld(path);
}

function setOld(path: string): void {
  const ns = BigInt(OLD) * 1_000_000_000n;
  setTimes(path, { atimeNs: ns, mtimeNs: ns });
}

/** Everything below a directory, one line an entry: path, mode, owner, content or target, and `old` where the time is. */
export function listing(dir: string): string[] {
  return walk(dir)
    .sort()
    .map((path) => `${path} ${describe(join(dir, path))}`);
}

function walk(dir: string): string[] {
  return readdirSync(dir, { withFileTypes: true }).flatMap((entry) =>
    entry.isDirectory()
      ? [entry.name, ...walk(join(dir, entry.name)).map((below) => `${entry.name}/${below}`)]
      : [entry.name],
  );
}

function describe(path: string): string {
  const stat = lstatSync(path, { bigint: true });
  if (stat.isCharacterDevice() && stat.rdev === 0n) return 'whiteout';
  const mode = (stat.mode & 0o7777n).toString(8);
  const age = stat.mtimeNs === BigInt(OLD) * 1_000_000_000n ? ' old' : '';
  const meta = `${mode} ${stat.uid}:${stat.gid}${age}`;
  if (stat.isSymbolicLink()) return `-> ${readlinkSync(path)} ${stat.uid}:${stat.gid}${age}`;
  if (stat.isDirectory()) {
    const opaque = getXattr(path, 'trusted.overlay.opaque') === undefined ? '' : ' opaque';
    return `dir ${meta}${opaque}`;
  }
  if (!stat.isFile()) return `special ${meta}`;
  return `file ${meta}${stat.nlink > 1n ? ` links=${stat.nlink}` : ''} ${JSON.stringify(readFileSync(path, 'utf8'))}`;
}

/** A temporary store of layers on real overlays, and what ops need around it. */
export class World implements AsyncDisposable {
  readonly dir = mkdtempSync(join(tmpdir(), 'varve-ops-'));
  readonly events: Event[] = [];
  readonly #mounts = new Set<string>();
  readonly #trees = new Map<string, string>();
  #count = 0;

  /** A layer on top of `parents` with the entries of `fill`. */
  layer(lines: string, parents: LayerChain = []): LayerChain {
    const ref = this.#newRef();
    mkdirSync(this.upper(ref));
    fill(this.upper(ref), lines);
    return [...parents, ref];
  }

  /** Directory of a layer's own entries. */
  upper(ref: LayerRef | undefined): string {
    return join(this.dir, ref?.id ?? 'none');
  }

  /** The layer's own entries, in overlayfs form. */
  entries(chain: LayerChain | undefined): string[] {
    return listing(this.upper(chain?.at(-1)));
  }

  /** The merged tree, mounted by the kernel. */
  merged(chain: LayerChain): string {
    const key = chain.map((l) => l.id).join();
    const known = this.#trees.get(key);
    if (known !== undefined) return known;
    const target = this.#newDir('tree');
    const empty = this.#newDir('empty');
    // A read-only overlay needs two layers.
    mountOverlay({ lower: [...this.#uppers(chain), empty, this.#newDir('empty')], target });
    this.#mounts.add(target);
    this.#trees.set(key, target);
    return target;
  }

  readonly snapshotter: Pick<Snapshotter, 'begin' | 'pack'> = {
    begin: (parents) => Promise.resolve(this.#begin(parents)),
    pack: (parents) => Promise.resolve(this.#pack(parents)),
  };

  readonly trees: TreeProvider = {
    tree: (chain) => Promise.resolve(ok(diskTree(this.merged(chain)))),
    materialise: (chain) => Promise.resolve(ok(chain)),
    base: (chain) => Promise.resolve(ok({ chain })),
    mount: (chain) =>
      Promise.resolve(ok({ path: this.merged(chain), [Symbol.asyncDispose]: async () => {} })),
  };

  context(body: OpBody, more: { ignoreCache?: boolean; signal?: AbortSignal } = {}): OpContext {
    const op: Op = { inputs: [], body };
    const vertex: Vertex = {
      digest: sha256('vertex'),
      op,
      pb: new Uint8Array(),
      metadata: { description: {}, ignoreCache: more.ignoreCache ?? false, caps: [], spans: [] },
    };
    const signal = more.signal ?? new AbortController().signal;
    return { signal, vertex, emit: (event) => this.events.push(event) };
  }

  /** What steps printed so far. */
  output(): string {
    const logs = this.events.flatMap((e) => (e.type === 'log' ? [e.data] : []));
    return Buffer.concat(logs).toString();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const target of [...this.#mounts].reverse()) unmount(target, { lazy: true });
    rmSync(this.dir, { recursive: true });
    await Promise.resolve();
  }

  #begin(parents: LayerChain): ActiveLayer {
    const ref = this.#newRef();
    const upper = this.upper(ref);
    mkdirSync(upper);
    const root = lstatSync(parents.length === 0 ? upper : this.merged(parents));
    chmodSync(upper, root.mode & 0o7777);
    setOld(upper);
    let committed = false;
    return {
      id: ref.id,
      parents,
      upper,
      opaqueXattr: 'trusted.overlay.opaque',
      lower: diskTree(parents.length === 0 ? this.#newDir('scratch') : this.merged(parents)),
      mount: () => Promise.resolve(this.#mountActive(parents, upper)),
      commit: () => {
        committed = true;
        return Promise.resolve(ref);
      },
      [Symbol.asyncDispose]: async () => {
        if (!committed) rmSync(upper, { recursive: true, force: true });
        await Promise.resolve();
      },
    };
  }

  /** A packed layer that becomes a directory when it is committed. */
  #pack(parents: LayerChain): PackedLayer {
    const ref = this.#newRef();
    const dir = this.#newDir('pack');
    return new RecordedLayer({
      id: ref.id,
      parents,
      lower: diskTree(parents.length === 0 ? this.#newDir('scratch') : this.merged(parents)),
      dir,
      earlier: undefined,
      aligned: false,
      install: async () => {
        mkdirSync(this.upper(ref));
        const to = { dir: this.upper(ref), userXattrs: false };
        await extractPack(new PackView(dir, ref.id), to, new AbortController().signal);
      },
      drop: async () => {},
    });
  }

  #mountActive(parents: LayerChain, upper: string): MountedTree {
    const path = this.#newDir('active');
    const lower = [...this.#uppers(parents), this.#newDir('empty')];
    mountOverlay({ lower, upper: { dir: upper, work: this.#newDir('work') }, target: path });
    this.#mounts.add(path);
    return {
      path,
      [Symbol.asyncDispose]: async () => {
        if (this.#mounts.delete(path)) unmount(path);
        await Promise.resolve();
      },
    };
  }

  #uppers(chain: LayerChain): string[] {
    return chain.map((ref) => this.upper(ref)).reverse();
  }

  #newRef(): LayerRef {
    return { id: `new:${this.#count++}` as LayerId, createdAt: 0 };
  }

  #newDir(name: string): string {
    const dir = join(this.dir, `${name}-${this.#count++}`);
    mkdirSync(dir);
    return dir;
  }
}

/** A copy action as the Dockerfile front end makes it. */
export function copyAction(
  src: string,
  dest: string,
  more: Partial<Extract<FileAction['action'], { kind: 'copy' }>['copy']> = {},
): FileAction['action'] {
  return {
    kind: 'copy',
    copy: {
      src,
      dest,
      mode: -1,
      followSymlink: true,
      dirCopyContents: true,
      attemptUnpackDockerCompatibility: false,
      createDestPath: true,
      allowWildcard: true,
      allowEmptyWildcard: true,
      timestamp: -1n,
      include_patterns: [],
      exclude_patterns: [],
      alwaysReplaceExistingDestPaths: false,
      modeStr: '',
      required_paths: [],
      ...more,
    },
  };
}

/** A file op whose actions follow each other on input 0 and copy from input 1. */
export function chainOf(...actions: FileAction['action'][]): OpBody {
  return {
    kind: 'file',
    file: {
      actions: actions.map((action, i) => ({
        input: i === 0 ? 0 : 1 + i,
        secondaryInput: action.kind === 'copy' ? 1 : -1,
        output: i === actions.length - 1 ? 0 : -1,
        action,
      })),
    },
  };
}
