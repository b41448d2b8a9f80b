/**
 * The Fréchet distance between Gaussians fitted to two sets of features: FID when the features
 * are Inception's (Heusel et al. 2017, https://arxiv.org/abs/1706.08500, equation 6).
 *
 * @module
 */

import { FormatError, UsageError } from "../errors.ts";
import { type Features, FeatureStatistics, type Moments } from "./statistics.ts";
import { module, type Scratch, withScratch } from "./statistics_module.ts";

/**
 * |mean_a - mean_b|² + Tr(A + B - 2 (A B)^(1/2)), in float64.
 *
 * Where one side has no more feature vectors than dimensions they are used directly, which is
 * exact; covariance files go through a Cholesky factor, or through eigenvectors when both
 * matrices are singular. The distance of a set to itself is zero up to rounding (about 1e-12 of
 * the traces) and may come out negative; it is not clamped.
 *
 * @throws {UsageError} when the dimensions differ or a side has fewer than two images
 * @throws {FormatError} when a mean or covariance holds something that is not a finite number
 */
export function frechetDistance(
  a: FeatureStatistics | Moments,
  b: FeatureStatistics | Moments,
): number {
  if (a.dimension !== b.dimension) {
    throw new UsageError(
      `A Fréchet distance needs the same features on both sides: found dimensions ` +
        `${a.dimension} and ${b.dimension}. Use the extractor that made the reference.`,
    );
  }
  const [sideA, sideB] = [sideOf(a), sideOf(b)];
  let means = 0;
  for (let i = 0; i < a.dimension; i++) means += (sideA.mean[i] - sideB.mean[i]) ** 2;
  const traceSqrt = withScratch((scratch) => traceSqrtProduct(sideA, sideB, scratch));
  const distance = means + sideA.trace + sideB.trace - 2 * traceSqrt;
  if (!Number.isFinite(distance)) {
    throw new FormatError(
      `The Fréchet distance came out as ${distance}: the features or the covariances are too ` +
        `large for float64. Compute these statistics again.`,
    );
  }
  return distance;
}

/** One Gaussian: its covariance, or few vectors that have this covariance. */
interface Side {
  readonly dimension: number;
  readonly mean: Float64Array;
  readonly trace: number;
  readonly spread: { readonly rows: Features } | { readonly covariance: Float64Array };
}

function sideOf(set: FeatureStatistics | Moments): Side {
  const rows = set instanceof FeatureStatistics ? set.fewRows() : null;
  if (rows && rows.rows >= 2) {
    const mean = (set as FeatureStatistics).mean();
    return { dimension: set.dimension, mean, trace: totalVariance(rows, mean), spread: { rows } };
  }
  const { dimension, mean, covariance } = set instanceof FeatureStatistics ? set.moments() : set;
  if (!mean.every(Number.isFinite) || !covariance.every(Number.isFinite)) {
    throw new FormatError(
      "A Fréchet distance needs finite numbers, but a mean or covariance holds others; " +
        "compute these statistics again.",
    );
  }
  let trace = 0;
  for (let i = 0; i < dimension; i++) trace += covariance[i * dimension + i];
  return { dimension, mean, trace, spread: { covariance } };
}

function totalVariance({ rows, dimension, data }: Features, mean: Float64Array): number {
  let sum = 0;
  for (let row = 0; row < rows; row++) {
    for (let i = 0; i < dimension; i++) sum += (data[row * dimension + i] - mean[i]) ** 2;
  }
  return sum / (rows - 1);
}

function traceSqrtProduct(a: Side, b: Side, scratch: Scratch): number {
  const d = a.dimension;
  if ("rows" in a.spread) {
    const rowsA = scratch.copyIn(a.spread.rows.data);
    if ("rows" in b.spread) {
      const rowsB = scratch.copyIn(b.spread.rows.data);
      return module.trace_sqrt_rows_rows(rowsA, a.spread.rows.rows, rowsB, b.spread.rows.rows, d);
    }
    const covarianceB = scratch.copyIn(b.spread.covariance);
    return module.trace_sqrt_rows_covariance(rowsA, a.spread.rows.rows, covarianceB, d);
  }
  if ("rows" in b.spread) return traceSqrtProduct(b, a, scratch);
  const covarianceA = scratch.copyIn(a.spread.covariance);
  return module.trace_sqrt_product(covarianceA, scratch.copyIn(b.spread.covariance), d);
}
