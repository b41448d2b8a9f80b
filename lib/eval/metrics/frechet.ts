/**
 * The Fréchet distance between Gaussians fitted to two sets of features: FID when the features
 * are Inception's (Heusel et al. 2017, https://arxiv.org/abs/1706.08500, equation 6).
 *
 * @module
 */

import { FormatError, UsageError } from "../../base/errors.ts";
import { type Features, FeatureStatistics, type Moments } from "../statistics/statistics.ts";
import type { MetricDefinition } from "./metric.ts";
import { module, type Scratch, withScratch } from "../statistics/module.ts";

/** FID, `fid`. */
export const FID: MetricDefinition = frechetMetric("fid", "FID", { isInception: true });

/** Of any features, `fd`. */
export const FD: MetricDefinition = frechetMetric("fd", "Fréchet distance");

/** Of spatial features, `sfid`. */
export const SFID: MetricDefinition = frechetMetric(
  "sfid",
  "Fréchet distance of spatial features, as of ADM",
  { layer: "spatial" },
);

/** Of an early layer, `fid64`. */
export const FID_64: MetricDefinition = frechetMetric(
  "fid64",
  "FID after the first pooling, 64 features",
  { isInception: true, layer: "64" },
);

/** Of an early layer, `fid192`. */
export const FID_192: MetricDefinition = frechetMetric(
  "fid192",
  "FID after the second pooling, 192 features",
  { isInception: true, layer: "192" },
);

/** Of a late layer, `fid768`. */
export const FID_768: MetricDefinition = frechetMetric(
  "fid768",
  "FID before the auxiliary classifier, 768 features",
  { isInception: true, layer: "768" },
);

/** A metric that is a Fréchet distance, of the features or of another layer's. */
function frechetMetric(
  name: string,
  title: string,
  { isInception = false, layer }: { readonly isInception?: boolean; readonly layer?: string } = {},
): MetricDefinition {
  return {
    title,
    values: { [name]: "lower" },
    needs: ["statistics", ...(isInception ? ["inception" as const] : [])],
    layer,
    fewest: { count: 2, of: "sides" },
    compute({ fake, real }) {
      const [a, b] = [fake, real].map((set) =>
        layer === undefined ? set.statistics : set.layer(layer)
      );
      const { distance: value, rounding } = frechetDistanceWithin(a, b);
      return { [name]: { value, rounding } };
    },
  };
}

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
  return frechetDistanceWithin(a, b).distance;
}

/** A distance, and how much of it may be rounding. */
export interface FrechetDistance {
  /** As {@link frechetDistance} gives it. */
  readonly distance: number;
  /** Distances that differ by less are the same: about 1e-10 of the traces. */
  readonly rounding: number;
}

/** Rounding, as a share of means and traces: of exact routes, measured as 1e-13 and less. */
const ROUNDING = 1e-10;
/**
 * The same through singular covariances, where the square root turns 1e-16 in each zero eigenvalue
 * into 1e-8; measured as 8e-8 and less.
 */
const SINGULAR_ROUNDING = 1e-6;

/**
 * {@link frechetDistance} with what is known of its rounding.
 *
 * @throws {UsageError | FormatError} as {@link frechetDistance}
 */
export function frechetDistanceWithin(
  a: FeatureStatistics | Moments,
  b: FeatureStatistics | Moments,
): FrechetDistance {
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
  const scale = means + sideA.trace + sideB.trace;
  const rounding = scale * (sideA.isExact && sideB.isExact ? ROUNDING : SINGULAR_ROUNDING);
  if (distance < -10 * rounding) {
    throw new FormatError(
      `The Fréchet distance came out as ${distance}, and a distance is never negative: a ` +
        `covariance is none, or too close to singular. Compute these statistics again.`,
    );
  }
  return { distance, rounding };
}

/** One Gaussian: its covariance, or few vectors that have this covariance. */
interface Side {
  readonly dimension: number;
  readonly mean: Float64Array;
  readonly trace: number;
  /** Whether it is given by its vectors, or by a covariance of more vectors than dimensions. */
  readonly isExact: boolean;
  readonly spread: { readonly rows: Features } | { readonly covariance: Float64Array };
}

function sideOf(set: FeatureStatistics | Moments): Side {
  const rows = set instanceof FeatureStatistics ? set.fewRows() : null;
  if (rows && rows.rows >= 2) {
    const mean = (set as FeatureStatistics).mean();
    const trace = totalVariance(rows, mean);
    return { dimension: set.dimension, mean, trace, isExact: true, spread: { rows } };
  }
  const moments: Moments = set instanceof FeatureStatistics ? set.moments() : set;
  const { dimension, mean, covariance, count } = moments;
  if (!mean.every(Number.isFinite) || !covariance.every(Number.isFinite)) {
    throw new FormatError(
      "A Fréchet distance needs finite numbers, but a mean or covariance holds others; " +
        "compute these statistics again.",
    );
  }
  let trace = 0;
  for (let i = 0; i < dimension; i++) {
    const variance = covariance[i * dimension + i];
    // Symmetry and eigenvalues are checked where files are read (check_moments.ts).
    if (variance < 0) {
      throw new FormatError(
        `A Fréchet distance needs covariances, but one says that feature ${i} has the variance ` +
          `${variance}, which is never negative; compute these statistics again.`,
      );
    }
    trace += variance;
  }
  const isExact = count !== undefined && count > dimension;
  return { dimension, mean, trace, isExact, spread: { covariance } };
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
