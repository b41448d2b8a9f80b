/**
 * Reverse-mode differentiation, as a rewrite of the graph.
 *
 * @module
 */

import { InternalError } from "../base/errors.ts";
import { add } from "./elementwise.ts";
import { constantValue, full, zeros } from "./fill.ts";
import { requireShape, requireType, shapeError, show } from "./shape.ts";
import { type Node, sameShape, type Tensor, withStorage } from "./tensor.ts";

/** How the backward pass starts. */
export interface GradOptions {
  /** Gradient of the loss, of its shape. Default: 1, which needs a loss of one element. */
  readonly seed?: Tensor;
  /**
   * Partial derivatives: `wrt` are taken as independent of each other and of everything else, even
   * where one of them is computed from another. Default false.
   */
  readonly partial?: boolean;
}

/**
 * Gradients of `loss` with respect to each of `wrt`: new tensors of their shapes, zeros where the
 * loss does not depend on them. `wrt` may be any tensors of the graph but constants, which are
 * folded away while it is built.
 *
 * The graph is walked once from its newest to its oldest operation, so that contributions to one
 * tensor add up in an order that depends on the graph alone. Operations that do not lead to `wrt`
 * are not differentiated. A gradient is stored as the value that it belongs to.
 *
 * @example Gradients are tensors: they can be computed with, and differentiated again.
 * ```ts
 * import { grad, input, mul, square, sum } from "@imm/imm/tensor";
 * import assert from "node:assert/strict";
 *
 * const w = input("w", [4, 3]);
 * const loss = sum(square(w));
 * const [dw] = grad(loss, [w]);
 * const stepped = mul(dw, -0.1);
 * assert.deepEqual(stepped.shape, [4, 3]);
 * const [curvature] = grad(sum(dw), [w]); // 2 everywhere, once it is run
 * assert.deepEqual(curvature.shape, [4, 3]);
 * ```
 */
export function grad(
  loss: Tensor,
  wrt: readonly Tensor[],
  { seed, partial = false }: GradOptions = {},
): Tensor[] {
  requireType("grad", "a loss", loss, "f32");
  if (seed) requireShape("grad", "a seed", seed, loss.shape);
  else if (loss.size !== 1) throw shapeError("grad", "a scalar loss or a seed", show(loss.shape));
  for (const x of wrt) {
    requireType("grad", "tensors to differentiate by", x, "f32");
    if (constantValue(x) !== null) {
      throw shapeError(
        "grad",
        "inputs, state or computed tensors to differentiate by",
        "a constant",
      );
    }
  }

  const gradients = new Map<Tensor, Tensor>([[loss, seed ?? full(loss.shape, 1)]]);
  const targets = new Set(wrt);
  const path = nodesBetween(loss, targets, partial);
  for (const node of [...path].reverse()) {
    const outputGradients = node.outputs.map((output) => gradients.get(output) ?? null);
    if (!node.vjp || outputGradients.every((g) => g === null)) continue;
    const rule = node.vjp;
    const contributions = withStorage(node.storage, () => rule(outputGradients));
    node.gradientInputs.forEach((x, i) => {
      const contribution = contributions[i];
      if (!contribution || !(targets.has(x) || path.has(x.node))) return;
      if (!sameShape(contribution.shape, x.shape)) {
        throw new InternalError(
          `the gradient of ${node.op.kind} for input ${i} has shape ${show(contribution.shape)}, ` +
            `the input ${show(x.shape)}`,
        );
      }
      const sofar = gradients.get(x);
      const total = (first: Tensor) => withStorage(x.node.storage, () => add(first, contribution));
      gradients.set(x, sofar ? total(sofar) : contribution);
    });
  }
  return wrt.map((x) => gradients.get(x) ?? zeros(x.shape));
}

/** The nodes through which the loss depends on `wrt`, oldest first. */
function nodesBetween(loss: Tensor, wrt: ReadonlySet<Tensor>, partial: boolean): Set<Node> {
  const reachable = new Set<Node>();
  const open = [loss.node];
  for (let node = open.pop(); node; node = open.pop()) {
    if (reachable.has(node)) continue;
    reachable.add(node);
    if (!node.vjp) continue;
    for (const x of node.gradientInputs) if (!partial || !wrt.has(x)) open.push(x.node);
  }
  const path = new Set<Node>();
  for (const node of [...reachable].sort((a, b) => a.id - b.id)) {
    const leads = node.gradientInputs.some((x) => wrt.has(x) || path.has(x.node));
    if (node.vjp && leads) path.add(node);
  }
  return path;
}
