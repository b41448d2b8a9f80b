/**
 * The Fréchet distance that infinitely many samples would have: the distance of N samples is too
 * large by a term that falls with 1/N and differs between models, so that it ranks models by chance
 * (Chong & Forsyth 2020, "Effectively Unbiased FID and Inception Score and where to find them",
 * https://arxiv.org/abs/1911.07023; score_infinity.py in https://github.com/mchong6/FID_IS_infinity).
 *
 * @module
 */

import { UsageError } from "../../base/errors.ts";
import { frechetDistance } from "./frechet.ts";
import type { MetricContext, MetricDefinition } from "./metric.ts";
import { RandomState } from "../../random/numpy.ts";
import { type Features, FeatureStatistics, type Moments } from "../statistics/statistics.ts";
import { type StatisticsPool, withPool } from "../statistics/pool.ts";

/** Samples of the smallest subset unless something else is said. */
const SMALLEST_SUBSET = 5000;

/** FID at infinity, `fid_inf`. */
export const FID_INFINITY: MetricDefinition = {
  title: "FID extrapolated to infinitely many samples",
  values: { fid_inf: "lower" },
  needs: ["statistics", "samples", "inception"],
  fewest: { count: SMALLEST_SUBSET + 1, of: "samples" },
  compute: async ({ once }) => ({ fid_inf: await once(extrapolated) }),
};

/** Of any features, `fd_inf`. */
export const FD_INFINITY: MetricDefinition = {
  title: "Fréchet distance extrapolated to infinitely many samples",
  values: { fd_inf: "lower" },
  needs: ["statistics", "samples"],
  fewest: { count: SMALLEST_SUBSET + 1, of: "samples" },
  compute: async ({ once }) => ({ fd_inf: await once(extrapolated) }),
};

function extrapolated({ fake, real, seed, pool }: MetricContext): Promise<number> {
  return frechetDistanceAtInfinity(fake.features, real.statistics, { seed, pool });
}

/** How {@link frechetDistanceAtInfinity} extrapolates. Defaults are the authors'. */
export interface ExtrapolationOptions {
  /** Samples of the smallest subset. Default 5000. */
  readonly smallest?: number;
  /** Subsets, whose sizes lie evenly between the smallest and all samples. Default 15. */
  readonly points?: number;
  /** Of the subsets, each drawn anew. Default 2020. */
  readonly seed?: number;
  /** Threads. Default: one pool for this call. */
  readonly pool?: StatisticsPool;
}

/**
 * The value at 1/N = 0 of a line through the Fréchet distances of random subsets of N samples.
 *
 * @param samples all vectors of the samples
 * @param reference the other side, as it is: real images are as many as there are
 * @throws {UsageError} when there are no more samples than in the smallest subset
 */
export function frechetDistanceAtInfinity(
  samples: Features,
  reference: FeatureStatistics | Moments,
  { smallest = SMALLEST_SUBSET, points = 15, seed = 2020, pool }: ExtrapolationOptions = {},
): Promise<number> {
  const { rows, dimension, data } = samples;
  if (rows <= smallest) {
    throw new UsageError(
      `The Fréchet distance at infinity is extrapolated from subsets of ${smallest} samples and ` +
        `more, but there are ${rows}; give more samples.`,
    );
  }
  return withPool(pool, async (pool) => {
    const random = new RandomState(seed);
    // Once, instead of for every subset.
    const real = reference instanceof FeatureStatistics && !reference.fewRows()
      ? reference.moments()
      : reference;
    const line: [x: number, y: number][] = [];
    for (let point = 0; point < points; point++) {
      const size = Math.floor(smallest + point * (rows - smallest) / (points - 1));
      const chosen = random.permutation(rows).subarray(0, size);
      const statistics = new FeatureStatistics(dimension);
      for (const row of chosen) {
        await statistics.addWith(data.subarray(row * dimension, (row + 1) * dimension), pool);
      }
      line.push([1 / size, frechetDistance(statistics, real)]);
    }
    return interceptOf(line);
  });
}

/** Where the line of least squares through some points meets x = 0. */
function interceptOf(points: readonly (readonly [x: number, y: number])[]): number {
  const mean = (axis: 0 | 1) => points.reduce((sum, point) => sum + point[axis], 0) / points.length;
  const [x, y] = [mean(0), mean(1)];
  let [products, squares] = [0, 0];
  for (const point of points) {
    products += (point[0] - x) * (point[1] - y);
    squares += (point[0] - x) ** 2;
  }
  return y - products / squares * x;
}
