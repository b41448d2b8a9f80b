/**
 * The kernel distance of two sets of features: KID when they are Inception's (Bińkowski et al.
 * 2018, https://arxiv.org/abs/1801.01401). It is the unbiased estimate of the squared maximum
 * mean discrepancy under the kernel (x.y/d + 1)^3, so it does not depend on the number of images
 * as the Fréchet distance does, and it may come out slightly negative.
 *
 * @module
 */

import { UsageError } from "../../base/errors.ts";
import { RandomState } from "../../random/numpy.ts";
import type { MetricContext, MetricDefinition, MetricSettings } from "./metric.ts";
import type { Features } from "../statistics/statistics.ts";
import {
  allPairs,
  pairsOf,
  pairsWithin,
  panelCount,
  panelsOf,
  type StatisticsPool,
  withPool,
} from "../statistics/pool.ts";
import type { Kernel, KernelTask, Panel } from "../statistics/tasks.ts";

/** Rounding of sums of kernels in float64, whose values are 1 and more. */
const ROUNDING = 1e-13;

/** KID, `kid`. */
export const KID: MetricDefinition = subsetMetric("kid", "KID", ["images", "inception"]);

/** Of any features, `kd`. */
export const KERNEL_DISTANCE: MetricDefinition = subsetMetric("kd", "Kernel distance", ["images"]);

/** CMMD where the features are CLIP's, `mmd`. */
export const GAUSSIAN_MMD: MetricDefinition = {
  title: "Gaussian kernel distance of unit vectors, as CMMD",
  values: { mmd: "lower" },
  needs: ["images"],
  fewest: { count: 1, of: "sides" },
  pairs: allPairs,
  async compute({ fake, real, pool }) {
    const value = await gaussianDiscrepancy(fake.features, real.features, { pool });
    return { mmd: { value, rounding: 1000 * ROUNDING } };
  },
};

/** A metric that is the mean over subsets, with their spread. */
function subsetMetric(
  name: string,
  title: string,
  needs: MetricDefinition["needs"],
): MetricDefinition {
  return {
    title,
    values: { [name]: "lower", [`${name}_std`]: null },
    needs,
    fewest: { count: 2, of: "sides" },
    setting: "subsets",
    pairs: subsetPairs,
    async compute({ once }) {
      const { mean, std } = await once(ofSubsets);
      const spread = std === null ? {} : { [`${name}_std`]: std };
      return { [name]: { value: mean, rounding: ROUNDING }, ...spread };
    },
  };
}

function subsetPairs(fakes: number, reals: number, { subsets }: MetricSettings): number {
  return kernelDistancePairs(fakes, reals, subsets);
}

function ofSubsets({ fake, real, seed, subsets, pool }: MetricContext): Promise<KernelDistance> {
  return kernelDistance(fake.features, real.features, { seed, pool, ...subsets });
}

/** How the subsets are drawn. */
export interface KernelDistanceOptions {
  /** Number of random subsets. Default 100. */
  readonly subsets?: number;
  /** Images of each side in a subset. Default 1000, or all when a side has fewer. */
  readonly size?: number;
  /** Seed of the subsets, which are those of torch-fidelity. Default 2020, as there. */
  readonly seed?: number;
  /** Threads. Default: one pool for this call. */
  readonly pool?: StatisticsPool;
}

/** The distances of the subsets, their mean and their standard deviation (divisor: subsets). */
export interface KernelDistance {
  /** Over the subsets. Papers often print it times 1000. */
  readonly mean: number;
  /**
   * Over the subsets. Null where there is only one: also where every subset would be all images of
   * both sides.
   */
  readonly std: number | null;
  /** Of each subset. */
  readonly values: Float64Array;
}

/** Subsets, and their images of each side, as of torch-fidelity. */
const [SUBSETS, SUBSET_ROWS] = [100, 1000];

/** Which subsets are drawn of sets of some size. */
type Subsets = Pick<KernelDistanceOptions, "subsets" | "size">;

/** Pairs that {@link kernelDistance} compares. */
export function kernelDistancePairs(rowsA: number, rowsB: number, asked: Subsets = {}): number {
  const { subsets, size } = drawnSubsets(rowsA, rowsB, asked);
  return subsets * 2 * size ** 2;
}

/** One subset where it is all images of both sides: others would be the same in other orders. */
function drawnSubsets(
  rowsA: number,
  rowsB: number,
  { subsets = SUBSETS, size = Math.min(SUBSET_ROWS, rowsA, rowsB) }: Subsets,
): Required<Subsets> {
  return { subsets: size === rowsA && size === rowsB ? 1 : subsets, size };
}

/**
 * The mean over random subsets, drawn without replacement.
 *
 * @throws {UsageError} when the dimensions differ, or `size` is below 2 or above a side's rows
 */
export async function kernelDistance(
  a: Features,
  b: Features,
  options: KernelDistanceOptions = {},
): Promise<KernelDistance> {
  const { seed = 2020, pool } = options;
  requireTwo(a, b, a.rows, b.rows);
  const { subsets, size: rows } = drawnSubsets(a.rows, b.rows, options);
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
  return await kernelDistanceOfSubsets(a, b, pairs, pool);
}

/**
 * The mean over given subsets, each a pair of lists of row numbers.
 *
 * @param pool threads; default: one for this call
 * @throws {UsageError} as {@link squaredDiscrepancy}
 */
export function kernelDistanceOfSubsets(
  a: Features,
  b: Features,
  subsets: readonly (readonly [ArrayLike<number>, ArrayLike<number>])[],
  pool?: StatisticsPool,
): Promise<KernelDistance> {
  return withPool(pool, async (pool) => {
    const sizes = subsets.map(([rowsA, rowsB]): [number, number] => [rowsA.length, rowsB.length]);
    for (const [m, n] of sizes) requireTwo(a, b, m, n);
    const sums = await kernelSums({
      sizes,
      // The rows of a subset are gathered when its turn comes.
      open: (index) => [gather(a, subsets[index][0]), gather(b, subsets[index][1])],
      kernel: { name: "polynomial" },
      pool,
    });
    const values = Float64Array.from(sums, (sums, index) => unbiased(sums, ...sizes[index]));
    const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
    const variance = values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / values.length;
    return { mean, std: values.length > 1 ? Math.sqrt(variance) : null, values };
  });
}

/**
 * The unbiased estimate from all rows at once.
 *
 * @param pool threads; default: one for this call
 * @throws {UsageError} when the dimensions differ or a side has fewer than two rows
 */
export function squaredDiscrepancy(
  a: Features,
  b: Features,
  pool?: StatisticsPool,
): Promise<number> {
  return withPool(pool, async (pool) => {
    const size: [number, number] = [a.rows, b.rows];
    requireTwo(a, b, ...size);
    const kernel = { name: "polynomial" } as const;
    const [sums] = await kernelSums({ sizes: [size], open: () => [a, b], kernel, pool });
    return unbiased(sums, ...size);
  });
}

function requireTwo(a: Features, b: Features, m: number, n: number): void {
  requireSameDimension(a, b);
  if (m >= 2 && n >= 2) return;
  throw new UsageError(
    `A kernel distance needs two images on each side at least${
      m === a.rows && n === b.rows ? "" : " of a subset"
    }, found ${m} and ${n}.`,
  );
}

/** Sums of a kernel over pairs of rows: within each set of different rows, and between the sets. */
interface KernelSums {
  withinA: number;
  withinB: number;
  between: number;
}

function unbiased({ withinA, withinB, between }: KernelSums, m: number, n: number): number {
  return withinA / (m * (m - 1)) + withinB / (n * (n - 1)) - 2 * between / (m * n);
}

/** The sums of some pairs of sets, given the rows of each. */
async function kernelSums({ sizes, open, kernel, pool, prepare = (panel) => panel }: {
  readonly sizes: readonly (readonly [number, number])[];
  readonly open: (index: number) => [Features, Features];
  readonly kernel: Kernel;
  readonly pool: StatisticsPool;
  readonly prepare?: (panel: Panel, dimension: number) => Panel;
}): Promise<KernelSums[]> {
  const sums = sizes.map((): KernelSums => ({ withinA: 0, withinB: 0, between: 0 }));
  const tasks = sizes.flatMap(([m, n], set) => {
    const [a, b] = [m, n].map((rows) => Array.from({ length: panelCount(rows) }, (_, i) => i));
    return [
      ...pairsWithin(a).map((pair) => ({ set, part: "withinA" as const, pair })),
      ...pairsWithin(b).map((pair) => ({ set, part: "withinB" as const, pair })),
      ...pairsOf(a, b).map((pair) => ({ set, part: "between" as const, pair })),
    ];
  });
  let current: { set: number; a: Panel[]; b: Panel[]; dimension: number } | null = null;
  // The first panel stays while the second changes.
  let last: { readonly of: Panel; readonly prepared: Panel } | null = null;
  const prepareFirst = (panel: Panel, dimension: number): Panel => {
    if (last?.of !== panel) last = { of: panel, prepared: prepare(panel, dimension) };
    return last.prepared;
  };
  await pool.run(
    tasks.length,
    (index): KernelTask => {
      const { set, part, pair: [i, j] } = tasks[index];
      if (current?.set !== set) {
        const [a, b] = open(set);
        current = { set, a: panelsOf(a), b: panelsOf(b), dimension: a.dimension };
      }
      const { a, b, dimension } = current;
      const [first, second] = [part === "withinB" ? b : a, part === "withinA" ? a : b];
      return {
        kind: "kernel",
        kernel,
        dimension,
        a: prepareFirst(first[i], dimension),
        b: j === null ? null : prepare(second[j], dimension),
      };
    },
    (sum, index) => {
      const { set, part, pair: [, j] } = tasks[index];
      // The kernel is symmetric: pairs of different panels of one set count twice.
      sums[set][part] += part !== "between" && j !== null ? 2 * sum : sum;
    },
  );
  return sums;
}

/** Options of {@link gaussianDiscrepancy}. */
export interface GaussianDiscrepancyOptions {
  /** Width of the kernel exp(-|x - y|² / (2 sigma²)). Default 10, as of CMMD. */
  readonly sigma?: number;
  /** Factor on the result. Default 1000, as of CMMD. */
  readonly scale?: number;
  /** Threads. Default: one pool for this call. */
  readonly pool?: StatisticsPool;
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
  { sigma = 10, scale = 1000, pool }: GaussianDiscrepancyOptions = {},
): Promise<number> {
  return withPool(pool, async (pool) => {
    requireSameDimension(a, b);
    const [m, n] = [a.rows, b.rows];
    if (m < 1 || n < 1) {
      throw new UsageError(
        `A kernel distance needs an image on each side at least, found ${m} and ${n}.`,
      );
    }
    const [{ withinA, withinB, between }] = await kernelSums({
      sizes: [[m, n]],
      open: () => [a, b],
      kernel: { name: "gaussian", gamma: 1 / (2 * sigma ** 2) },
      pool,
      prepare: unitRows,
    });
    // Each row with itself adds one.
    return scale * ((withinA + m) / m ** 2 + (withinB + n) / n ** 2 - 2 * between / (m * n));
  });
}

/** The rows over their lengths; rows of zeros stay. */
function unitRows(panel: Panel, dimension: number): Panel {
  const data = new Float32Array(panel.data);
  for (let row = 0; row < panel.rows; row++) {
    const own = data.subarray(row * dimension, (row + 1) * dimension);
    let sum = 0;
    for (let i = 0; i < dimension; i++) sum += own[i] * own[i];
    const length = Math.sqrt(sum);
    if (length > 0) { for (let i = 0; i < dimension; i++) own[i] /= length; }
  }
  return { ...panel, data };
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
