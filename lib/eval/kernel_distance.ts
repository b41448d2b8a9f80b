/**
 * The kernel distance of two sets of features: KID when they are Inception's (Bińkowski et al.
 * 2018, https://arxiv.org/abs/1801.01401). It is the unbiased estimate of the squared maximum
 * mean discrepancy under the kernel (x.y/d + 1)^3, so it does not depend on the number of images
 * as the Fréchet distance does, and it may come out slightly negative.
 *
 * @module
 */

import { UsageError } from "../errors.ts";
import { RandomState } from "./random_state.ts";
import type { Features } from "./statistics.ts";
import { module, withScratch } from "./statistics_module.ts";

/** How the subsets are drawn. */
export interface KernelDistanceOptions {
  /** Number of random subsets. Default 100. */
  readonly subsets?: number;
  /** Images of each side in a subset. Default 1000, or all when a side has fewer. */
  readonly size?: number;
  /** Seed of the subsets, which are those of torch-fidelity. Default 2020, as there. */
  readonly seed?: number;
}

/** The distances of the subsets, their mean and their standard deviation (divisor: subsets). */
export interface KernelDistance {
  /** Over the subsets. Papers often print it times 1000. */
  readonly mean: number;
  /** Over the subsets. */
  readonly std: number;
  /** Of each subset. */
  readonly values: Float64Array;
}

/**
 * The mean over random subsets, drawn without replacement.
 *
 * @throws {UsageError} when the dimensions differ, or `size` is below 2 or above a side's rows
 */
export function kernelDistance(
  a: Features,
  b: Features,
  { subsets = 100, size, seed = 2020 }: KernelDistanceOptions = {},
): KernelDistance {
  const rows = size ?? Math.min(1000, a.rows, b.rows);
  if (rows > Math.min(a.rows, b.rows)) {
    throw new UsageError(
      `Subsets of ${rows} images cannot be drawn from ${a.rows} and ${b.rows}; ask for smaller ` +
        `subsets or give more images.`,
    );
  }
  const random = new RandomState(seed);
  const pairs: [Uint32Array, Uint32Array][] = [];
  for (let i = 0; i < subsets; i++) {
    pairs.push([random.choice(a.rows, rows), random.choice(b.rows, rows)]);
  }
  return kernelDistanceOfSubsets(a, b, pairs);
}

/** The mean over given subsets, each a pair of lists of row numbers. */
export function kernelDistanceOfSubsets(
  a: Features,
  b: Features,
  subsets: readonly (readonly [ArrayLike<number>, ArrayLike<number>])[],
): KernelDistance {
  const values = Float64Array.from(
    subsets,
    ([rowsA, rowsB]) => squaredDiscrepancy(gather(a, rowsA), gather(b, rowsB)),
  );
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  const variance = values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / values.length;
  return { mean, std: Math.sqrt(variance), values };
}

/**
 * The unbiased estimate from all rows at once.
 *
 * @throws {UsageError} when the dimensions differ or a side has fewer than two rows
 */
export function squaredDiscrepancy(a: Features, b: Features): number {
  requireSameDimension(a, b);
  const [m, n] = [a.rows, b.rows];
  if (m < 2 || n < 2) {
    throw new UsageError(
      `A kernel distance needs two images on each side at least, found ${m} and ${n}.`,
    );
  }
  const [withinA, withinB, between] = withScratch((scratch) => {
    const result = scratch.reserve(3 * 8);
    const [dataA, dataB] = [scratch.copyIn(a.data), scratch.copyIn(b.data)];
    module.polynomial_kernel_sums(dataA, m, dataB, n, a.dimension, result);
    return scratch.float64(result, 3);
  });
  return withinA / (m * (m - 1)) + withinB / (n * (n - 1)) - 2 * between / (m * n);
}

/** Options of {@link gaussianDiscrepancy}. */
export interface GaussianDiscrepancyOptions {
  /** Width of the kernel exp(-|x - y|² / (2 sigma²)). Default 10, as of CMMD. */
  readonly sigma?: number;
  /** Factor on the result. Default 1000, as of CMMD. */
  readonly scale?: number;
}

/**
 * The squared maximum mean discrepancy under a Gaussian kernel, of feature vectors brought to length
 * one: CMMD when the features are CLIP's (Jayasumana et al. 2024, https://arxiv.org/abs/2401.09603;
 * cmmd/distance.py in https://github.com/google-research/google-research). It is the estimate with
 * the pairs of a row with itself, so it is never negative.
 *
 * @throws {UsageError} when the dimensions differ or a side has no rows
 */
export function gaussianDiscrepancy(
  a: Features,
  b: Features,
  { sigma = 10, scale = 1000 }: GaussianDiscrepancyOptions = {},
): number {
  requireSameDimension(a, b);
  const [m, n] = [a.rows, b.rows];
  if (m < 1 || n < 1) {
    throw new UsageError(
      `A kernel distance needs an image on each side at least, found ${m} and ${n}.`,
    );
  }
  const [withinA, withinB, between] = withScratch((scratch) => {
    const result = scratch.reserve(3 * 8);
    const [dataA, dataB] = [scratch.copyIn(unitRows(a)), scratch.copyIn(unitRows(b))];
    const gamma = 1 / (2 * sigma ** 2);
    module.gaussian_kernel_sums(dataA, m, dataB, n, a.dimension, gamma, result);
    return scratch.float64(result, 3);
  });
  // Each row with itself adds one.
  return scale * ((withinA + m) / m ** 2 + (withinB + n) / n ** 2 - 2 * between / (m * n));
}

/** The rows over their lengths; rows of zeros stay. */
function unitRows({ rows, dimension, data }: Features): Float32Array {
  const result = Float32Array.from(data);
  for (let row = 0; row < rows; row++) {
    const own = result.subarray(row * dimension, (row + 1) * dimension);
    const length = Math.sqrt(own.reduce((sum, value) => sum + value * value, 0));
    if (length > 0) { for (let i = 0; i < dimension; i++) own[i] /= length; }
  }
  return result;
}

function requireSameDimension(a: Features, b: Features): void {
  if (a.dimension === b.dimension) return;
  throw new UsageError(
    `A kernel distance needs the same features on both sides: found dimensions ` +
      `${a.dimension} and ${b.dimension}. Use one extractor for both.`,
  );
}

function gather({ dimension, data }: Features, rows: ArrayLike<number>): Features {
  const result = new Float32Array(rows.length * dimension);
  for (let i = 0; i < rows.length; i++) {
    result.set(data.subarray(rows[i] * dimension, (rows[i] + 1) * dimension), i * dimension);
  }
  return { rows: rows.length, dimension, data: result };
}
