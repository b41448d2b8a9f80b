/**
 * Tensors filled with one number.
 *
 * @module
 */

import { constant, type DType, make, sameShape, type Shape, type Tensor } from "./tensor.ts";

/** A tensor with `value` everywhere. Nothing is stored for it: it is one constant, repeated. */
export function full(shape: Shape, value: number, dtype: DType = "f32"): Tensor {
  const scalar = constant(value, dtype);
  if (shape.length === 0) return scalar;
  const ones = shape.map(() => 1);
  const one = make({ kind: "reshape" }, [scalar], ones, null, dtype);
  return sameShape(ones, shape) ? one : make({ kind: "expand" }, [one], shape, null, dtype);
}

/** A tensor of zeros. */
export function zeros(shape: Shape, dtype: DType = "f32"): Tensor {
  return full(shape, 0, dtype);
}

/** The number that fills the tensor, or null where it is not a constant of the graph. */
export function constantValue(x: Tensor): number | null {
  let { op, inputs } = x.node;
  while (op.kind === "reshape" || op.kind === "expand") ({ op, inputs } = inputs[0].node);
  return op.kind === "constant" ? op.value : null;
}
