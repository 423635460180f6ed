import { byCodeUnit, type Digest, sha256 } from '../base/index.ts';
import type { Definition, OpMetadata, Vertex } from './definition.ts';
import { encodeOp } from './encode-op.ts';
import type { Op, OpInput } from './op.ts';

/** An op of a graph under construction. Nodes are compared by identity; equal ops become one vertex when marshalled. */
export interface GraphNode {
  readonly vertex: Vertex;
  /** Nodes behind the op's inputs in the order in which they are visited (not always the order of the inputs). */
  readonly before: readonly GraphNode[];
}

/** Output `index` of a node. */
export interface NodeOutput {
  readonly node: GraphNode;
  readonly index: number;
}

/** Makes a node: encodes the op and computes its digest. */
export function graphNode(
  op: Op,
  before: readonly GraphNode[],
  metadata: Partial<OpMetadata> = {},
): GraphNode {
  const pb = encodeOp(op);
  return {
    vertex: {
      digest: sha256(pb),
      op,
      pb,
      metadata: { description: {}, ignoreCache: false, caps: [], spans: [], ...metadata },
    },
    before,
  };
}

/** The input that stands for a node's output. */
export function inputOf(output: NodeOutput): OpInput {
  return { digest: output.node.vertex.digest, index: output.index };
}

/**
 * The definition of a graph as BuildKit's client library marshals it: depth first from the result, inputs before the op,
 * each digest once, the metadata of equal ops merged. Undefined is scratch.
 */
export function marshalGraph(result: NodeOutput | undefined): Definition {
  const vertices = new Map<Digest, Vertex>();
  if (result === undefined) return { vertices };
  const visited = new Set<GraphNode>();
  // An explicit stack: chains of thousands of steps must not exhaust the call stack.
  const stack: { readonly node: GraphNode; next: number }[] = [{ node: result.node, next: 0 }];
  visited.add(result.node);
  for (let top = stack.at(-1); top !== undefined; top = stack.at(-1)) {
    const child = top.node.before[top.next++];
    if (child === undefined) {
      stack.pop();
      const { vertex } = top.node;
      const known = vertices.get(vertex.digest);
      vertices.set(vertex.digest, known === undefined ? vertex : merged(known, vertex));
    } else if (!visited.has(child)) {
      visited.add(child);
      stack.push({ node: child, next: 0 });
    }
  }
  return { vertices, result: inputOf(result) };
}

/** The last element of a marshalled definition: an op without a kind whose only input is the result. */
export function terminalOp(result: OpInput): Op {
  return { inputs: [result], body: { kind: 'terminal' } };
}

function merged(first: Vertex, second: Vertex): Vertex {
  const [a, b] = [first.metadata, second.metadata];
  const group = b.progressGroup ?? a.progressGroup;
  return {
    ...first,
    metadata: {
      description: { ...a.description, ...b.description },
      ignoreCache: a.ignoreCache || b.ignoreCache,
      caps: [...new Set([...a.caps, ...b.caps])].sort(byCodeUnit),
      ...(group === undefined ? {} : { progressGroup: group }),
      spans: [...a.spans, ...b.spans],
    },
  };
}
