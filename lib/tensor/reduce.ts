/**
 * Sums, means and maxima over axes, and the moments that normalisation layers need.
 *
 * @module
 */

import { expand, reshape, sumKeeping } from "./broadcast.ts";
import { add, div, equal, mul, sub } from "./elementwise.ts";
import { normalizeAxes, reducedShape, requireType, shapeError, show } from "./shape.ts";
import { make, Node, sameShape, sizeOf, type Tensor, withStorage } from "./tensor.ts";

/** Axes to reduce: one, several, or (undefined) all; negative ones count from the last. */
export type Axes = number | readonly number[];

/** Sum over `axes`, by default all of them. */
export function sum(x: Tensor, axes?: Axes, keepDims = false): Tensor {
  requireType("sum", "a tensor", x, "f32");
  const list = normalizeAxes("sum", axes, x.shape.length);
  return dropAxes(sumKeeping(x, list), list, keepDims);
}

/** Mean over `axes`, by default all of them. */
export function mean(x: Tensor, axes?: Axes, keepDims = false): Tensor {
  const list = normalizeAxes("mean", axes, x.shape.length);
  const count = sizeOf(list.map((axis) => x.shape[axis]));
  const total = sum(x, list, keepDims);
  return withStorage("f32", () => mul(total, 1 / count)); // as the sum itself
}

/**
 * Maximum over `axes`, by default all of them. Where several elements are the maximum, each gets
 * an equal share of the gradient.
 */
export function max(x: Tensor, axes?: Axes, keepDims = false): Tensor {
  requireType("max", "a tensor", x, "f32");
  const list = normalizeAxes("max", axes, x.shape.length);
  if (list.some((axis) => x.shape[axis] === 0)) {
    throw shapeError("max", "at least one element per maximum", show(x.shape));
  }
  const shape = reducedShape(x.shape, list);
  if (sameShape(shape, x.shape)) return dropAxes(x, list, keepDims);
  const kept = make({ kind: "reduce", fn: "max", axes: list }, [x], shape, (g) => {
    const isMax = equal(x, kept);
    return [mul(isMax, div(g, sumKeeping(isMax, list)))];
  });
  return dropAxes(kept, list, keepDims);
}

/**
 * Mean and 1/sqrt(variance + eps) over `axes`, which stay with size 1. The variance is the biased
 * one (divided by the count) and is computed from the differences to the mean.
 */
export function moments(x: Tensor, axes: Axes, eps: number): { mean: Tensor; rstd: Tensor } {
  requireType("moments", "a tensor", x, "f32");
  const list = normalizeAxes("moments", axes, x.shape.length);
  const shape = reducedShape(x.shape, list);
  const count = sizeOf(list.map((axis) => x.shape[axis]));
  const output = { shape, dtype: "f32" as const };
  const node: Node = new Node(
    { kind: "moments", axes: list, eps },
    [x],
    [output, output],
    ([gMean, gRstd]) => {
      const [center, rstd] = node.outputs;
      const viaMean = gMean && expand(mul(gMean, 1 / count), x.shape);
      if (!gRstd) return [viaMean];
      // d rstd / dx = -rstd^3 (x - mean) / count; the mean's own share adds up to nothing.
      const slope = mul(gRstd, mul(mul(rstd, mul(rstd, rstd)), -1 / count));
      const viaRstd = mul(slope, sub(x, center));
      return [viaMean ? add(viaMean, viaRstd) : viaRstd];
    },
  );
  return { mean: node.outputs[0], rstd: node.outputs[1] };
}

function dropAxes(x: Tensor, axes: readonly number[], keepDims: boolean): Tensor {
  return keepDims ? x : reshape(x, x.shape.filter((_, i) => !axes.includes(i)));
}
