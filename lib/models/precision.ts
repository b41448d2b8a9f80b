/**
 * How networks are stored while they run.
 *
 * @module
 */

import { type Storage, withStorage } from "../tensor/tensor.ts";

/** Names of the precisions. */
export const PRECISIONS = ["float32", "float16"] as const;

/**
 * How weights and activations lie in memory while a network runs: `float16` halves memory and traffic.
 * Products, norms, softmax and sums are computed in float32 either way.
 */
export type Precision = typeof PRECISIONS[number];

/**
 * Runs `build` with values stored in a precision: the graphs that it makes, and the parameters of the
 * networks that it creates.
 */
export function atPrecision<Result>(precision: Precision, build: () => Result): Result {
  return withStorage(STORAGE[precision], build);
}

const STORAGE: Readonly<Record<Precision, Storage>> = { float32: "f32", float16: "f16" };
