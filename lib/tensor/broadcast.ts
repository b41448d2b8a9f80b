/**
 * Broadcasting and what undoes it: a sum is the gradient of {@link expand}, and the other way round.
 * What all other operations are made with, so this file imports none of them.
 *
 * @module
 */

import { broadcastShapes, reducedShape, shapeError, show } from "./shape.ts";
import { make, sameShape, type Shape, sizeOf, type Tensor } from "./tensor.ts";

/** The same elements in row-major order under another shape; one size may be -1 (what is left). */
export function reshape(x: Tensor, shape: Shape): Tensor {
  const known = shape.reduce((product, n) => n === -1 ? product : product * n, 1);
  const target = shape.map((n) => n === -1 ? x.size / known : n);
  const open = shape.filter((n) => n === -1).length;
  if (open > 1 || sizeOf(target) !== x.size || !target.every((n) => Number.isInteger(n))) {
    throw shapeError("reshape", `a shape of ${x.size} elements for ${show(x.shape)}`, show(shape));
  }
  if (sameShape(target, x.shape)) return x;
  return make({ kind: "reshape" }, [x], target, (g) => [reshape(g, x.shape)], x.dtype);
}

/** Repeats axes of size 1 to reach `shape`, after adding axes in front as numpy does. */
export function expand(x: Tensor, shape: Shape): Tensor {
  if (sameShape(x.shape, shape)) return x;
  if (!sameShape(broadcastShapes("expand", x.shape, shape), shape)) {
    throw shapeError("expand", `a shape that ${show(x.shape)} broadcasts to`, show(shape));
  }
  const added = new Array<number>(shape.length - x.shape.length).fill(1);
  const aligned = reshape(x, [...added, ...x.shape]);
  if (sameShape(aligned.shape, shape)) return aligned;
  const vjp = (g: Tensor) => [sumTo(g, aligned.shape)];
  return make({ kind: "expand" }, [aligned], shape, vjp, x.dtype);
}

/** Sum over `axes`, which stay with size 1. */
export function sumKeeping(x: Tensor, axes: readonly number[]): Tensor {
  const shape = reducedShape(x.shape, axes);
  if (sameShape(shape, x.shape)) return x;
  return make({ kind: "reduce", fn: "sum", axes }, [x], shape, (g) => [expand(g, x.shape)]);
}

/** Sums a gradient of a broadcast value back to the shape the value had. */
export function sumTo(x: Tensor, shape: Shape): Tensor {
  if (sameShape(x.shape, shape)) return x;
  const added = x.shape.length - shape.length;
  const axes = x.shape.flatMap((n, i) => i < added || shape[i - added] !== n ? [i] : []);
  return reshape(sumKeeping(x, axes), shape);
}
