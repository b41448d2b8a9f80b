/**
 * Matrix products of tensors.
 *
 * @module
 */

import type { Access } from "../../../compile/kernels/kernel.ts";
import type { MatmulKernel } from "../../../compile/kernels/matmul.ts";
import type { Encoder } from "../encoder.ts";
import { encodePackedProduct, encodeRowProduct, type Matrix, segmented } from "./product.ts";

/** Appends a matrix product. */
export function encodeMatmul(encoder: Encoder, kernel: MatmulKernel): void {
  const { epilogue } = kernel;
  const matrix = (access: Access): Matrix => {
    const [batchStride, rowStride, columnStride] = access.strides;
    return { start: encoder.address(access), batchStride, rowStride, columnStride };
  };
  const { batch, m, n, k } = kernel;
  const a = matrix(kernel.a);
  const b = matrix(kernel.b);
  // Matrices that share the right one are one matrix where their rows follow each other.
  const merged = b.batchStride === 0 && a.batchStride === m * a.rowStride;
  const size = merged ? { batch: 1, m: batch * m, n, k } : { batch, m, n, k };
  if (a.columnStride === 1 || k === 1) {
    encodeRowProduct(encoder, size, { kind: "matrix", matrix: a }, segmented(b, k), epilogue);
  } else {
    const columns = { ...a, rowStride: a.columnStride, columnStride: a.rowStride };
    const left = { kind: "matrix", matrix: columns } as const;
    encodePackedProduct(encoder, size, left, segmented(b, k), epilogue);
  }
}
