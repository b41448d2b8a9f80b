/**
 * The part of the graph that a program needs, without duplicates: dead code is never visited,
 * operations that compute the same thing are one, identities are gone.
 *
 * @module
 */

import type { Arena } from "../tensor/state.ts";
import { Node, type Tensor } from "../tensor/tensor.ts";
import type { Program } from "./program.ts";

/** The needed nodes of a program, in topological order, with their consumers. */
export class Graph {
  /** Canonical nodes in a topological order. */
  readonly nodes: readonly Node[];
  #canonical = new Map<Tensor, Tensor>();
  #consumers = new Map<Tensor, Node[]>();
  #positions = new Map<Node, number>();

  constructor(program: Program) {
    const roots = [
      ...Object.values(program.outputs),
      ...program.updates.map((update) => update.value),
    ];
    this.nodes = this.#shareSums(this.#mergeTwins(reachable(roots)));
    this.nodes.forEach((node, position) => {
      this.#positions.set(node, position);
      for (const tensor of new Set(this.inputs(node))) {
        const list = this.#consumers.get(tensor);
        if (list) list.push(node);
        else this.#consumers.set(tensor, [node]);
      }
    });
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

  /** The node's place in {@link nodes}. */
  position(node: Node): number {
    return this.#positions.get(node)!;
  }

  /** Leaves one of several nodes that compute the same, and no identities. */
  #mergeTwins(nodes: readonly Node[]): Node[] {
    const known = new Map<string, Node>();
    const kept: Node[] = [];
    for (const node of nodes) {
      const inputs = this.inputs(node);
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
      kept.push(node);
    }
    return kept;
  }

  /**
   * Sums over more axes are made from sums over fewer of them, where a program needs both: a bias
   * and an embedding that were added to one tensor cost one pass over its gradient.
   */
  #shareSums(nodes: readonly Node[]): Node[] {
    const sums = new Map<Tensor, Node[]>();
    for (const node of nodes) {
      if (node.op.kind !== "reduce" || node.op.fn !== "sum") continue;
      const [input] = this.inputs(node);
      const list = sums.get(input);
      if (list) list.push(node);
      else sums.set(input, [node]);
    }
    const moved = new Set<Node>();
    const kept: Node[] = [];
    for (const node of nodes) {
      if (moved.has(node)) continue;
      const finer = finerSum(node, sums.get(this.inputs(node)[0]) ?? []);
      if (finer && finer.op.kind === "reduce" && node.op.kind === "reduce") {
        if (!kept.includes(finer) && !moved.has(finer)) {
          // It depends on the same input alone, so it can be made here already.
          kept.push(finer);
          moved.add(finer);
        }
        const done = finer.op.axes;
        const axes = node.op.axes.filter((axis) => !done.includes(axis));
        const rest = new Node({ ...node.op, axes }, finer.outputs, node.outputs, null);
        this.#canonical.set(node.outputs[0], rest.outputs[0]);
        kept.push(rest);
      } else kept.push(node);
    }
    return kept;
  }
}

/** Of the sums of the same tensor, one over some of the node's axes, the more of them the better. */
function finerSum(node: Node, sums: readonly Node[]): Node | null {
  if (node.op.kind !== "reduce" || node.op.fn !== "sum") return null;
  const { axes } = node.op;
  let best: Node | null = null;
  for (const other of sums) {
    if (other.op.kind !== "reduce" || other.op.axes.length >= axes.length) continue;
    if (!other.op.axes.every((axis) => axes.includes(axis))) continue;
    if (best?.op.kind === "reduce" && best.op.axes.length >= other.op.axes.length) continue;
    best = other;
  }
  return best;
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
  const op = node.op.kind === "state" ? [arenaNumber(node.op.arena), node.op.name] : node.op;
  const outputs = node.outputs.map((output) => [output.shape, output.dtype]);
  // What is given and not computed is the same in every region, and stored in one way.
  const given = ["state", "input", "constant"].includes(node.op.kind);
  const how = given ? [] : [node.region, node.storage];
  return JSON.stringify([op, inputs.map((t) => [t.node.id, t.index]), outputs, how]);
}

const arenaNumbers = new WeakMap<Arena, number>();
let arenas = 0;

/** Tells arenas apart; their names do not, for two networks of one kind have arenas of one name. */
function arenaNumber(arena: Arena): number {
  let number = arenaNumbers.get(arena);
  if (number === undefined) arenaNumbers.set(arena, number = arenas++);
  return number;
}
