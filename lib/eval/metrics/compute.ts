/** The values of some metrics. @module */

import { ImmError } from "../../base/errors.ts";
import { KnownSet, type MetricContext, type MetricInputs } from "./metric.ts";
import { type Metric, metricDefinition } from "./registry.ts";

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
  const done = new Map<unknown, unknown>();
  for (const metric of metrics) {
    onMetric?.(metric);
    const context: MetricContext = {
      ...inputs,
      fake: new KnownSet(inputs.fake, metric, "samples"),
      real: new KnownSet(inputs.real, metric, "images"),
      asked: metrics,
      async once<T>(work: (inputs: MetricContext) => Promise<T>) {
        if (!done.has(work)) done.set(work, await work(context));
        return done.get(work) as T;
      },
    };
    try {
      const found = await metricDefinition(metric).compute(context);
      for (const [name, result] of Object.entries(found)) {
        const { value, rounding } = typeof result === "number"
          ? { value: result, rounding: 0 }
          : result;
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
export function metricPairs(metrics: readonly Metric[], inputs: MetricInputs): number {
  const [fakes, reals] = [inputs.fake, inputs.real].map((set) => set?.features?.rows ?? 0);
  const counts = new Set(metrics.map((metric) => metricDefinition(metric).pairs));
  return [...counts].reduce((sum, pairs) => sum + (pairs?.(fakes, reals, inputs) ?? 0), 0);
}
