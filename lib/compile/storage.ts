/**
 * Which tensors are put into memory. Contractions, reductions and the like always are; an
 * element-wise result only where recomputing it in each kernel that needs it would cost more.
 *
 * @module
 */

import type { Node, Tensor } from "../tensor/tensor.ts";
import type { Graph } from "./graph.ts";
import { hasEpilogue, isElementwise, isView } from "./operations.ts";

/** Element-wise functions that cost about as much as several additions. */
const COSTLY = new Set(["exp", "expm1", "log", "sin", "cos", "tanh", "sigmoid", "div", "sqrt"]);
const COSTLY_WEIGHT = 4;

/** Recomputing up to this much in a second kernel is cheaper than a trip through memory. */
const CHEAP_LOADS = 2;
const CHEAP_WEIGHT = 12;
/** Recomputing more than this for every element of a larger tensor is not. */
const REPEATED_WEIGHT = 4;
/** One expression reads at most so many buffers; WebGPU guarantees only 8 to a kernel. */
const MAX_SOURCES = 7;

/** What it takes to compute an element from memory. */
interface Cost {
  /** Tensors that are read. */
  readonly sources: ReadonlySet<Tensor>;
  /** How many of them are of about the same size. */
  readonly loads: number;
  readonly weight: number;
}

/** Where an element-wise tensor would be evaluated if it were not stored. */
interface Uses {
  /** Kernels, each represented by something unique to it. */
  readonly kernels: Set<unknown>;
  /** Whether an operation needs it in memory as an operand. */
  operand: boolean;
  /** The largest number of points at which a kernel evaluates it. */
  points: number;
}

/** Where values go: what is stored, and which contraction finishes which element-wise chain. */
export interface StorageDecision {
  readonly stored: ReadonlySet<Tensor>;
  /** For a stored element-wise tensor: the result whose kernel computes it as its epilogue. */
  readonly anchors: ReadonlyMap<Tensor, Tensor>;
}

/** Decides for every tensor of the graph. `roots` are stored in any case. */
export function decideStorage(
  graph: Graph,
  roots: ReadonlySet<Tensor>,
  fuse: boolean,
): StorageDecision {
  const stored = new Set<Tensor>();
  const { costs, crowded } = estimateCosts(graph);
  const uses = new Map<Tensor, Uses>();

  for (const node of graph.nodes.toReversed()) {
    for (const tensor of node.outputs) {
      const use = collectUses(graph, tensor, stored, uses);
      uses.set(tensor, use);
      if (isView(tensor)) continue;
      const needed = roots.has(tensor) || use.operand || crowded.has(tensor);
      if (!isElementwise(tensor) || needed) stored.add(tensor);
      else if (node.op.kind === "constant") continue;
      else if (!fuse || !worthRecomputing(tensor, costs.get(tensor)!, use)) stored.add(tensor);
    }
  }
  return { stored, anchors: fuse ? attachEpilogues(graph, roots, stored) : new Map() };
}

function collectUses(
  graph: Graph,
  tensor: Tensor,
  stored: ReadonlySet<Tensor>,
  uses: ReadonlyMap<Tensor, Uses>,
): Uses {
  const use: Uses = { kernels: new Set(), operand: false, points: 0 };
  const add = (kernel: unknown, points: number) => {
    use.kernels.add(kernel);
    use.points = Math.max(use.points, points);
  };
  for (const consumer of graph.consumers(tensor)) {
    const [first] = consumer.outputs;
    switch (consumer.op.kind) {
      case "map":
      case "reshape":
      case "permute":
      case "slice":
      case "expand":
      case "split":
        for (const output of consumer.outputs) {
          if (stored.has(output)) {
            add(output, output.size);
            continue;
          }
          const inner = uses.get(output)!;
          for (const kernel of inner.kernels) add(kernel, inner.points);
          if (isView(output)) use.operand ||= inner.operand;
        }
        break;
      case "reduce":
      case "moments":
        add(first, consumer.inputs[0].size);
        break;
      case "pad":
        add(first, tensor.size);
        break;
      case "concat":
        // A part with no other use is written straight to its place.
        add(first, tensor.size);
        use.operand ||= isElementwise(tensor);
        break;
      default:
        use.operand = true;
    }
  }
  return use;
}

function worthRecomputing(tensor: Tensor, cost: Cost, use: Uses): boolean {
  if (use.points > tensor.size && cost.weight > REPEATED_WEIGHT) return false;
  if (use.kernels.size <= 1) return true;
  return isCheap(cost);
}

function isCheap(cost: Cost): boolean {
  return cost.loads <= CHEAP_LOADS && cost.weight <= CHEAP_WEIGHT;
}

/**
 * Costs under the assumption that what is costly and needed more than once gets stored. `crowded`
 * are tensors that must be stored because an expression with them would read too many others.
 */
function estimateCosts(graph: Graph): { costs: Map<Tensor, Cost>; crowded: Set<Tensor> } {
  const costs = new Map<Tensor, Cost>();
  const crowded = new Set<Tensor>();
  for (const node of graph.nodes) {
    for (const tensor of node.outputs) {
      if (!isElementwise(tensor) && !isView(tensor)) {
        costs.set(tensor, { sources: new Set([tensor]), loads: 1, weight: 0 });
        continue;
      }
      const inputs = [...new Set(graph.inputs(node))];
      const recomputed = new Set(
        inputs.filter((input) => graph.consumers(input).length <= 1 || isCheap(costs.get(input)!)),
      );
      const sources = () =>
        new Set(
          inputs.flatMap((input) =>
            recomputed.has(input) ? [...costs.get(input)!.sources] : [input]
          ),
        );
      // The inputs that bring the most sources are stored until the rest fits.
      const byNeed = inputs.filter((input) => baseOf(graph, input) !== null)
        .sort((a, b) => costs.get(a)!.sources.size - costs.get(b)!.sources.size);
      while (buffersOf(sources()) > MAX_SOURCES && byNeed.length > 0) {
        const input = byNeed.pop()!;
        const base = baseOf(graph, input)!;
        crowded.add(base);
        costs.set(base, { sources: new Set([base]), loads: 1, weight: 0 });
        costs.set(input, costs.get(base)!);
      }
      const all = sources();
      let weight = ownWeight(node);
      for (const input of recomputed) weight += costs.get(input)!.weight;
      const loads = [...all].filter((source) => source.size * 2 >= tensor.size).length;
      costs.set(tensor, { sources: all, loads, weight });
    }
  }
  return { costs, crowded };
}

/** How many buffers tensors lie in: an arena is one, whatever is read of it. */
function buffersOf(tensors: Iterable<Tensor>): number {
  const buffers = new Set<unknown>();
  for (const { node, index } of tensors) {
    buffers.add(node.op.kind === "state" ? node.op.arena : node.outputs[index]);
  }
  return buffers.size;
}

/** The element-wise tensor behind an input's views, or null when it is in memory anyway. */
function baseOf(graph: Graph, input: Tensor): Tensor | null {
  let base = input;
  while (isView(base)) base = graph.resolve(base.node.inputs[0]);
  return isElementwise(base) && base.node.op.kind !== "constant" ? base : null;
}

function ownWeight(node: Node): number {
  switch (node.op.kind) {
    case "map":
      return COSTLY.has(node.op.fn) ? COSTLY_WEIGHT : 1;
    case "random":
      return node.op.distribution === "normal" ? 3 * COSTLY_WEIGHT + 1 : 2 * COSTLY_WEIGHT;
    default:
      return 0;
  }
}

/**
 * For each contraction or reduction, follows its result through element-wise operations of the
 * same size as long as nobody else needs the value in between; the last value is what the kernel
 * stores. Where the ways of two results meet, the later one goes on and the earlier one ends: a sum
 * of many results is added up one by one, each in the kernel that makes the next.
 */
function attachEpilogues(
  graph: Graph,
  roots: ReadonlySet<Tensor>,
  stored: Set<Tensor>,
): Map<Tensor, Tensor> {
  const anchors = new Map<Tensor, Tensor>();
  const claimed = new Set<Tensor>();
  for (const node of graph.nodes.toReversed()) {
    if (!hasEpilogue(node)) continue;
    const [result] = node.outputs;
    let last: Tensor | null = null;
    for (const tensor of chainFrom(graph, roots, stored, result)) {
      if (claimed.has(tensor)) break;
      claimed.add(tensor);
      last = tensor;
    }
    if (!last) continue;
    anchors.set(last, result);
    stored.add(last);
    stored.delete(result);
  }
  return anchors;
}

/** The element-wise tensors that can follow a result in its own kernel, in order. */
function* chainFrom(
  graph: Graph,
  roots: ReadonlySet<Tensor>,
  stored: ReadonlySet<Tensor>,
  result: Tensor,
): Generator<Tensor> {
  for (let tensor = result; !roots.has(tensor);) {
    const consumers = graph.consumers(tensor);
    if (consumers.length !== 1) return;
    const [next] = consumers[0].outputs;
    if (next.size !== result.size) return;
    const { kind } = consumers[0].op;
    if (kind !== "map" && kind !== "reshape") return;
    if (kind === "map") yield next;
    if (stored.has(next)) return;
    tensor = next;
  }
}
