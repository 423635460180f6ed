import { type Digest, err, FailureError, failure, ok, type Result } from '../base/index.ts';
import type { FileTree } from '../cachekey/index.ts';
import { actionOwner, type ChownOpt, type FileAction, type FileOp } from '../llb/index.ts';
import type {
  CacheMap,
  Clock,
  LayerChain,
  OpContext,
  OpDriver,
  OpResult,
  PackedLayer,
  Snapshotter,
  TreeProvider,
} from '../ports/index.ts';
import { runFileAction } from './file-actions.ts';
import { refusalOf } from './file-error.ts';
import { FileLayer } from './file-layer.ts';
import { readOwner } from './file-owner.ts';
import { Pause } from './file-pause.ts';
import { EMPTY_TREE } from './file-scratch.ts';
import { contentKeyOf, keyOf } from './op-keys.ts';

/** What file ops need. */
export interface FileDriverDeps {
  readonly snapshotter: Snapshotter;
  readonly trees: TreeProvider;
  readonly clock: Clock;
}

/**
 * The driver of file ops (`pb.FileOp`): copy, mkdir, mkfile, rm and symlink are recorded in a packed layer; nothing is
 * mounted, and no file is made before something mounts the layer. Actions in a row share one layer; a result that is used
 * more than once is a layer of its own.
 */
export function createFileDriver(deps: FileDriverDeps): OpDriver {
  return {
    cacheMap: (context): Promise<Result<CacheMap>> => Promise.resolve(keyOf(context.vertex.op)),
    contentKey: async (context, index, input): Promise<Result<Digest>> =>
      await contentKeyOf(context, deps.trees, { index, input }),
    run: async (context, inputs) => {
      const { body } = context.vertex.op;
      if (body.kind !== 'file') throw new Error(`a file driver was given a ${body.kind} op`);
      const checked = checkActions(body.file, inputs.length);
      if (!checked.ok) return checked;
      await using run = new FileRun(deps, context, { op: body.file, inputs });
      try {
        return ok(await run.execute());
      } catch (e) {
        const known = refusalOf('writing files', e);
        if (known instanceof FailureError) return err(known.failure);
        throw e;
      }
    },
  };
}

/** A layer under construction and the view of it. */
interface OpenLayer {
  readonly active: PackedLayer;
  readonly files: FileLayer;
}

/** One execution of a file op. */
class FileRun implements AsyncDisposable {
  readonly #deps: FileDriverDeps;
  readonly #context: OpContext;
  readonly #inputs: readonly OpResult[];
  readonly #actions: readonly FileAction[];
  readonly #pause: Pause;
  /** The op without its inputs: what it made of other inputs is much like what it makes now. */
  readonly #like: string | undefined;
  readonly #trees = new Map<number, FileTree>();
  /** Finished results by index: inputs first, then actions. */
  readonly #chains = new Map<number, LayerChain>();
  /** Results that the next action of a row continues. */
  readonly #open = new Map<number, OpenLayer>();

  constructor(
    deps: FileDriverDeps,
    context: OpContext,
    work: { readonly op: FileOp; readonly inputs: readonly OpResult[] },
  ) {
    this.#deps = deps;
    this.#context = context;
    this.#inputs = work.inputs;
    this.#actions = work.op.actions;
    this.#pause = new Pause(context.signal);
    const key = keyOf(context.vertex.op);
    this.#like = key.ok ? key.value.digest : undefined;
    work.inputs.forEach((chain, i) => this.#chains.set(i, chain));
  }

  async execute(): Promise<readonly OpResult[]> {
    const outputs: OpResult[] = [];
    for (const [i, action] of this.#actions.entries()) {
      const index = this.#inputs.length + i;
      const layer = await this.#begin(action.input);
      this.#open.set(index, layer);
      await this.#act(action, layer.files);
      if (!this.#continues(index)) await this.#commit(index);
      if (action.output !== -1) outputs[action.output] = this.#chain(index);
    }
    return outputs;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const layer of this.#open.values()) await layer.active[Symbol.asyncDispose]();
  }

  async #act(action: FileAction, layer: FileLayer): Promise<void> {
    const treeOf = async (index: number): Promise<FileTree> => await this.#tree(index);
    const source = action.secondaryInput === -1 ? EMPTY_TREE : await treeOf(action.secondaryInput);
    const owner = await readOwner(actionOwner(action), treeOf, this.#context.signal);
    await runFileAction(action.action, { layer, source, owner, pause: this.#pause });
  }

  /** Whether the only use of a result is to be changed further by one action. */
  #continues(index: number): boolean {
    const uses = this.#actions.flatMap((a) => [
      ...(a.input === index ? ['input'] : []),
      ...(a.secondaryInput === index ? ['source'] : []),
      ...ownerInputs(actionOwner(a)).flatMap((i) => (i === index ? ['owner'] : [])),
    ]);
    const isOutput = this.#actions[index - this.#inputs.length]?.output !== -1;
    return !isOutput && uses.length === 1 && uses[0] === 'input';
  }

  async #begin(input: number): Promise<OpenLayer> {
    const open = this.#open.get(input);
    if (open !== undefined) {
      this.#open.delete(input);
      return open;
    }
    const { clock, snapshotter, trees } = this.#deps;
    const base = await trees.base(input === -1 ? [] : this.#chain(input), this.#context);
    if (!base.ok) throw new FailureError(base.error);
    const { chain, lower } = base.value;
    const active = await snapshotter.pack(chain, {
      ...(lower === undefined ? {} : { lower }),
      ...(this.#like === undefined ? {} : { like: this.#like }),
    });
    return { active, files: new FileLayer(active, BigInt(Math.round(clock.now())) * 1_000_000n) };
  }

  async #commit(index: number): Promise<void> {
    const layer = this.#open.get(index);
    if (layer === undefined) throw new Error(`result ${index} is not open`);
    const ref = await layer.active.commit(layer.files.finish(), {
      createdAt: this.#deps.clock.now(),
      signal: this.#context.signal,
    });
    this.#open.delete(index);
    this.#chains.set(index, [...layer.active.parents, ref]);
  }

  async #tree(index: number): Promise<FileTree> {
    const known = this.#trees.get(index);
    if (known !== undefined) return known;
    const tree = await this.#deps.trees.tree(this.#chain(index), this.#context);
    if (!tree.ok) throw new FailureError(tree.error);
    this.#trees.set(index, tree.value);
    return tree.value;
  }

  #chain(index: number): LayerChain {
    const chain = this.#chains.get(index);
    if (chain === undefined) throw new Error(`result ${index} is not finished`);
    return chain;
  }
}

/** Indexes must name inputs or earlier actions, and outputs must be 0 to n-1, each once. */
function checkActions(op: FileOp, inputs: number): Result<void> {
  const bad = (message: string): Result<void> => err(failure('GR011', 2, message));
  for (const [i, action] of op.actions.entries()) {
    const last = inputs + i - 1;
    for (const index of [action.input, action.secondaryInput])
      if (index < -1 || index > last)
        return bad(`invalid input index ${index}, ${inputs + i} provided`);
    for (const index of ownerInputs(actionOwner(action)))
      if (index < 0 || index > last) return bad(`invalid user index ${index}`);
  }
  const outputs = op.actions.map((a) => a.output).filter((o) => o !== -1);
  if (outputs.length === 0) return bad('no outputs specified');
  const twice = outputs.find((o, i) => outputs.indexOf(o) !== i);
  if (twice !== undefined) return bad(`duplicate output ${twice}`);
  const missing = outputs.findIndex((_, i) => !outputs.includes(i));
  return missing === -1 ? ok(undefined) : bad(`missing output index ${missing}`);
}

function ownerInputs(owner: ChownOpt | undefined): number[] {
  return [owner?.user, owner?.group].flatMap((opt) => (opt?.kind === 'byName' ? [opt.input] : []));
}
