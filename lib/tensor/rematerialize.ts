/**
 * Less memory for more arithmetic: parts of a graph whose inner values are not kept for the
 * backward pass but computed again there (Chen et al. 2016, "Training Deep Nets with Sublinear
 * Memory Cost"; also called activation checkpointing).
 *
 * @module
 */

import { constantValue } from "./fill.ts";
import { grad } from "./grad.ts";
import { customGradient, inNewRegion, nextNodeId, type Tensor } from "./tensor.ts";

/**
 * What `build` returns, with the same value and the same gradients, but for the gradients `build`
 * is called again: only what it reads from outside is kept from the forward pass.
 *
 * @param build a pure function of tensors made before; it may read state and random keys
 *
 * @example
 * ```ts
 * import { grad, input, matmul, rematerialize, silu, sum } from "@imm/imm/tensor";
 * import assert from "node:assert/strict";
 *
 * const [x, w] = [input("x", [64, 8]), input("w", [8, 8])];
 * const y = rematerialize(() => silu(matmul(silu(matmul(x, w)), w)));
 * const [dw] = grad(sum(y), [w]);
 * assert.deepEqual(dw.shape, [8, 8]);
 * ```
 */
export function rematerialize(build: () => Tensor): Tensor {
  const first = nextNodeId();
  const value = build();
  const outside = boundary(value, first);
  return customGradient(
    value,
    outside,
    (gradient) => inNewRegion(() => grad(build(), outside, { seed: gradient, partial: true })),
  );
}

/** What `value` reads, and can be differentiated by, of the nodes older than `first`. */
function boundary(value: Tensor, first: number): Tensor[] {
  const found = new Set<Tensor>();
  const seen = new Set<Tensor>();
  const open = [value];
  for (let tensor = open.pop(); tensor; tensor = open.pop()) {
    if (seen.has(tensor)) continue;
    seen.add(tensor);
    const { node } = tensor;
    if (node.id >= first && node.op.kind !== "state" && node.op.kind !== "input") {
      open.push(...node.inputs);
    } else if (tensor.dtype === "f32" && constantValue(tensor) === null) found.add(tensor);
  }
  // In the order of the graph, so that it is the same for the same graph.
  return [...found].sort((a, b) => a.node.id - b.node.id || a.index - b.index);
}
