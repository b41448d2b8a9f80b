/**
 * How two sets of features overlap, counted with nearest neighbours.
 *
 * @module
 */

import { UsageError } from "../../base/errors.ts";
import type { Features } from "../statistics/statistics.ts";
import {
  pairsOf,
  pairsWithin,
  panelsOf,
  type StatisticsPool,
  withPool,
} from "../statistics/pool.ts";

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

/**
 * Share of labelled queries whose nearest reference has their label: does a conditional sample
 * look like its class?
 *
 * @param pool threads; default: one for this call
 * @throws {UsageError} when labels and rows differ in number
 */
export async function nearestLabelAccuracy(
  queries: Features,
  queryLabels: ArrayLike<number>,
  references: Features,
  referenceLabels: ArrayLike<number>,
  pool?: StatisticsPool,
): Promise<number> {
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
  const { index } = await nearestNeighbours(queries, references, pool);
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
