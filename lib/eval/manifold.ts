/**
 * How two sets of features overlap, counted with nearest neighbours.
 *
 * @module
 */

import { UsageError } from "../errors.ts";
import type { Features } from "./statistics.ts";
import { module, withScratch } from "./statistics_module.ts";

/** Fidelity and diversity of generated images; all are shares except density. */
export interface ManifoldMetrics {
  /** Share of fake points within the ball of some real point. */
  readonly precision: number;
  /** Share of real points within the ball of some fake point. */
  readonly recall: number;
  /** Mean number of real balls around a fake point, over k; can exceed 1. */
  readonly density: number;
  /** Share of real balls with a fake point inside. */
  readonly coverage: number;
}

/**
 * Precision and recall (Kynkäänniemi et al. 2019, https://arxiv.org/abs/1904.06991) and density
 * and coverage (Naeem et al. 2020, https://arxiv.org/abs/2002.09797). The ball of a point reaches
 * to its k-th nearest other point of its own set; its border counts for precision and recall and
 * does not for density and coverage, as in the authors' code. The papers use k = 3 and k = 5.
 *
 * The cost is quadratic: 10,000 images on each side are plenty.
 *
 * @throws {UsageError} when the dimensions differ or a side has no more than k rows
 */
export function manifoldMetrics(real: Features, fake: Features, k: number): ManifoldMetrics {
  requireSameDimension(real, fake);
  const radiiReal = neighbourRadii(real, k);
  const radiiFake = neighbourRadii(fake, k);
  const [precise, recalled, inside, covered] = withScratch((scratch) => {
    const result = scratch.reserve(4 * 8);
    module.manifold_counts(
      scratch.copyIn(real.data),
      real.rows,
      scratch.copyIn(radiiReal),
      scratch.copyIn(fake.data),
      fake.rows,
      scratch.copyIn(radiiFake),
      real.dimension,
      result,
    );
    return scratch.float64(result, 4);
  });
  return {
    precision: precise / fake.rows,
    recall: recalled / real.rows,
    density: inside / (k * fake.rows),
    coverage: covered / real.rows,
  };
}

/**
 * The squared distance of each row to its k-th nearest other row, `[rows]`.
 *
 * @throws {UsageError} when k is not a positive integer below the number of rows
 */
export function neighbourRadii(features: Features, k: number): Float64Array<ArrayBuffer> {
  if (!(Number.isSafeInteger(k) && k >= 1 && k < features.rows)) {
    throw new UsageError(
      `The number of neighbours must be between 1 and the number of images less one ` +
        `(${features.rows - 1}), found ${k}.`,
    );
  }
  return withScratch((scratch) => {
    const result = scratch.reserve(features.rows * 8);
    const data = scratch.copyIn(features.data);
    module.neighbour_radii(data, features.rows, features.dimension, k, result);
    return scratch.float64(result, features.rows);
  });
}

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
 * @throws {UsageError} when the dimensions differ or there are no references
 */
export function nearestNeighbours(queries: Features, references: Features): Neighbours {
  requireSameDimension(queries, references);
  if (references.rows === 0) {
    throw new UsageError("Nearest neighbours need one reference image at least, found none.");
  }
  return withScratch((scratch) => {
    const index = scratch.reserve(queries.rows * 4);
    const distance = scratch.reserve(queries.rows * 8);
    module.nearest(
      scratch.copyIn(queries.data),
      queries.rows,
      scratch.copyIn(references.data),
      references.rows,
      queries.dimension,
      index,
      distance,
    );
    return {
      index: scratch.uint32(index, queries.rows),
      squaredDistance: scratch.float64(distance, queries.rows),
    };
  });
}

/**
 * Share of labelled queries whose nearest reference has their label: does a conditional sample
 * look like its class?
 *
 * @throws {UsageError} when labels and rows differ in number
 */
export function nearestLabelAccuracy(
  queries: Features,
  queryLabels: ArrayLike<number>,
  references: Features,
  referenceLabels: ArrayLike<number>,
): number {
  for (
    const [what, set, labels] of [
      ["samples", queries, queryLabels],
      ["reference images", references, referenceLabels],
    ] as const
  ) {
    if (set.rows !== labels.length) {
      throw new UsageError(
        `Every image needs one label: found ${labels.length} labels for ${set.rows} ${what}.`,
      );
    }
  }
  const { index } = nearestNeighbours(queries, references);
  let hits = 0;
  for (let i = 0; i < index.length; i++) {
    if (referenceLabels[index[i]] === queryLabels[i]) hits++;
  }
  return hits / index.length;
}

function requireSameDimension(a: Features, b: Features): void {
  if (a.dimension !== b.dimension) {
    throw new UsageError(
      `Neighbours need the same features on both sides: found dimensions ${a.dimension} and ` +
        `${b.dimension}. Use one extractor for both.`,
    );
  }
}
