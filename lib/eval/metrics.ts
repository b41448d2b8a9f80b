/**
 * The metrics: what each needs, what it reports, and how it is computed of what was collected.
 *
 * @module
 */

import { UsageError } from "../errors.ts";
import { didYouMean } from "../suggest.ts";
import type { FeatureExtractor } from "./extractor.ts";
import { frechetDistance } from "./frechet.ts";
import { frechetDistanceAtInfinity } from "./frechet_infinity.ts";
import { INCEPTION_FEATURES } from "./inception.ts";
import { inceptionScore } from "./inception_score.ts";
import { gaussianDiscrepancy, kernelDistance, kernelDistancePairs } from "./kernel_distance.ts";
import { type ManifoldMetrics, manifoldMetricsOf, nearestLabelAccuracy } from "./manifold.ts";
import type { Features, FeatureStatistics, Moments } from "./statistics.ts";
import type { StatisticsPool } from "./statistics_pool.ts";

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
    title: "KID, 100 subsets",
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
  readonly logits: { readonly data: Float32Array; readonly classes: number } | null;
  /** Class of each image. */
  readonly labels: Int32Array | null;
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
  /** Threads. Default: one pool for each metric. */
  readonly pool?: StatisticsPool;
}

/**
 * The values of some metrics, in their order. What two of them need is computed once.
 *
 * @param onMetric is told before a metric is computed
 * @throws {UsageError} when the sets lack what one needs
 */
export async function computeMetrics(
  metrics: readonly Metric[],
  inputs: MetricInputs,
  onMetric?: (metric: Metric) => void,
): Promise<Record<string, number>> {
  const values: Record<string, number> = {};
  const shared: SharedResults = {
    manifold: null,
    infinity: null,
    ks: neighbourNumbers(metrics),
  };
  for (const metric of metrics) {
    onMetric?.(metric);
    Object.assign(values, await computeMetric(metric, inputs, shared));
  }
  return values;
}

/** Pairs of images that metrics compare, about: what their time is proportional to. */
export function metricPairs(
  metrics: readonly Metric[],
  { fake, real, manifoldImages = Infinity }: MetricInputs,
): number {
  const [a, b] = [fake, real].map((set) => set?.features?.rows ?? 0);
  const all = (m: number, n: number) => m * m / 2 + n * n / 2 + m * n;
  let sum = 0;
  for (const metric of metrics) {
    if (metric === "kid" || metric === "kd") sum += kernelDistancePairs(a, b);
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

async function computeMetric(
  metric: Metric,
  { fake, real, seed, manifoldImages, pool }: MetricInputs,
  shared: SharedResults,
): Promise<Record<string, number>> {
  const first = (set: MetricSet | null) => firstRows(features(set), manifoldImages);
  const features = (set: MetricSet | null): Features => present(set?.features, metric, "images");
  switch (metric) {
    case "fid":
    case "fd": {
      const statistics = present(real?.statistics, metric, "statistics");
      return { [metric]: frechetDistance(fake.statistics, statistics) };
    }
    case "fid_inf":
    case "fd_inf": {
      const statistics = present(real?.statistics, metric, "statistics");
      const samples = present(fake.features, metric, "samples");
      shared.infinity ??= await frechetDistanceAtInfinity(samples, statistics, { seed, pool });
      return { [metric]: shared.infinity };
    }
    case "fid64":
    case "fid192":
    case "fid768":
    case "sfid": {
      const { tap } = METRICS[metric];
      const [a, b] = [fake, real].map((set) => present(set?.taps[tap], metric, "taps"));
      return { [metric]: frechetDistance(a, b) };
    }
    case "kid":
    case "kd": {
      const { mean, std } = await kernelDistance(features(fake), features(real), { seed, pool });
      return { [metric]: mean, [`${metric}_std`]: std };
    }
    case "mmd":
      return { mmd: await gaussianDiscrepancy(features(fake), features(real), { pool }) };
    case "is": {
      const { data, classes } = present(fake.logits, metric, "logits");
      const { mean, std } = inceptionScore(data, classes, { shuffleSeed: seed });
      return { is: mean, is_std: std };
    }
    case "pr":
    case "dc": {
      const { ks } = shared;
      shared.manifold ??= await manifoldMetricsOf(first(real), first(fake), ks, pool);
      const { precision, recall, density, coverage } = shared.manifold[
        ks.indexOf(NEIGHBOURS[metric])
      ];
      return metric === "pr" ? { precision, recall } : { density, coverage };
    }
    case "nn": {
      const labels = [fake, real].map((set) => present(set?.labels, metric, "labels"));
      const [a, b] = [features(fake), features(real)];
      return { nn_accuracy: await nearestLabelAccuracy(a, labels[0], b, labels[1], pool) };
    }
    case "class": {
      const { data, classes } = present(fake.logits, metric, "logits");
      const labels = present(fake.labels, metric, "labels");
      const hits = labels.reduce((sum, label, i) => {
        const row = data.subarray(i * classes, (i + 1) * classes);
        return sum + Number(row.indexOf(Math.max(...row)) === label);
      }, 0);
      return { class_accuracy: hits / labels.length };
    }
  }
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
  logits: "an extractor that classifies; use one with logits",
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
