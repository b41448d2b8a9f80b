/** Feature sets for the tests of lib/eval. */

import type { Features } from "../../../lib/eval/statistics/statistics.ts";
import { goldenTensor, goldenTensors } from "./fixtures.ts";

const tensors = goldenTensors("stats");

/** One feature matrix of the `stats` fixture, or its first rows. */
export function goldenFeatures(name: string, rows?: number): Features {
  const { shape, data } = goldenTensor(tensors, name);
  const count = rows ?? shape[0];
  return {
    rows: count,
    dimension: shape[1],
    data: (data as Float32Array).subarray(0, count * shape[1]),
  };
}

/** Rows cut out of an index tensor `[subsets, size]`. */
export function goldenIndexRows(name: string): Int32Array[] {
  const { shape, data } = goldenTensor(tensors, name);
  return Array.from(
    { length: shape[0] },
    (_, i) => (data as Int32Array).subarray(i * shape[1], (i + 1) * shape[1]),
  );
}

/** Any other array of the fixture. */
export function goldenArray(name: string): Float32Array {
  return goldenTensor(tensors, name).data as Float32Array;
}

/** Reproducible features, uniform in [-1, 1). */
export function pseudoRandom(rows: number, dimension: number, seed = 1): Features {
  let state = seed >>> 0;
  const data = Float32Array.from({ length: rows * dimension }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 31 - 1;
  });
  return { rows, dimension, data };
}
