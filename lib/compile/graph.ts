/**
 * The part of the graph that a program needs, without duplicates: dead code is never visited,
 * operations that compute the same thing are one, identities are gone.
 *
 * @module
 */

import type { Node, Op, Tensor } from "../tensor/tensor.ts";
import type { Program } from "./program.ts";

/** Operations that only look at their input in another way. */
const VIEWS: ReadonlySet<Op["kind"]> = new Set(["reshape", "permute", "slice", "expand", "split"]);

/** Whether the tensor is another view of its node's input. */
export function isView(tensor: Tensor): boolean {
  return VIEWS.has(tensor.node.op.kind);
}

/** Whether the tensor can be computed anywhere, point by point. */
export function isElementwise(tensor: Tensor): boolean {
  const kind = tensor.node.op.kind;
  return kind === "map" || kind === "constant" || kind === "random";
}

/** The needed nodes of a program, in topological order, with their consumers. */
export class Graph {
  /** Canonical nodes in order of id, which is a topological order. */
  readonly nodes: readonly Node[];
  #canonical = new Map<Tensor, Tensor>();
  #consumers = new Map<Tensor, Node[]>();

  constructor(program: Program) {
    const roots = [
      ...Object.values(program.outputs),
      ...program.updates.map((update) => update.value),
    ];
    const nodes: Node[] = [];
    const known = new Map<string, Node>();
    for (const node of reachable(roots)) {
      const inputs = node.inputs.map((input) => this.resolve(input));
      if (node.op.kind === "identity") {
        this.#canonical.set(node.outputs[0], inputs[0]);
        continue;
      }
      const key = signature(node, inputs);
      const twin = known.get(key);
      if (twin) {
        node.outputs.forEach((output, i) => this.#canonical.set(output, twin.outputs[i]));
        continue;
      }
      known.set(key, node);
      nodes.push(node);
      for (const tensor of new Set(inputs)) {
        const list = this.#consumers.get(tensor);
        if (list) list.push(node);
        else this.#consumers.set(tensor, [node]);
      }
    }
    this.nodes = nodes;
  }

  /** The tensor that stands for this one. */
  resolve(tensor: Tensor): Tensor {
    return this.#canonical.get(tensor) ?? tensor;
  }

  /** The node's inputs, each resolved. */
  inputs(node: Node): Tensor[] {
    return node.inputs.map((input) => this.resolve(input));
  }

  /** Needed nodes that read the (canonical) tensor. */
  consumers(tensor: Tensor): readonly Node[] {
    return this.#consumers.get(tensor) ?? [];
  }
}

/** Nodes that the roots depend on, in order of id. */
function reachable(roots: readonly Tensor[]): Node[] {
  const seen = new Set<Node>();
  const stack = roots.map((root) => root.node);
  for (let node = stack.pop(); node; node = stack.pop()) {
    if (seen.has(node)) continue;
    seen.add(node);
    for (const input of node.inputs) stack.push(input.node);
  }
  return [...seen].sort((a, b) => a.id - b.id);
}

/** Equal for nodes that compute the same values. */
function signature(node: Node, inputs: readonly Tensor[]): string {
  const op = node.op.kind === "state" ? [node.op.arena.name, node.op.name] : node.op;
  const outputs = node.outputs.map((output) => [output.shape, output.dtype]);
  return JSON.stringify([op, inputs.map((t) => [t.node.id, t.index]), outputs]);
}
