/**
 * The quadratic work of the statistics, cut into tasks of bounded size that any thread can do.
 *
 * @module
 */

import { FormatError } from "../../base/errors.ts";
import { module, withScratch } from "./module.ts";

/** Some rows of a feature set; row-major `[rows, dimension]`. */
export interface Panel {
  /** Index of the first row in the set. */
  readonly start: number;
  /** Number of rows. */
  readonly rows: number;
  /** `[rows, dimension]`. */
  readonly data: Float32Array;
}

/** A kernel of two rows: (x.y/d + 1)^3, or exp(-gamma |x - y|²). */
export type Kernel =
  | { readonly name: "polynomial" }
  | { readonly name: "gaussian"; readonly gamma: number };

interface OfPairs {
  readonly dimension: number;
  readonly a: Panel;
}

/** The sum of a kernel over all pairs, or over ordered pairs of different rows where b is null. */
export interface KernelTask extends OfPairs {
  readonly kind: "kernel";
  readonly b: Panel | null;
  readonly kernel: Kernel;
}

/** The k smallest distances of each row of a and b to the other, or within a where b is null. */
export interface SmallestTask extends OfPairs {
  readonly kind: "smallest";
  readonly b: Panel | null;
  readonly k: number;
  /** Squared distances that do not matter any more for each row; `[rows]`. */
  readonly limitsA: Float64Array;
  /** The same of b. */
  readonly limitsB: Float64Array;
}

/** The nearest row of b for each row of a. */
export interface NearestTask extends OfPairs {
  readonly kind: "nearest";
  readonly b: Panel;
}

/** What precision, recall, density and coverage count: a is real, b is fake. */
export interface ManifoldTask extends OfPairs {
  readonly kind: "manifold";
  readonly b: Panel;
  /** Number of balls of different sizes around each row, at most 4. */
  readonly sizes: number;
  /** Squared, `[rows, sizes]`. */
  readonly radiiA: Float64Array;
  /** The same of b. */
  readonly radiiB: Float64Array;
}

/** Some rows of the lower triangle of the sum of x x^T over the rows x of a. */
export interface ProductsTask extends OfPairs {
  readonly kind: "products";
  readonly b: null;
  /** The first of them. */
  readonly first: number;
  /** The one after the last. */
  readonly end: number;
}

/** Any task. */
export type StatisticsTask =
  | KernelTask
  | SmallestTask
  | NearestTask
  | ManifoldTask
  | ProductsTask;

/** What becomes of a task. */
export interface StatisticsAnswers {
  readonly kernel: number;
  /** Ascending, `[rows, k]`; where there are fewer below the limit, the limit. */
  readonly smallest: { readonly a: Float64Array; readonly b: Float64Array };
  /** Row within b, and squared distance. */
  readonly nearest: { readonly index: Uint32Array; readonly squaredDistance: Float64Array };
  /** Flags of `manifold_flags` in `wasm/statistics`; pairs of a fake row in a real ball by size. */
  readonly manifold: {
    readonly real: Uint8Array;
    readonly fake: Uint8Array;
    readonly inside: Float64Array;
  };
  /** `[end - first, dimension]`; beyond the diagonal there is no meaning. */
  readonly products: Float64Array;
}

/** What becomes of a task of this type. */
export type AnswerOf<Task extends StatisticsTask> = StatisticsAnswers[Task["kind"]];

/** Does a task in this thread. */
export function answer<Task extends StatisticsTask>(task: Task): AnswerOf<Task> {
  return answerAny(task) as AnswerOf<Task>;
}

function answerAny(task: StatisticsTask): StatisticsAnswers[StatisticsTask["kind"]] {
  switch (task.kind) {
    case "kernel":
      return kernelSum(task);
    case "smallest":
      return smallest(task);
    case "nearest":
      return nearest(task);
    case "manifold":
      return manifoldFlags(task);
    case "products":
      return products(task);
  }
  throw new FormatError(`There is no task ${(task as { kind: unknown }).kind} of statistics.`);
}

function kernelSum({ a, b, dimension, kernel }: KernelTask): number {
  return withScratch((scratch) => {
    const dataA = scratch.copyIn(a.data);
    if (b === null) {
      return kernel.name === "polynomial"
        ? module.polynomial_sum_within(dataA, a.rows, dimension)
        : module.gaussian_sum_within(dataA, a.rows, dimension, kernel.gamma);
    }
    const dataB = scratch.copyIn(b.data);
    return kernel.name === "polynomial"
      ? module.polynomial_sum_between(dataA, a.rows, dataB, b.rows, dimension)
      : module.gaussian_sum_between(dataA, a.rows, dataB, b.rows, dimension, kernel.gamma);
  });
}

function smallest(task: SmallestTask): StatisticsAnswers["smallest"] {
  const { a, b, dimension, k } = task;
  return withScratch((scratch) => {
    const dataA = scratch.copyIn(a.data);
    const smallestA = scratch.copyIn(repeated(task.limitsA, k));
    if (b === null) {
      module.smallest_within(dataA, a.rows, dimension, k, smallestA);
      return { a: scratch.float64(smallestA, a.rows * k), b: new Float64Array(0) };
    }
    const dataB = scratch.copyIn(b.data);
    const smallestB = scratch.copyIn(repeated(task.limitsB, k));
    module.smallest_between(dataA, a.rows, dataB, b.rows, dimension, k, smallestA, smallestB);
    return {
      a: scratch.float64(smallestA, a.rows * k),
      b: scratch.float64(smallestB, b.rows * k),
    };
  });
}

function nearest({ a, b, dimension }: NearestTask): StatisticsAnswers["nearest"] {
  return withScratch((scratch) => {
    const index = scratch.reserve(a.rows * 4);
    const distance = scratch.reserve(a.rows * 8);
    const [dataA, dataB] = [scratch.copyIn(a.data), scratch.copyIn(b.data)];
    module.nearest(dataA, a.rows, dataB, b.rows, dimension, index, distance);
    return {
      index: scratch.uint32(index, a.rows),
      squaredDistance: scratch.float64(distance, a.rows),
    };
  });
}

function manifoldFlags(
  { a, b, dimension, sizes, radiiA, radiiB }: ManifoldTask,
): StatisticsAnswers["manifold"] {
  return withScratch((scratch) => {
    const [real, fake] = [scratch.reserve(a.rows), scratch.reserve(b.rows)];
    const inside = scratch.reserve(sizes * 8);
    module.manifold_flags(
      scratch.copyIn(a.data),
      a.rows,
      scratch.copyIn(radiiA),
      scratch.copyIn(b.data),
      b.rows,
      scratch.copyIn(radiiB),
      dimension,
      sizes,
      real,
      fake,
      inside,
    );
    return {
      real: scratch.uint8(real, a.rows),
      fake: scratch.uint8(fake, b.rows),
      inside: scratch.float64(inside, sizes),
    };
  });
}

function products({ a, dimension, first, end }: ProductsTask): Float64Array {
  return withScratch((scratch) => {
    const length = (end - first) * dimension;
    const result = scratch.copyIn(new Float64Array(length));
    module.accumulate_products(scratch.copyIn(a.data), a.rows, dimension, first, end, result);
    return scratch.float64(result, length);
  });
}

function repeated(values: Float64Array, times: number): Float64Array {
  return Float64Array.from(
    { length: values.length * times },
    (_, i) => values[Math.floor(i / times)],
  );
}
