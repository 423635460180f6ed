import type {
  ChownOpt,
  FileAction,
  FileActionCopy,
  FileActionMkDir,
  OpInput,
  OpMetadata,
  UserOpt,
} from '../llb/index.ts';
import type { LazyNode, LazyOutput } from './lazy-graph.ts';

/** An owner as written, `user[:group]`; `root` and numbers are ids, everything else is looked up by name. */
export function ownerOf(text: string): (baseInput: number) => ChownOpt {
  const colon = text.indexOf(':');
  const user = colon === -1 ? text : text.slice(0, colon);
  const group = colon === -1 ? undefined : text.slice(colon + 1);
  return (input) => ({
    user: userOf(user, input),
    ...(group === undefined ? {} : { group: userOf(group, input) }),
  });
}

function userOf(text: string, input: number): UserOpt {
  if (text === 'root' || text === '') return { kind: 'byId', byId: 0 };
  const id = /^[+-]?\d+$/.test(text) ? Number(text) : Number.NaN;
  if (id >= -(2 ** 31) && id < 2 ** 31) return { kind: 'byId', byId: id >>> 0 };
  return { kind: 'byName', name: text, input };
}

/** A file to copy: from where, and the action without what depends on the op's inputs. */
export interface PlannedCopy {
  /** Undefined is scratch. */
  readonly from: LazyOutput | undefined;
  readonly copy: Omit<FileActionCopy, 'owner'>;
}

/** The copies of one COPY or ADD, in order, as one op (BuildKit client/llb/fileop.go). */
export function copyNode(
  base: LazyOutput | undefined,
  copies: readonly PlannedCopy[],
  options: { readonly owner: string; readonly metadata: Partial<OpMetadata> },
): LazyOutput {
  const sources = copies.map((c) => c.from);
  // The client library visits the base, then the actions last to first.
  const before = uniqueOutputs([base, ...sources.toReversed()]);
  const owner = options.owner === '' ? undefined : ownerOf(options.owner);
  const build: LazyNode['build'] = (input) => {
    const inputs: OpInput[] = [];
    const baseIndex = indexOf(inputs, base, input);
    const secondary = sources.map((source) => indexOf(inputs, source, input));
    const actions = copies.map(
      ({ copy }, i): FileAction => ({
        input: i === 0 ? baseIndex : inputs.length + i - 1,
        secondaryInput: secondary[i] ?? -1,
        output: i === copies.length - 1 ? 0 : -1,
        action: {
          kind: 'copy',
          copy: owner === undefined ? copy : { ...copy, owner: owner(baseIndex) },
        },
      }),
    );
    return { inputs, body: { kind: 'file', file: { actions } }, constraints: [] };
  };
  return { node: { before, build, metadata: options.metadata }, index: 0 };
}

/** A new file on an empty file system. */
export function inlineFile(path: string, mode: number, data: string): LazyOutput {
  const mkfile = { path: `/${path}`, mode, data: Buffer.from(data), timestamp: -1n };
  const action = {
    input: -1,
    secondaryInput: -1,
    output: 0,
    action: { kind: 'mkfile', mkfile } as const,
  };
  return {
    node: {
      before: [],
      build: () => ({
        inputs: [],
        body: { kind: 'file', file: { actions: [action] } },
        constraints: [],
      }),
      metadata: {
        description: { 'llb.customname': '[internal] preparing inline document' },
        caps: ['file.base'],
      },
    },
    index: 0,
  };
}

/** A directory made on top of a file system. */
export function mkdirNode(
  base: LazyOutput | undefined,
  mkdir: Omit<FileActionMkDir, 'owner'>,
  options: { readonly owner?: string; readonly metadata: Partial<OpMetadata> },
): LazyOutput {
  const { owner } = options;
  const build: LazyNode['build'] = (input) => {
    const inputs: OpInput[] = [];
    const baseIndex = indexOf(inputs, base, input);
    const action = {
      kind: 'mkdir',
      mkdir: owner === undefined ? mkdir : { ...mkdir, owner: ownerOf(owner)(baseIndex) },
    } as const;
    const actions = [{ input: baseIndex, secondaryInput: -1, output: 0, action }];
    return { inputs, body: { kind: 'file', file: { actions } }, constraints: [] };
  };
  const before = uniqueOutputs([base]);
  return { node: { before, build, metadata: options.metadata }, index: 0 };
}

/** Layers on top of each other; scratch has none, one layer alone needs no merge. */
export function mergeNode(
  layers: readonly (LazyOutput | undefined)[],
  metadata: Partial<OpMetadata>,
): LazyOutput | undefined {
  const real = layers.filter((l) => l !== undefined);
  if (real.length < 2) return real[0];
  const build: LazyNode['build'] = (input) => ({
    inputs: real.map(input),
    body: { kind: 'merge', merge: { inputs: real.map((_, i) => i) } },
    constraints: [],
  });
  return { node: { before: real, build, metadata }, index: 0 };
}

/** The position of an output among an op's inputs, which it joins when it is new; -1 is scratch. */
export function indexOf(
  inputs: OpInput[],
  output: LazyOutput | undefined,
  input: (output: LazyOutput) => OpInput,
): number {
  if (output === undefined) return -1;
  const wanted = input(output);
  const known = inputs.findIndex((i) => i.digest === wanted.digest && i.index === wanted.index);
  return known === -1 ? inputs.push(wanted) - 1 : known;
}

/** Each output once, in order, without scratch. */
export function uniqueOutputs(outputs: readonly (LazyOutput | undefined)[]): LazyOutput[] {
  const found: LazyOutput[] = [];
  for (const o of outputs)
    if (o !== undefined && !found.some((f) => f.node === o.node && f.index === o.index))
      found.push(o);
  return found;
}
