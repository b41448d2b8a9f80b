/**
 * Mean and covariance of features that arrive in batches.
 *
 * @module
 */

import { joinArrays } from "../../base/arrays.ts";
import { FormatError, UsageError } from "../../base/errors.ts";
import {
  parseSafetensors,
  serializeSafetensors,
  type TensorToWrite,
} from "../../formats/safetensors/safetensors.ts";
import { module, withScratch } from "./module.ts";
import type { StatisticsPool } from "./pool.ts";
import { answer, type ProductsTask } from "./tasks.ts";

/** Feature vectors side by side: `data` is row-major `[rows, dimension]`. */
export interface Features {
  /** Number of vectors. */
  readonly rows: number;
  /** Length of a vector. */
  readonly dimension: number;
  /** `[rows, dimension]`. */
  readonly data: Float32Array;
}

/** Mean `[d]` and covariance `[d, d]` (row-major) of a set of features. */
export interface Moments {
  /** Length d of a vector. */
  readonly dimension: number;
  /** Number of feature vectors behind it; undefined where a file does not say. */
  readonly count?: number;
  /** `[d]`. */
  readonly mean: Float64Array;
  /** `[d, d]`, with divisor count - 1. */
  readonly covariance: Float64Array;
}

/** Rows are added up in runs of a multiple of this. */
const BLOCK = 256;

/** Rows of the matrix of products that one task computes: a block of `wasm/statistics`. */
const PRODUCT_ROWS = 240;

/**
 * Accumulates feature vectors in float64: their number, their sum and the sum of their outer
 * products, from which mean and covariance follow.
 *
 * The result depends on the vectors and their order but not on how they were cut into batches:
 * bit for bit, because rows are always added in the same blocks. Up to `dimension` vectors are
 * kept as they are (see {@link fewRows}); the outer products begin only after that.
 *
 * @example
 * ```ts
 * import { FeatureStatistics, frechetDistance } from "@imm/imm";
 * import assert from "node:assert/strict";
 *
 * const real = new FeatureStatistics(2);
 * real.add(Float32Array.of(0, 0, 2, 0)); // the points (0, 0) and (2, 0)
 * real.add(Float32Array.of(0, 2, 2, 2));
 * const fake = new FeatureStatistics(2);
 * fake.add(Float32Array.of(3, 4, 5, 4, 3, 6, 5, 6)); // the same square, 3 and 4 away
 * assert.deepEqual([...fake.mean()], [4, 5]);
 * assert.ok(Math.abs(frechetDistance(real, fake) - (3 ** 2 + 4 ** 2)) < 1e-9);
 * ```
 */
export class FeatureStatistics {
  /** Length d of a feature vector. */
  readonly dimension: number;
  #count = 0;
  /** Rows that are not in the sums yet, at most `#capacity`. */
  #pending = new Float32Array(0);
  #pendingRows = 0;
  readonly #capacity: number;
  /** `[d]` and lower triangle of `[d, d]`; null until more than `#capacity` rows have come. */
  #sums: Sums | null = null;

  /**
   * No vectors yet.
   *
   * @param dimension length d of a feature vector, from 1 to 16384
   * @throws {UsageError} when it is something else
   */
  constructor(dimension: number) {
    if (!(Number.isSafeInteger(dimension) && dimension > 0 && dimension <= 16384)) {
      throw new UsageError(
        `Features must have between 1 and 16384 dimensions, found ${dimension}.`,
      );
    }
    this.dimension = dimension;
    this.#capacity = BLOCK * Math.ceil((dimension + 1) / BLOCK);
  }

  /** Number of feature vectors so far. */
  get count(): number {
    return this.#count;
  }

  /**
   * Adds a batch.
   *
   * @param features row-major `[n, dimension]`; it is copied
   * @throws {UsageError} when its length is not a multiple of the dimension, or it holds a value
   * that is not finite
   */
  add(features: Float32Array): void {
    for (const _full of this.#fill(features)) this.#flush(this.#total());
  }

  /** The same with threads, and the same in every bit; one call at a time. */
  async addWith(features: Float32Array, pool: StatisticsPool): Promise<void> {
    for (const _full of this.#fill(features)) this.#flush(await this.#totalWith(pool));
  }

  /** Takes vectors in; yields whenever it can hold no more, which are then to be added up. */
  *#fill(features: Float32Array): Generator<void> {
    const d = this.dimension;
    if (features.length % d !== 0) {
      throw new UsageError(
        `A batch of features must have a multiple of ${d} elements, found ${features.length}.`,
      );
    }
    const bad = features.findIndex((value) => !Number.isFinite(value));
    if (bad >= 0) {
      throw new UsageError(
        `Feature ${bad % d} of image ${this.#count + Math.floor(bad / d)} is ${features[bad]}; ` +
          `expected finite numbers. Check the samples and the extractor.`,
      );
    }
    for (let start = 0; start < features.length;) {
      const rows = Math.min((features.length - start) / d, this.#capacity - this.#pendingRows);
      this.#append(features.subarray(start, start + rows * d));
      start += rows * d;
      if (this.#pendingRows === this.#capacity) yield;
    }
    this.#count += features.length / d;
  }

  /**
   * Adds everything that `other` has seen: sums of disjoint parts of a set give the sums of the
   * whole. The order of merging matters only to the last bits.
   */
  merge(other: FeatureStatistics): void {
    if (other.dimension !== this.dimension) {
      throw new UsageError(
        `Only statistics of the same features can be merged: expected dimension ` +
          `${this.dimension}, found ${other.dimension}.`,
      );
    }
    if (other.#sums) {
      this.#sums ??= emptySums(this.dimension);
      addTo(this.#sums.vector, other.#sums.vector);
      addTo(this.#sums.products, other.#sums.products);
      this.#count += other.#count - other.#pendingRows;
    }
    this.add(other.#pendingView().slice()); // a copy, because other may be this
  }

  /**
   * The feature vectors themselves while there are no more of them than dimensions, else null.
   * Their covariance is singular then, and exact distances need the vectors.
   */
  fewRows(): Features | null {
    if (this.#sums || this.#pendingRows > this.dimension) return null;
    return { rows: this.#pendingRows, dimension: this.dimension, data: this.#pendingView() };
  }

  /** The mean, `[d]`. Needs one vector. */
  mean(): Float64Array<ArrayBuffer> {
    this.#require(1);
    return this.#vector().map((sum) => sum / this.#count);
  }

  /** The covariance with divisor count - 1, row-major `[d, d]`. Needs two vectors. */
  covariance(): Float64Array<ArrayBuffer> {
    this.#require(2);
    const d = this.dimension;
    const n = this.#count;
    const { vector, products } = this.#total();
    for (let i = 0; i < d; i++) {
      for (let j = 0; j <= i; j++) {
        const value = (products[i * d + j] - vector[i] * vector[j] / n) / (n - 1);
        products[i * d + j] = value;
        products[j * d + i] = value;
      }
    }
    return products;
  }

  /** Count, mean and covariance. */
  moments(): Moments {
    return {
      dimension: this.dimension,
      count: this.#count,
      mean: this.mean(),
      covariance: this.covariance(),
    };
  }

  /**
   * The state as a safetensors file: `count` (float64 `[1]`), `pending` (float32 `[n, d]`, rows
   * that are not in the sums yet), `sums` (float64 `[d]`) and `products` (float64 `[d, d]`, lower
   * triangle). {@link fromBytes} continues from it bit for bit.
   *
   * @param metadata is stored in the header, for example what the features were taken of
   */
  toBytes(metadata: Record<string, string> = {}): Uint8Array<ArrayBuffer> {
    const d = this.dimension;
    const tensors: [string, TensorToWrite & { data: ArrayBufferView }][] = [
      ["count", { dtype: "F64", shape: [1], data: Float64Array.of(this.#count) }],
      ["pending", { dtype: "F32", shape: [this.#pendingRows, d], data: this.#pendingView() }],
    ];
    if (this.#sums) {
      tensors.push(
        ["sums", { dtype: "F64", shape: [d], data: this.#sums.vector }],
        ["products", { dtype: "F64", shape: [d, d], data: this.#sums.products }],
      );
    }
    return joinArrays(Uint8Array, serializeSafetensors(tensors, metadata));
  }

  /**
   * Reads the state of {@link toBytes}.
   *
   * @param name what error messages call it
   * @throws {FormatError} when it is something else
   */
  static fromBytes(bytes: Uint8Array, name = "feature statistics"): FeatureStatistics {
    const { tensors } = parseSafetensors(bytes, { name });
    const [count, pending] = [tensors.get("count"), tensors.get("pending")];
    const [sums, products] = [tensors.get("sums"), tensors.get("products")];
    const dimension = pending?.shape[1] ?? 0;
    const valid = count?.shape.length === 1 && count.shape[0] === 1 &&
      pending?.shape.length === 2 && dimension > 0 &&
      (sums === undefined) === (products === undefined) &&
      (sums?.shape.join() ?? `${dimension}`) === `${dimension}` &&
      (products?.shape.join() ?? `${dimension},${dimension}`) === `${dimension},${dimension}`;
    if (!valid) {
      throw new FormatError(
        `${name} holds no feature statistics: expected the tensors count, pending and, after ` +
          `many images, sums and products; found ${[...tensors.keys()].join(", ") || "none"}.`,
      );
    }
    const result = new FeatureStatistics(dimension);
    if (pending.shape[0] >= result.#capacity) {
      throw new FormatError(
        `${name} holds ${pending.shape[0]} pending rows, more than the ${result.#capacity - 1} ` +
          `that there can be; the file is corrupt.`,
      );
    }
    result.add(pending.toFloat32());
    if (sums && products) {
      result.#sums = { vector: sums.toFloat64(), products: products.toFloat64() };
    }
    const [all] = count.toFloat64();
    const rows = result.#pendingRows;
    if (!(Number.isSafeInteger(all) && (sums ? all > rows : all === rows))) {
      throw new FormatError(
        `${name} says that it is of ${all} images, of which ${rows} are not in the sums yet; the ` +
          `file is corrupt.`,
      );
    }
    result.#count = all;
    return result;
  }

  #require(count: number): void {
    if (this.#count < count) {
      throw new UsageError(
        `${count === 1 ? "A mean needs one image" : "A covariance needs two images"} at least, ` +
          `found ${this.#count}.`,
      );
    }
  }

  #pendingView(): Float32Array<ArrayBuffer> {
    return this.#pending.subarray(0, this.#pendingRows * this.dimension);
  }

  #append(rows: Float32Array): void {
    const used = this.#pendingRows * this.dimension;
    if (used + rows.length > this.#pending.length) {
      const wanted = Math.max(used + rows.length, 2 * this.#pending.length);
      const grown = new Float32Array(Math.min(wanted, this.#capacity * this.dimension));
      grown.set(this.#pendingView());
      this.#pending = grown;
    }
    this.#pending.set(rows, used);
    this.#pendingRows += rows.length / this.dimension;
  }

  #flush(sums: Sums): void {
    this.#sums = sums;
    this.#pendingRows = 0;
  }

  /** The sums with the pending rows added, as new arrays. */
  #total(): Sums {
    const products = this.#products();
    for (const task of this.#tasks(this.dimension)) addLower(products, answer(task), task);
    return { vector: this.#vector(), products };
  }

  /** The same, computed by threads. */
  async #totalWith(pool: StatisticsPool): Promise<Sums> {
    const products = this.#products();
    const tasks = this.#tasks(PRODUCT_ROWS, shared);
    await pool.run(
      tasks.length,
      (index) => tasks[index],
      (found, index) => addLower(products, found, tasks[index]),
    );
    return { vector: this.#vector(), products };
  }

  #vector(): Float64Array<ArrayBuffer> {
    return withScratch((scratch) => {
      const d = this.dimension;
      const vector = scratch.copyIn(this.#sums?.vector ?? new Float64Array(d));
      module.accumulate_sums(scratch.copyIn(this.#pendingView()), this.#pendingRows, d, vector);
      return scratch.float64(vector, d);
    });
  }

  /** A copy. */
  #products(): Float64Array<ArrayBuffer> {
    return this.#sums?.products.slice() ?? new Float64Array(this.dimension ** 2);
  }

  /**
   * The outer products of the pending rows, so many rows of their sum at a time; the largest first.
   * The rows of a product are the same bits however they are divided.
   */
  #tasks(size: number, copy = (data: Float32Array) => data): ProductsTask[] {
    const { dimension } = this;
    const a = { start: 0, rows: this.#pendingRows, data: copy(this.#pendingView()) };
    return Array.from({ length: Math.ceil(dimension / size) }, (_, i): ProductsTask => {
      const [first, end] = [i * size, Math.min((i + 1) * size, dimension)];
      return { kind: "products", dimension, a, b: null, first, end };
    }).reverse();
  }
}

/** What features add up to: `[d]`, and the lower triangle of `[d, d]`. */
interface Sums {
  readonly vector: Float64Array<ArrayBuffer>;
  readonly products: Float64Array<ArrayBuffer>;
}

/** A copy that all threads can read. */
function shared(data: Float32Array): Float32Array {
  const copy = new Float32Array(new SharedArrayBuffer(data.byteLength));
  copy.set(data);
  return copy;
}

/** Adds the answer to a task to the lower triangle. */
function addLower(
  target: Float64Array,
  rows: Float64Array,
  { first, end, dimension }: ProductsTask,
): void {
  for (let i = first; i < end; i++) {
    const from = (i - first) * dimension;
    for (let j = 0; j <= i; j++) target[i * dimension + j] += rows[from + j];
  }
}

function emptySums(d: number): Sums {
  return { vector: new Float64Array(d), products: new Float64Array(d * d) };
}

function addTo(target: Float64Array, source: Float64Array): void {
  for (let i = 0; i < target.length; i++) target[i] += source[i];
}
