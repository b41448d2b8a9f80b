/**
 * The nearest rows of one set for those of another.
 *
 * @module
 */

import { UsageError } from "../../base/errors.ts";
import { pairsOf, panelsOf, type StatisticsPool, withPool } from "./pool.ts";
import type { Features } from "./statistics.ts";

/** For each query the number of the nearest reference (the first of equals). */
export interface Neighbours {
  /** Row of the nearest reference. */
  readonly index: Uint32Array;
  /** Squared Euclidean distance. */
  readonly squaredDistance: Float64Array;
}

/**
 * The nearest row of `references` for each row of `queries`.
 *
 * @param pool threads; default: one for this call
 * @throws {UsageError} when the dimensions differ or there are no references
 */
export function nearestNeighbours(
  queries: Features,
  references: Features,
  pool?: StatisticsPool,
): Promise<Neighbours> {
  return withPool(pool, async (pool) => {
    requireSameDimension(queries, references);
    if (references.rows === 0) {
      throw new UsageError("Nearest neighbours need one reference image at least, found none.");
    }
    const { dimension } = queries;
    const index = new Uint32Array(queries.rows);
    const squaredDistance = new Float64Array(queries.rows).fill(Infinity);
    const pairs = pairsOf(panelsOf(queries), panelsOf(references));
    await pool.run(
      pairs.length,
      (index) => ({ kind: "nearest", dimension, a: pairs[index][0], b: pairs[index][1] }),
      (found, pair) => {
        const [a, b] = pairs[pair];
        found.squaredDistance.forEach((distance, i) => {
          if (!(distance < squaredDistance[a.start + i])) return;
          squaredDistance[a.start + i] = distance;
          index[a.start + i] = b.start + found.index[i];
        });
      },
    );
    return { index, squaredDistance };
  });
}

/** @throws {UsageError} when the features of two sets differ in dimension */
export function requireSameDimension(a: Features, b: Features): void {
  if (a.dimension !== b.dimension) {
    throw new UsageError(
      `Neighbours need the same features on both sides: found dimensions ${a.dimension} and ` +
        `${b.dimension}. Use one extractor for both.`,
    );
  }
}
