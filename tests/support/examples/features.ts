/** Features made up, for tests of what is computed from them. */

import type { Features } from "../../../lib/eval/statistics/statistics.ts";

/** Reproducible features, uniform in [-1, 1). */
export function pseudoRandom(rows: number, dimension: number, seed = 1): Features {
  let state = seed >>> 0;
  const data = Float32Array.from({ length: rows * dimension }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 31 - 1;
  });
  return { rows, dimension, data };
}

/** Two sets with other means and widths. */
export function twoSets(rowsA = 600, rowsB = 500): [Features, Features] {
  const b = pseudoRandom(rowsB, 16, 2);
  return [pseudoRandom(rowsA, 16, 1), { ...b, data: b.data.map((x) => 0.5 * x + 0.25) }];
}
