import { lstatSync, readlinkSync, statSync } from 'node:fs';
import { isIP } from 'node:net';
import {
  byUtf8,
  type Digest,
  FailureError,
  failure,
  fsPath,
  resolveInRoot,
} from '../base/index.ts';
import { contentDigest } from '../cachekey/index.ts';
import type { ExecOp, Mount, Vertex } from '../llb/index.ts';
import type {
  ActiveLayer,
  LayerChain,
  MountedTree,
  OpContext,
  OpResult,
  SandboxMount,
  SandboxSpec,
  Snapshotter,
  TreeProvider,
} from '../ports/index.ts';
import type { Sharing } from './cache-mount-slot.ts';
import type { CacheMountOffer, CacheMounts } from './cache-mounts.ts';
import { dropUntouchedDirs } from './exec-tidy.ts';
import { cleanPath } from './file-paths.ts';
import { writeTree } from './source-local-write.ts';

/** Answers questions for secrets and agents; undefined: there is none of that id. */
export interface ExecSecrets {
  secret(id: string, signal: AbortSignal): Promise<Uint8Array | undefined>;
  /** Path of the socket of an SSH agent. */
  agent(id: string): string | undefined;
}

/** Finds what is kept elsewhere of a cache mount; reports to the step that wants it. */
export type CacheMountOffers = (
  mount: {
    readonly id: string;
    /** Digest of its initial content; empty without one. */
    readonly base: Digest | '';
    readonly platform: string;
  },
  context: OpContext,
) => Promise<CacheMountOffer | undefined>;

/** What mounts are made of. */
export interface MountDeps {
  readonly snapshotter: Snapshotter;
  readonly trees: TreeProvider;
  readonly cacheMounts: CacheMounts;
  readonly secrets: ExecSecrets;
  /** Looks elsewhere for the directory of a cache mount. */
  readonly offers?: CacheMountOffers;
  /** Whether a cache mount must start empty in this build; asked once a mount. */
  readonly startsEmpty: (id: string) => boolean;
}

/** The root and mounts of one step, and the layers that become its results. */
export class ExecMounts implements AsyncDisposable {
  readonly #deps: MountDeps;
  readonly #context: OpContext;
  readonly #inputs: readonly OpResult[];
  readonly #cleanUp = new AsyncDisposableStack();
  readonly #outputs = new Map<number, LayerChain | ActiveLayer>();
  readonly #mounted: MountedTree[] = [];
  readonly mounts: SandboxMount[] = [];
  #rootLayer: ActiveLayer | undefined;
  root = '';
  readonlyRoot = false;

  constructor(deps: MountDeps, context: OpContext, inputs: readonly OpResult[]) {
    this.#deps = deps;
    this.#context = context;
    this.#inputs = inputs;
  }

  /** Makes everything ready (BuildKit `PrepareMounts`); parents come before what is mounted in them. */
  async prepare(op: ExecOp): Promise<void> {
    for (const mount of op.mounts) {
      if (mount.dest === '/') await this.#root(mount);
      else {
        const target = cleanPath(
          mount.dest.startsWith('/') ? mount.dest : `${op.meta.cwd}/${mount.dest}`,
        );
        const made = await this.#mount(mount, target);
        if (made !== undefined) this.mounts.push(made);
      }
    }
    if (this.root === '') throw new FailureError(failure('GR014', 2, 'the step has no root mount'));
    this.mounts.sort((a, b) => byUtf8(a.target, b.target));
  }

  /** Takes the mounts away and makes the written layers permanent; one result an output. */
  async commit(createdAt: number): Promise<readonly (OpResult | undefined)[]> {
    await this.#unmount();
    if (this.#rootLayer !== undefined)
      dropUntouchedDirs(this.#rootLayer, [
        '/etc/hosts',
        '/etc/resolv.conf',
        ...this.mounts.map((mount) => mount.target),
      ]);
    const results: OpResult[] = [];
    for (const [output, result] of this.#outputs)
      results[output] =
        'commit' in result ? [...result.parents, await result.commit({ createdAt })] : result;
    return results;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#unmount();
    await this.#cleanUp.disposeAsync();
  }

  async #unmount(): Promise<void> {
    for (let tree = this.#mounted.pop(); tree !== undefined; tree = this.#mounted.pop())
      await tree[Symbol.asyncDispose]();
  }

  async #root(mount: Mount): Promise<void> {
    if (mount.mountType !== 0)
      throw new FailureError(failure('GR014', 2, 'invalid mount type for /'));
    this.readonlyRoot = mount.readonly;
    this.root = this.#select(await this.#writable(mount), mount);
  }

  async #mount(mount: Mount, target: string): Promise<SandboxMount | undefined> {
    switch (mount.mountType) {
      case 0:
        return await this.#bind(mount, target);
      case 1:
        return await this.#secret(mount, target);
      case 2:
        return this.#agent(mount, target);
      case 3:
        return await this.#cache(mount, target);
      case 4: {
        const size = mount.TmpfsOpt?.size ?? 0;
        return { kind: 'tmpfs', target, ...(size > 0 ? { sizeBytes: size } : {}) };
      }
      default:
        return mount.mountType satisfies never;
    }
  }

  async #bind(mount: Mount, target: string): Promise<SandboxMount> {
    const input = this.#input(mount);
    if (!mount.readonly || input === undefined) {
      const source = this.#select(await this.#writable(mount), mount);
      return { kind: 'bind', source, target, readonly: mount.readonly };
    }
    if (mount.output !== -1) this.#outputs.set(mount.output, input);
    const tree = await this.#deps.trees.mount(input, this.#context);
    if (!tree.ok) throw new FailureError(tree.error);
    this.#mounted.push(tree.value);
    return { kind: 'bind', source: this.#select(tree.value.path, mount), target, readonly: true };
  }

  /** A layer on top of the input, dropped unless it is an output. */
  async #writable(mount: Mount): Promise<string> {
    const parents = await this.#deps.trees.materialise(this.#input(mount) ?? [], this.#context);
    if (!parents.ok) throw new FailureError(parents.error);
    const layer = this.#cleanUp.use(await this.#deps.snapshotter.begin(parents.value));
    if (mount.output !== -1) this.#outputs.set(mount.output, layer);
    if (mount.dest === '/') this.#rootLayer = layer;
    const tree = await layer.mount();
    this.#mounted.push(tree);
    return tree.path;
  }

  async #cache(mount: Mount, target: string): Promise<SandboxMount> {
    const { ID, sharing } = mount.cacheOpt ?? { ID: '', sharing: 0 as const };
    if (mount.cacheOpt === undefined)
      throw new FailureError(failure('GR014', 2, 'missing cache mount options'));
    const base = this.#input(mount) ?? [];
    if (mount.output !== -1 && mount.input !== -1) this.#outputs.set(mount.output, base);
    const { signal } = this.#context;
    const platform = platformOf(this.#context.vertex);
    const { offers } = this.#deps;
    const held = await this.#deps.cacheMounts.acquire({
      id: ID,
      base: base.map((layer) => layer.id).join(' '),
      sharing: SHARING[sharing],
      fresh: this.#deps.startsEmpty(ID),
      signal,
      fill: async (dir) => {
        if (base.length === 0) return;
        const tree = await this.#deps.trees.tree(base, this.#context);
        if (!tree.ok) throw new FailureError(tree.error);
        await writeTree(tree.value, dir, signal);
      },
      content: async () => {
        const tree = await this.#deps.trees.tree(base, this.#context);
        if (!tree.ok) throw new FailureError(tree.error);
        const digest = await contentDigest([], tree.value, signal);
        if (!digest.ok) throw new FailureError(failure('GR013', 1, digest.error));
        return digest.value;
      },
      platform,
      ...(offers === undefined
        ? {}
        : { offer: (content) => offers({ id: ID, base: content, platform }, this.#context) }),
    });
    this.#cleanUp.use(held);
    return {
      kind: 'bind',
      source: this.#select(held.path, mount),
      target,
      readonly: mount.readonly,
    };
  }

  async #secret(mount: Mount, target: string): Promise<SandboxMount | undefined> {
    const options = mount.secretOpt;
    if (options === undefined || options.ID === '')
      throw new FailureError(failure('GR014', 2, 'secret ID missing from mount options'));
    const data = await this.#deps.secrets.secret(options.ID, this.#context.signal);
    if (data !== undefined) {
      const { mode, uid, gid } = options;
      return { kind: 'secret', data, target, mode: mode & 0o777, uid, gid };
    }
    if (options.optional) return undefined;
    throw secretMissing(options.ID);
  }

  #agent(mount: Mount, target: string): SandboxMount | undefined {
    const options = mount.SSHOpt;
    if (options === undefined)
      throw new FailureError(failure('GR014', 2, 'invalid ssh mount options'));
    const source = this.#deps.secrets.agent(options.ID === '' ? 'default' : options.ID);
    if (source !== undefined) {
      const { mode, uid, gid } = options;
      return { kind: 'socket', source, target, mode: mode & 0o777, uid, gid };
    }
    if (options.optional) return undefined;
    throw new FailureError(
      failure('SB006', 1, `no SSH key "${options.ID}" forwarded from the client`, {
        help: 'pass it with --ssh',
      }),
    );
  }

  #input(mount: Mount): OpResult | undefined {
    if (mount.input === -1) return undefined;
    const input = this.#inputs[mount.input];
    if (input === undefined)
      throw new FailureError(failure('GR014', 2, `missing input ${mount.input}`));
    return input;
  }

  /** The part of a mounted tree that the mount selects, symbolic links followed inside the tree. */
  #select(root: string, mount: Mount): string {
    const selector = cleanPath(mount.selector);
    if (selector === '/') return root;
    const at = resolveInRoot(selector, (path) => readLink(root + path));
    if (at === undefined || statSync(fsPath(root + at), { throwIfNoEntry: false }) === undefined)
      throw new FailureError(failure('SB007', 1, `mount ${mount.dest}: "${selector}": not found`));
    return root + at;
  }
}

/** `linux/arm64/v8`; empty where a step has none. */
function platformOf({ op }: Vertex): string {
  const { OS, Architecture, Variant = '' } = op.platform ?? { OS: '', Architecture: '' };
  return [OS, Architecture, Variant].filter((part) => part !== '').join('/');
}

const SHARING: Readonly<Record<0 | 1 | 2, Sharing>> = { 0: 'shared', 1: 'private', 2: 'locked' };

/** A secret that a step needs was not given; the id is all that is said. */
export function secretMissing(id: string): FailureError {
  return new FailureError(
    failure('SB005', 1, `secret ${id}: not found`, { help: 'pass it with --secret' }),
  );
}

/** Extra lines of `/etc/hosts`. */
export function extraHosts(op: ExecOp): SandboxSpec['extraHosts'] {
  return op.meta.extraHosts.map(({ Host, IP }) => {
    if (isIP(IP) === 0)
      throw new FailureError(failure('GR014', 2, `host ${Host}: "${IP}" is not an IP address`));
    return { host: Host, ip: IP };
  });
}

function readLink(path: string): string | undefined {
  const at = fsPath(path);
  return lstatSync(at, { throwIfNoEntry: false })?.isSymbolicLink() === true
    ? readlinkSync(at)
    : undefined;
}
