/** The metrics, one row each. @module */

import { UsageError } from "../../base/errors.ts";
import { didYouMean } from "../../base/suggest.ts";
import { CLASS_ACCURACY, NEAREST_LABEL } from "./accuracy.ts";
import { FD, FID, FID_192, FID_64, FID_768, SFID } from "./frechet.ts";
import { FD_INFINITY, FID_INFINITY } from "./frechet_infinity.ts";
import { INCEPTION_SCORE } from "./inception_score.ts";
import { GAUSSIAN_MMD, KERNEL_DISTANCE, KID } from "./kernel_distance.ts";
import { DENSITY_COVERAGE, PRECISION_RECALL } from "./manifold.ts";
import type { MetricDefinition, MetricNeed } from "./metric.ts";

/** The metrics by name, in the order of reports. Names of their values are unique. */
export const METRICS = {
  fid: FID,
  fd: FD,
  fid_inf: FID_INFINITY,
  fd_inf: FD_INFINITY,
  sfid: SFID,
  fid64: FID_64,
  fid192: FID_192,
  fid768: FID_768,
  kid: KID,
  kd: KERNEL_DISTANCE,
  mmd: GAUSSIAN_MMD,
  is: INCEPTION_SCORE,
  pr: PRECISION_RECALL,
  dc: DENSITY_COVERAGE,
  nn: NEAREST_LABEL,
  class: CLASS_ACCURACY,
} as const satisfies Record<string, MetricDefinition>;

/** Name of a metric. */
export type Metric = keyof typeof METRICS;

/** The row of a metric. */
export function metricDefinition(metric: Metric): MetricDefinition {
  return METRICS[metric];
}

/** Whether a metric needs something. */
export function needs(metric: Metric, need: MetricNeed): boolean {
  return METRICS[metric].needs.includes(need);
}

/** Values that metrics report, in their order. */
export function metricValues(): {
  readonly metric: Metric;
  readonly name: string;
  readonly title: string;
  readonly better: "lower" | "higher" | null;
}[] {
  return (Object.keys(METRICS) as Metric[]).flatMap((metric) => {
    const { title, values } = METRICS[metric];
    return Object.entries(values).map(([name, better]) => ({ metric, name, title, better }));
  });
}

/** The metric that reports a value of {@link Evaluation.values}. */
export function metricOf(value: string): Metric | undefined {
  return metricValues().find(({ name }) => name === value)?.metric;
}

/**
 * Metrics without doubles, in the order of the table.
 *
 * @throws {UsageError} when there is none, or one that is not in the table
 */
export function checkedMetrics(metrics: readonly string[]): Metric[] {
  const names = Object.keys(METRICS) as Metric[];
  const unknown = metrics.find((metric) => !Object.hasOwn(METRICS, metric));
  if (unknown !== undefined || metrics.length === 0) {
    const hint = didYouMean(unknown ?? "", names) || ".";
    throw new UsageError(`Metrics are ${names.join(", ")}; found ${unknown ?? "none"}${hint}`);
  }
  return names.filter((metric) => metrics.includes(metric));
}
