/**
 * Element-wise kernels: views, fused functions, copies.
 *
 * @module
 */

import {
  type Description,
  type Expression,
  type KernelOf,
  notCounted,
  type Store,
} from "./kernel.ts";
import { printBody } from "./text.ts";

/** Element-wise: every index evaluates the expression and performs the stores. */
export interface ElementwiseKernel extends KernelOf<"elementwise"> {
  /** What every index computes. */
  readonly body: Expression;
  /** Which values are written. */
  readonly stores: readonly Store[];
}

/** Of element-wise kernels. */
export const elementwise: Description<ElementwiseKernel> = {
  operands: () => ({}),
  flops: notCounted,
  print: ({ label, body, stores }) => `elementwise ${label} ${printBody(body, stores)}`,
};
