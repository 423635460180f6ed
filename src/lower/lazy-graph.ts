import type { Op, OpInput, OpMetadata } from '../llb/index.ts';
import { type GraphNode, graphNode, inputOf, type NodeOutput } from '../llb/index.ts';

/**
 * An op whose bytes are not known yet: the local source at its root lists the paths that all instructions need, which is
 * known only when the last one has been lowered.
 */
export interface LazyNode {
  /** Inputs in the order in which they are visited. */
  readonly before: readonly LazyOutput[];
  /** The op, given the encoded form of inputs. */
  readonly build: (input: (output: LazyOutput) => OpInput) => Op;
  readonly metadata: Partial<OpMetadata>;
}

/** Output `index` of an op; undefined in its place is scratch. */
export interface LazyOutput {
  readonly node: LazyNode;
  readonly index: number;
}

/** Encodes an op and all it depends on, inputs first; without recursion, since chains of steps are long. */
export function encodeGraph(result: LazyOutput | undefined): NodeOutput | undefined {
  if (result === undefined) return undefined;
  const made = new Map<LazyNode, GraphNode>();
  const stack = [result.node];
  for (let node = stack.at(-1); node !== undefined; node = stack.at(-1)) {
    const missing = node.before.map((o) => o.node).filter((n) => !made.has(n));
    if (missing.length > 0) {
      stack.push(...missing);
      continue;
    }
    stack.pop();
    if (!made.has(node)) made.set(node, encodeNode(node, made));
  }
  return { node: lookUp(made, result.node), index: result.index };
}

function encodeNode(node: LazyNode, made: ReadonlyMap<LazyNode, GraphNode>): GraphNode {
  const op = node.build((o) => inputOf({ node: lookUp(made, o.node), index: o.index }));
  const before = node.before.map((o) => lookUp(made, o.node));
  return graphNode(op, before, node.metadata);
}

function lookUp(made: ReadonlyMap<LazyNode, GraphNode>, node: LazyNode): GraphNode {
  const found = made.get(node);
  if (found === undefined)
    throw new Error('an input of an op was not among those it is visited after');
  return found;
}
