/**
 * Distances between all pairs of samples of a group.
 *
 * @module
 */

import { square, sub } from "./elementwise.ts";
import { sum } from "./reduce.ts";
import { requireRank, requireShape } from "./shape.ts";
import type { Tensor } from "./tensor.ts";
import { unsqueeze } from "./view.ts";

/**
 * a [G,M,D], b [G,N,D] -> [G,M,N]: squared Euclidean distances, from direct differences.
 *
 * The usual |a|^2 + |b|^2 - 2ab would be one matrix product, but it cancels for the close pairs
 * that moment matching is about.
 */
export function pairwiseSquaredDistance(a: Tensor, b: Tensor): Tensor {
  requireRank("pairwiseSquaredDistance", "a [G, M, D]", a, 3);
  requireRank("pairwiseSquaredDistance", "b [G, N, D]", b, 3);
  requireShape("pairwiseSquaredDistance", "b", b, [a.shape[0], b.shape[1], a.shape[2]]);
  return sum(square(sub(unsqueeze(a, 2), unsqueeze(b, 1))), -1);
}
