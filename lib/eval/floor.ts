/**
 * What a perfect generator would score: real images compared with other real images.
 *
 * @module
 */

import { RandomState } from "../random/numpy.ts";
import type { Collected } from "./collect.ts";
import { type Metric, metricDefinition, needs } from "./metrics/registry.ts";
import { FeatureStatistics } from "./statistics/statistics.ts";

/** Two on each side, which a covariance needs. */
const SMALLEST = 4;

/** The metrics that such a comparison has. */
export function floorMetrics(metrics: readonly Metric[]): Metric[] {
  // Of other layers only sums are kept, which cannot be divided; half of a reference has too few
  // images to be extrapolated from.
  return metrics.filter((metric) =>
    metricDefinition(metric).layer === undefined && !needs(metric, "samples")
  );
}

/**
 * Two random parts of a set: of a given size, half of the set at most, and the rest; the first half
 * has the odd one. Null where they would be too small.
 */
export function splitSet(
  set: Collected,
  size: number,
  seed: number,
): readonly [Collected, Collected] | null {
  const rows = set.statistics.count;
  if (rows < SMALLEST || size < 2) return null;
  const order = new RandomState(seed).permutation(rows);
  const middle = Math.min(size, Math.ceil(rows / 2));
  return [order.subarray(0, middle), order.subarray(middle)].map((indices): Collected => {
    const { dimension, data } = set.features!;
    const chosen = gather(data, dimension, indices);
    const statistics = new FeatureStatistics(dimension);
    statistics.add(chosen);
    return {
      name: `part of ${set.name}`,
      statistics,
      features: { rows: indices.length, dimension, data: chosen },
      logits: set.logits && {
        ...set.logits,
        data: gather(set.logits.data, set.logits.classes, indices),
      },
      layers: {},
      labels: set.labels && Int32Array.from(indices, (i) => set.labels![i]),
      classes: set.classes,
      skipped: [],
      unreadable: 0,
    };
  }) as readonly Collected[] as readonly [Collected, Collected];
}

/** The given rows of a row-major matrix. */
function gather(data: Float32Array, columns: number, rows: Uint32Array): Float32Array {
  const result = new Float32Array(rows.length * columns);
  rows.forEach((row, i) =>
    result.set(data.subarray(row * columns, (row + 1) * columns), i * columns)
  );
  return result;
}
