/**
 * Matrix products.
 *
 * @module
 */

import { type Access, type Description, type Epilogue, type KernelOf, reads } from "./kernel.ts";
import { printAccess, printEpilogue } from "./text.ts";

/**
 * result[b, m, n] = sum over k of a[b, m, k] * b[b, k, n]. Strides of `a` are over [b, m, k], of `b`
 * over [b, k, n]; transposition is only a matter of strides. The epilogue's index space has
 * batch*M*N points in row-major order and its last axis is a multiple or a divisor of N... in
 * practice exactly N unless N is 1.
 */
export interface MatmulKernel extends KernelOf<"matmul"> {
  /** Number of products. */
  readonly batch: number;
  /** Rows of the result. */
  readonly m: number;
  /** Columns of the result. */
  readonly n: number;
  /** Length of the sums. */
  readonly k: number;
  /** The left factor, over [b, m, k]. */
  readonly a: Access;
  /** The right factor, over [b, k, n]. */
  readonly b: Access;
  /** What becomes of the product. */
  readonly epilogue: Epilogue;
}

/** Of matrix products. */
export const matmul: Description<MatmulKernel> = {
  operands: ({ batch, m, n, k }) => ({ a: reads(batch, m, k), b: reads(batch, k, n) }),
  flops: ({ batch, m, n, k }) => 2 * batch * m * n * k,
  print: ({ label, batch, m, n, k, a, b, epilogue }) =>
    `matmul ${label} ${batch} x ${m}x${n}x${k} ` +
    `a=${printAccess(a)} b=${printAccess(b)} ${printEpilogue(epilogue)}`,
};
