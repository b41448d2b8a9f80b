/**
 * The metrics: what each needs, what it reports, and how it is computed of what was collected.
 *
 * @module
 */

import { ImmError, UsageError } from "../../base/errors.ts";
import { didYouMean } from "../../base/suggest.ts";
import { type ImageClasses, matchClasses, type NamedClasses, presentClasses } from "../classes.ts";
import type { FeatureExtractor } from "../extractors/extractor.ts";
import { frechetDistanceWithin } from "./frechet.ts";
import { frechetDistanceAtInfinity, SMALLEST_SUBSET } from "./frechet_infinity.ts";
import { INCEPTION_FEATURES } from "../inception/network.ts";
import { inceptionScore, SPLITS } from "./inception_score.ts";
import {
  gaussianDiscrepancy,
  kernelDistance,
  type KernelDistanceOptions,
  kernelDistancePairs,
} from "./kernel_distance.ts";
import { type ManifoldMetrics, manifoldMetricsOf, nearestLabelAccuracy } from "./manifold.ts";
import type { Features, FeatureStatistics, Moments } from "../statistics/statistics.ts";
import type { StatisticsPool } from "../statistics/pool.ts";

/** What a metric needs and how its values read. */
export interface MetricDefinition {
  /** What it is, for reports. */
  readonly title: string;
  /** The values it reports, and in which direction they are good (null: it is a spread). */
  readonly values: Readonly<Record<string, "lower" | "higher" | null>>;
  /**
   * `statistics`: any reference; `images`: the reference's images, not only their statistics;
   * `samples`: all vectors of the samples;
   * `inception`: the features that the metric has its name from.
   */
  readonly needs: readonly (
    "statistics" | "images" | "samples" | "logits" | "labels" | "inception"
  )[];
  /** The other vectors of the extractor that it is computed of. */
  readonly tap?: string;
}

/** The metrics by name; their values are the keys of {@link Evaluation.values}. */
export const METRICS = {
  fid: { title: "FID", values: { fid: "lower" }, needs: ["statistics", "inception"] },
  fd: { title: "Fréchet distance", values: { fd: "lower" }, needs: ["statistics"] },
  fid_inf: {
    title: "FID extrapolated to infinitely many samples",
    values: { fid_inf: "lower" },
    needs: ["statistics", "samples", "inception"],
  },
  fd_inf: {
    title: "Fréchet distance extrapolated to infinitely many samples",
    values: { fd_inf: "lower" },
    needs: ["statistics", "samples"],
  },
  sfid: {
    title: "Fréchet distance of spatial features, as of ADM",
    values: { sfid: "lower" },
    needs: ["statistics"],
    tap: "spatial",
  },
  fid64: {
    title: "FID after the first pooling, 64 features",
    values: { fid64: "lower" },
    needs: ["statistics", "inception"],
    tap: "64",
  },
  fid192: {
    title: "FID after the second pooling, 192 features",
    values: { fid192: "lower" },
    needs: ["statistics", "inception"],
    tap: "192",
  },
  fid768: {
    title: "FID before the auxiliary classifier, 768 features",
    values: { fid768: "lower" },
    needs: ["statistics", "inception"],
    tap: "768",
  },
  kid: {
    title: "KID",
    values: { kid: "lower", kid_std: null },
    needs: ["images", "inception"],
  },
  kd: { title: "Kernel distance", values: { kd: "lower", kd_std: null }, needs: ["images"] },
  mmd: {
    title: "Gaussian kernel distance of unit vectors, as CMMD",
    values: { mmd: "lower" },
    needs: ["images"],
  },
  is: {
    title: "Inception Score, 10 splits",
    values: { is: "higher", is_std: null },
    needs: ["logits"],
  },
  pr: {
    title: "Precision and recall, k = 3",
    values: { precision: "higher", recall: "higher" },
    needs: ["images"],
  },
  dc: {
    title: "Density and coverage, k = 5",
    values: { density: "higher", coverage: "higher" },
    needs: ["images"],
  },
  nn: {
    title: "Label of the nearest reference image is the condition",
    values: { nn_accuracy: "higher" },
    needs: ["images", "labels"],
  },
  class: {
    title: "Predicted class is the condition",
    values: { class_accuracy: "higher" },
    needs: ["logits", "labels"],
  },
} as const satisfies Record<string, MetricDefinition>;

/** Name of a metric. */
export type Metric = keyof typeof METRICS;

/** What a classifier says of each image. */
export interface Logits {
  /** Before the softmax, row-major `[rows, classes]`. */
  readonly data: Float32Array;
  /** How many there are. */
  readonly classes: number;
  /** Names of the classes, where the classifier gives some. */
  readonly names?: readonly string[];
}

/** One of the two sets of a comparison, as far as it is known. */
export interface MetricSet {
  /** What reports call it. */
  readonly name: string;
  /** Mean and covariance. */
  readonly statistics: FeatureStatistics | Moments;
  /** The same of other vectors, by name. */
  readonly taps: Readonly<Record<string, FeatureStatistics | Moments>>;
  /** All vectors. */
  readonly features: Features | null;
  /** Before the softmax, row-major `[rows, classes]`. */
  readonly logits: Logits | null;
  /** Class of each image. */
  readonly labels: Int32Array | null;
  /** What the labels are of. Default: classes without names. */
  readonly classes?: ImageClasses;
  /** Numbers of the images that were left out because they cannot be read. */
  readonly skipped?: readonly number[];
}

/** What a metric is computed of, and how. */
export interface MetricInputs {
  /** What is judged. */
  readonly fake: MetricSet;
  /** What it is compared with. */
  readonly real: MetricSet | null;
  /** Of random subsets. */
  readonly seed: number;
  /** Images of each side, the first ones, that `pr` and `dc` look at. Default: all. */
  readonly manifoldImages?: number;
  /** Number and size of the subsets of `kid` and `kd`. Default: as of kernelDistance. */
  readonly subsets?: Pick<KernelDistanceOptions, "subsets" | "size">;
  /** Threads. Default: one pool for each metric. */
  readonly pool?: StatisticsPool;
}

/** What came of some metrics. */
export interface MetricResults {
  /** By name. */
  readonly values: Record<string, number>;
  /**
   * Of a value that is computed with rounding, how much of it that may be: values that differ by
   * less are equal, and one that differs by less from 0 is 0.
   */
  readonly rounding: Record<string, number>;
  /** Why a metric could not be computed, by its name. */
  readonly failed: Partial<Record<Metric, string>>;
}

/** How to go about it. */
export interface ComputeOptions {
  /** Is told before a metric is computed. */
  readonly onMetric?: (metric: Metric) => void;
  /** Go on with the others when a metric fails. Default: fail. */
  readonly keepGoing?: boolean;
}

/**
 * The values of some metrics, in their order. What two of them need is computed once.
 *
 * @throws {UsageError} when the sets lack what one needs, unless it is to keep going
 */
export async function computeMetrics(
  metrics: readonly Metric[],
  inputs: MetricInputs,
  { onMetric, keepGoing = false }: ComputeOptions = {},
): Promise<MetricResults> {
  const results: MetricResults = { values: {}, rounding: {}, failed: {} };
  const shared: SharedResults = {
    manifold: null,
    infinity: null,
    ks: neighbourNumbers(metrics),
  };
  for (const metric of metrics) {
    onMetric?.(metric);
    try {
      const found = await computeMetric(metric, inputs, shared);
      for (const [name, { value, rounding = 0 }] of Object.entries(found)) {
        results.values[name] = Math.abs(value) <= rounding ? 0 : value;
        if (rounding > 0) results.rounding[name] = rounding;
      }
    } catch (error) {
      if (!(keepGoing && error instanceof ImmError)) throw error;
      results.failed[metric] = error.message;
    }
  }
  return results;
}

/** Pairs of images that metrics compare, about: what their time is proportional to. */
export function metricPairs(
  metrics: readonly Metric[],
  { fake, real, subsets, manifoldImages = Infinity }: MetricInputs,
): number {
  const [a, b] = [fake, real].map((set) => set?.features?.rows ?? 0);
  const all = (m: number, n: number) => m * m / 2 + n * n / 2 + m * n;
  let sum = 0;
  for (const metric of metrics) {
    if (metric === "kid" || metric === "kd") sum += kernelDistancePairs(a, b, subsets);
    if (metric === "mmd") sum += all(a, b);
    if (metric === "nn") sum += a * b;
  }
  if (neighbourNumbers(metrics).length > 0) {
    sum += all(Math.min(a, manifoldImages), Math.min(b, manifoldImages));
  }
  return sum;
}

/** Neighbours that reach to the border of a ball, in the metrics that count balls. */
const NEIGHBOURS = { pr: 3, dc: 5 } as const;

/** How many images a metric needs, of the samples or of each side. */
export function fewestImages(
  metric: Metric,
  subset = 2,
): { readonly fewest: number; readonly of: "samples" | "sides" } {
  switch (metric) {
    case "fid_inf":
    case "fd_inf":
      return { fewest: SMALLEST_SUBSET + 1, of: "samples" };
    case "is":
      return { fewest: SPLITS, of: "samples" };
    case "class":
      return { fewest: 1, of: "samples" };
    case "kid":
    case "kd":
      return { fewest: Math.max(2, subset), of: "sides" };
    case "pr":
    case "dc":
      return { fewest: NEIGHBOURS[metric] + 1, of: "sides" };
    case "mmd":
    case "nn":
      return { fewest: 1, of: "sides" };
    default:
      return { fewest: 2, of: "sides" };
  }
}

function neighbourNumbers(metrics: readonly Metric[]): number[] {
  return metrics.flatMap((metric) => metric === "pr" || metric === "dc" ? NEIGHBOURS[metric] : []);
}

/** What more than one metric needs. */
interface SharedResults {
  /** The numbers of neighbours that are asked for. */
  readonly ks: readonly number[];
  /** The metrics with each of them, once they are known. */
  manifold: ManifoldMetrics[] | null;
  /** The Fréchet distance at infinity, which has two names. */
  infinity: number | null;
}

/** A value with its rounding; left out where it is none that a reader could see. */
interface Value {
  readonly value: number;
  readonly rounding?: number;
}

/** Rounding of sums of kernels in float64, whose values are 1 and more. */
const KERNEL_ROUNDING = 1e-13;

async function computeMetric(
  metric: Metric,
  { fake, real, seed, manifoldImages, subsets, pool }: MetricInputs,
  shared: SharedResults,
): Promise<Record<string, Value>> {
  const first = (set: MetricSet | null) => firstRows(features(set), manifoldImages);
  const features = (set: MetricSet | null): Features => present(set?.features, metric, "images");
  switch (metric) {
    case "fid":
    case "fd": {
      const statistics = present(real?.statistics, metric, "statistics");
      const { distance: value, rounding } = frechetDistanceWithin(fake.statistics, statistics);
      return { [metric]: { value, rounding } };
    }
    case "fid_inf":
    case "fd_inf": {
      const statistics = present(real?.statistics, metric, "statistics");
      const samples = present(fake.features, metric, "samples");
      shared.infinity ??= await frechetDistanceAtInfinity(samples, statistics, { seed, pool });
      return { [metric]: { value: shared.infinity } };
    }
    case "fid64":
    case "fid192":
    case "fid768":
    case "sfid": {
      const { tap } = METRICS[metric];
      const [a, b] = [fake, real].map((set) => present(set?.taps[tap], metric, "taps"));
      const { distance: value, rounding } = frechetDistanceWithin(a, b);
      return { [metric]: { value, rounding } };
    }
    case "kid":
    case "kd": {
      const options = { seed, pool, ...subsets };
      const { mean, std } = await kernelDistance(features(fake), features(real), options);
      return {
        [metric]: { value: mean, rounding: KERNEL_ROUNDING },
        ...(std === null ? {} : { [`${metric}_std`]: { value: std } }),
      };
    }
    case "mmd":
      return {
        mmd: {
          value: await gaussianDiscrepancy(features(fake), features(real), { pool }),
          rounding: 1000 * KERNEL_ROUNDING,
        },
      };
    case "is": {
      const { data, classes } = present(fake.logits, metric, "logits");
      const { mean, std } = inceptionScore(data, classes, { shuffleSeed: seed });
      return { is: { value: mean }, is_std: { value: std } };
    }
    case "pr":
    case "dc": {
      const { ks } = shared;
      shared.manifold ??= await manifoldMetricsOf(first(real), first(fake), ks, pool);
      const { precision, recall, density, coverage } = shared.manifold[
        ks.indexOf(NEIGHBOURS[metric])
      ];
      return metric === "pr"
        ? { precision: { value: precision }, recall: { value: recall } }
        : { density: { value: density }, coverage: { value: coverage } };
    }
    case "nn": {
      const [own, others] = [fake, real].map((set) => present(set?.labels, metric, "labels"));
      const { numbers } = matchClasses(classesOf(fake), classesOf(real!));
      const wanted = own.map((label) => numbers[label]);
      const [a, b] = [features(fake), features(real)];
      return { nn_accuracy: { value: await nearestLabelAccuracy(a, wanted, b, others, pool) } };
    }
    case "class": {
      const { data, classes, names } = present(fake.logits, metric, "logits");
      const labels = present(fake.labels, metric, "labels");
      const { numbers } = matchClasses(classesOf(fake), classesOfClassifier(classes, names));
      const hits = labels.reduce((sum, label, i) => {
        const row = data.subarray(i * classes, (i + 1) * classes);
        return sum + Number(row.indexOf(Math.max(...row)) === numbers[label]);
      }, 0);
      return { class_accuracy: { value: hits / labels.length } };
    }
  }
}

/** Classes of a set: what is known of them, or what its labels say. */
function classesOf({ name, labels, classes }: MetricSet): NamedClasses {
  const present = presentClasses(labels ?? []);
  const { count = (present.at(-1) ?? -1) + 1, names = null } = classes ?? {};
  return { set: name, classes: { count, names, present } };
}

/** Classes that a classifier tells apart. */
export function classesOfClassifier(
  count: number,
  names: readonly string[] | null = null,
): NamedClasses {
  return { set: "the classifier", classes: { count, names } };
}

/**
 * Metrics without doubles, in the order of the table.
 *
 * @throws {UsageError} when there is none, or one that is not in the table
 */
export function checkedMetrics(metrics: readonly string[]): Metric[] {
  const unknown = metrics.find((metric) => !Object.hasOwn(METRICS, metric));
  if (unknown !== undefined || metrics.length === 0) {
    const names = Object.keys(METRICS);
    const hint = didYouMean(unknown ?? "", names) || ".";
    throw new UsageError(`Metrics are ${names.join(", ")}; found ${unknown ?? "none"}${hint}`);
  }
  return (Object.keys(METRICS) as Metric[]).filter((metric) => metrics.includes(metric));
}

/**
 * Whether features are Inception's, of which metrics have their names. Statistics that do not say
 * what they are of are taken at their length.
 */
export function isInception(
  { id, details, dimension }: Pick<FeatureExtractor, "id" | "details" | "dimension">,
): boolean {
  return details?.pipeline !== undefined || (id === "unknown" && dimension === INCEPTION_FEATURES);
}

/** Whether a metric needs something. */
export function needs(metric: Metric, need: MetricDefinition["needs"][number]): boolean {
  return (METRICS[metric] as MetricDefinition).needs.includes(need);
}

const MISSING = {
  statistics: "a reference; give reference statistics or images",
  samples: "the images of the samples; statistics alone are not enough",
  images: "reference images; statistics alone are not enough",
  logits: "an extractor that classifies; use one with logits, or weights of Inception with the " +
    "classifier's fc.weight",
  taps: "features of another layer on both sides; use an extractor and statistics that have them",
  inception:
    "Inception's features; use --extractor inception, or the metrics fd and kd with others",
  labels: "a label for every image; use labelled images and class-conditional samples",
} as const;

/** @throws {UsageError} with a sentence about what a metric needs when it is not there */
export function present<T>(
  value: T | null | undefined,
  metric: Metric,
  what: keyof typeof MISSING,
): T {
  if (value === null || value === undefined) {
    throw new UsageError(`The metric ${metric} needs ${MISSING[what]}.`);
  }
  return value;
}

function firstRows({ rows, dimension, data }: Features, most = Infinity): Features {
  const count = Math.min(rows, most);
  return { rows: count, dimension, data: data.subarray(0, count * dimension) };
}
