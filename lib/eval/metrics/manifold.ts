/**
 * How two sets of features overlap, counted with nearest neighbours.
 *
 * @module
 */

import { UsageError } from "../../base/errors.ts";
import type { MetricContext, MetricDefinition } from "./metric.ts";
import { requireSameDimension } from "../statistics/nearest.ts";
import type { Features } from "../statistics/statistics.ts";
import {
  allPairs,
  pairsOf,
  pairsWithin,
  panelsOf,
  type StatisticsPool,
  withPool,
} from "../statistics/pool.ts";

/** Pairs of images within each side and between them. */
const manifoldPairs: MetricDefinition["pairs"] = (fakes, reals, { manifoldImages = Infinity }) =>
  allPairs(Math.min(fakes, manifoldImages), Math.min(reals, manifoldImages));

/** Neighbours that reach to the border of a ball. */
const NEIGHBOURS = { pr: 3, dc: 5 } as const;

/** Both metrics' numbers for the neighbours of those that are computed. */
async function measured(
  { fake, real, asked, manifoldImages, pool }: MetricContext,
): Promise<ReadonlyMap<number, ManifoldMetrics>> {
  const ks = (["pr", "dc"] as const).flatMap((name) =>
    asked.includes(name) ? NEIGHBOURS[name] : []
  );
  const [a, b] = [real, fake].map(({ features }) => firstRows(features, manifoldImages));
  const metrics = await manifoldMetricsOf(a, b, ks, pool);
  return new Map(ks.map((k, i) => [k, metrics[i]]));
}

function firstRows({ rows, dimension, data }: Features, most = Infinity): Features {
  const count = Math.min(rows, most);
  return { rows: count, dimension, data: data.subarray(0, count * dimension) };
}

/** Precision and recall, `pr`. */
export const PRECISION_RECALL: MetricDefinition = {
  title: "Precision and recall, k = 3",
  values: { precision: "higher", recall: "higher" },
  needs: ["images"],
  fewest: { count: NEIGHBOURS.pr + 1, of: "sides" },
  setting: "manifoldImages",
  pairs: manifoldPairs,
  async compute({ once }) {
    const { precision, recall } = (await once(measured)).get(NEIGHBOURS.pr)!;
    return { precision, recall };
  },
};

/** Density and coverage, `dc`. */
export const DENSITY_COVERAGE: MetricDefinition = {
  title: "Density and coverage, k = 5",
  values: { density: "higher", coverage: "higher" },
  needs: ["images"],
  fewest: { count: NEIGHBOURS.dc + 1, of: "sides" },
  setting: "manifoldImages",
  pairs: manifoldPairs,
  async compute({ once }) {
    const { density, coverage } = (await once(measured)).get(NEIGHBOURS.dc)!;
    return { density, coverage };
  },
};

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
 * The cost is quadratic in the images; memory is that of the features. Several k at once cost little
 * more than one.
 *
 * @param ks numbers of neighbours, at most 4 of them
 * @param pool threads; default: one for this call
 * @returns the metrics with each k
 * @throws {UsageError} when the dimensions differ or a side has no more than k rows
 */
export function manifoldMetricsOf(
  real: Features,
  fake: Features,
  ks: readonly number[],
  pool?: StatisticsPool,
): Promise<ManifoldMetrics[]> {
  return withPool(pool, async (pool) => {
    requireSameDimension(real, fake);
    const radiiReal = await radiiOf(real, ks, pool);
    const radiiFake = await radiiOf(fake, ks, pool);
    const [flagsReal, flagsFake] = [new Uint8Array(real.rows), new Uint8Array(fake.rows)];
    const inside = new Float64Array(ks.length);
    const sizes = ks.length;
    const pairs = pairsOf(panelsOf(real), panelsOf(fake));
    await pool.run(
      pairs.length,
      (index) => {
        const [a, b] = pairs[index];
        const radiiA = radiiReal.slice(a.start * sizes, (a.start + a.rows) * sizes);
        const radiiB = radiiFake.slice(b.start * sizes, (b.start + b.rows) * sizes);
        return { kind: "manifold", dimension: real.dimension, a, b, sizes, radiiA, radiiB };
      },
      (found, index) => {
        const [a, b] = pairs[index];
        found.real.forEach((flags, i) => flagsReal[a.start + i] |= flags);
        found.fake.forEach((flags, i) => flagsFake[b.start + i] |= flags);
        found.inside.forEach((count, size) => inside[size] += count);
      },
    );
    const count = (flags: Uint8Array, flag: number) =>
      flags.reduce((sum, value) => sum + Number((value & flag) !== 0), 0);
    return ks.map((k, size) => ({
      precision: count(flagsFake, PRECISE << size) / fake.rows,
      recall: count(flagsReal, RECALLED << (2 * size)) / real.rows,
      density: inside[size] / (k * fake.rows),
      coverage: count(flagsReal, COVERED << (2 * size)) / real.rows,
    }));
  });
}

/**
 * {@link manifoldMetricsOf} with one k.
 *
 * @param pool threads; default: one for this call
 * @throws {UsageError} when the dimensions differ or a side has no more than k rows
 */
export async function manifoldMetrics(
  real: Features,
  fake: Features,
  k: number,
  pool?: StatisticsPool,
): Promise<ManifoldMetrics> {
  const [metrics] = await manifoldMetricsOf(real, fake, [k], pool);
  return metrics;
}

/** Flags of `manifold_flags` in `wasm/statistics`: of a fake row, and of a real row. */
const PRECISE = 1;
const RECALLED = 1;
const COVERED = 2;

/** The squared distances of each row to its k-th nearest other row for each k, `[rows, ks]`. */
async function radiiOf(
  features: Features,
  ks: readonly number[],
  pool: StatisticsPool,
): Promise<Float64Array> {
  const most = Math.max(...ks);
  for (const k of ks) requireNeighbours(k, features.rows);
  const nearest = await smallestDistances(features, most, pool);
  return Float64Array.from(
    { length: features.rows * ks.length },
    (_, i) => nearest.of(Math.floor(i / ks.length), ks[i % ks.length]),
  );
}

/**
 * The squared distance of each row to its k-th nearest other row, `[rows]`.
 *
 * @param pool threads; default: one for this call
 * @throws {UsageError} when k is not a positive integer below the number of rows
 */
export function neighbourRadii(
  features: Features,
  k: number,
  pool?: StatisticsPool,
): Promise<Float64Array<ArrayBuffer>> {
  return withPool(pool, async (pool) => {
    requireNeighbours(k, features.rows);
    return (await smallestDistances(features, k, pool)).limits(0, features.rows);
  });
}

function requireNeighbours(k: number, rows: number): void {
  if (Number.isSafeInteger(k) && k >= 1 && k < rows) return;
  throw new UsageError(
    `The number of neighbours must be between 1 and the number of images less one ` +
      `(${rows - 1}), found ${k}.`,
  );
}

/** The k smallest squared distances of each row to another. */
async function smallestDistances(
  features: Features,
  k: number,
  pool: StatisticsPool,
): Promise<SmallestDistances> {
  const nearest = new SmallestDistances(features.rows, k);
  const pairs = pairsWithin(panelsOf(features));
  await pool.run(
    pairs.length,
    (index) => {
      const [a, b] = pairs[index];
      const limitsA = nearest.limits(a.start, a.rows);
      const limitsB = b ? nearest.limits(b.start, b.rows) : new Float64Array(0);
      return { kind: "smallest", dimension: features.dimension, a, b, k, limitsA, limitsB };
    },
    (found, index) => {
      const [a, b] = pairs[index];
      nearest.add(a.start, found.a);
      if (b) nearest.add(b.start, found.b);
    },
  );
  return nearest;
}

/** The k smallest distances of each row so far, ascending. */
class SmallestDistances {
  readonly #values: Float64Array<ArrayBuffer>;

  constructor(rows: number, readonly k: number) {
    this.#values = new Float64Array(rows * k).fill(Infinity);
  }

  /** The k-th smallest distance of some rows. */
  limits(start: number, rows: number): Float64Array<ArrayBuffer> {
    const { k } = this;
    return Float64Array.from({ length: rows }, (_, i) => this.#values[(start + i + 1) * k - 1]);
  }

  /** The distance of a row to its neighbour number `neighbour`, from 1 to k. */
  of(row: number, neighbour: number): number {
    return this.#values[row * this.k + neighbour - 1];
  }

  /** Adds `[rows, k]` distances of the rows from `start` on. */
  add(start: number, distances: Float64Array): void {
    const { k } = this;
    const values = this.#values;
    for (let i = 0; i < distances.length; i++) {
      const first = (start + Math.floor(i / k)) * k;
      const distance = distances[i];
      let at = first + k - 1;
      // A limit in the place of a distance is never below what has been found since.
      if (!(distance < values[at])) continue;
      for (; at > first && values[at - 1] > distance; at--) values[at] = values[at - 1];
      values[at] = distance;
    }
  }
}
