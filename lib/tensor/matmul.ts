/**
 * Matrix products.
 *
 * @module
 */

import { expand, reshape } from "./broadcast.ts";
import { add } from "./elementwise.ts";
import { requireType, shapeError, show } from "./shape.ts";
import { make, sameShape, sizeOf, type Tensor } from "./tensor.ts";
import { transpose } from "./view.ts";

/** Which sides are stored with their last two axes exchanged. */
export interface MatmulOptions {
  /** Whether a is stored as [...batch, K, M]. Default false. */
  readonly transA?: boolean;
  /** Whether b is stored as [...batch, N, K]. Default false. */
  readonly transB?: boolean;
}

/**
 * a [...batch, M, K] times b [...batch, K, N] -> [...batch, M, N]; with transA, a is stored as
 * [...batch, K, M], with transB, b as [...batch, N, K]. The batch axes must be equal, or absent on
 * one side.
 */
export function matmul(
  a: Tensor,
  b: Tensor,
  { transA = false, transB = false }: MatmulOptions = {},
): Tensor {
  requireType("matmul", "a", a, "f32");
  requireType("matmul", "b", b, "f32");
  const batchA = a.shape.slice(0, -2);
  const batchB = b.shape.slice(0, -2);
  const [m, k] = lastTwo(a, transA);
  const [k2, n] = lastTwo(b, transB);
  const batchFits = sameShape(batchA, batchB) || batchA.length === 0 || batchB.length === 0;
  if (a.shape.length < 2 || b.shape.length < 2 || k !== k2 || !batchFits) {
    throw shapeError(
      "matmul",
      "[..., M, K] and [..., K, N] with equal batch axes, or none on one side",
      `${show(a.shape)}${transA ? " transposed" : ""} and ` +
        `${show(b.shape)}${transB ? " transposed" : ""}`,
    );
  }
  if (batchA.length > batchB.length) {
    // Many rows against one matrix: a single product, and a single one for b's gradient.
    const rows = reshape(transA ? transpose(a) : a, [sizeOf(batchA) * m, k]);
    return reshape(product(rows, b, false, transB), [...batchA, m, n]);
  }
  const left = batchA.length < batchB.length ? expand(a, [...batchB, ...a.shape]) : a;
  return product(left, b, transA, transB);
}

/** x [..., in] times weight [out, in] transposed, plus bias [out] -> [..., out]. */
export function linear(x: Tensor, weight: Tensor, bias?: Tensor): Tensor {
  const features = x.shape.at(-1);
  if (weight.shape.length !== 2 || features !== weight.shape[1]) {
    throw shapeError("linear", `x [..., in] for weight ${show(weight.shape)}`, show(x.shape));
  }
  const [out] = weight.shape;
  if (bias && !sameShape(bias.shape, [out])) {
    throw shapeError("linear", `bias [${out}]`, show(bias.shape));
  }
  const y = matmul(reshape(x, [x.size / features, features]), weight, { transB: true });
  return reshape(bias ? add(y, bias) : y, [...x.shape.slice(0, -1), out]);
}

/** The node; both sides have the same batch axes. */
function product(a: Tensor, b: Tensor, transA: boolean, transB: boolean): Tensor {
  const [m] = lastTwo(a, transA);
  const [, n] = lastTwo(b, transB);
  const shape = [...a.shape.slice(0, -2), m, n];
  return make({ kind: "matmul", transA, transB }, [a, b], shape, (g) => [
    transA ? product(b, g, transB, true) : product(g, b, false, !transB),
    transB ? product(g, a, true, transA) : product(a, g, !transA, false),
  ]);
}

function lastTwo(x: Tensor, transposed: boolean): [number, number] {
  const [rows, columns] = x.shape.slice(-2);
  return transposed ? [columns, rows] : [rows, columns];
}
