/**
 * The Inception Score: exp(E KL(p(y|x) || p(y))) (Salimans et al. 2016,
 * https://arxiv.org/abs/1606.03498).
 *
 * @module
 */

import { UsageError } from "../../base/errors.ts";
import { RandomState } from "../../random/numpy.ts";
import type { MetricDefinition } from "./metric.ts";

/** Splits unless something else is said. */
const SPLITS = 10;

/** The score in 10 splits, `is`. */
export const INCEPTION_SCORE: MetricDefinition = {
  title: "Inception Score, 10 splits",
  values: { is: "higher", is_std: null },
  needs: ["logits"],
  fewest: { count: SPLITS, of: "samples" },
  compute({ fake: { logits: { data, classes } }, seed }) {
    const { mean, std } = inceptionScore(data, classes, { shuffleSeed: seed });
    return { is: mean, is_std: std };
  },
};

/** Score per split, their mean and their standard deviation (divisor: splits). */
export interface InceptionScore {
  /** Over the splits: what papers call the score. At least 1, at most the number of classes. */
  readonly mean: number;
  /** Over the splits. */
  readonly std: number;
  /** Of each split. */
  readonly values: Float64Array;
}

/** How the images are cut into splits. */
export interface InceptionScoreOptions {
  /** Number of splits of equal size. Default 10. */
  readonly splits?: number;
  /** Seed of a shuffle before the cut; 2020 is torch-fidelity's. Default: no shuffle. */
  readonly shuffleSeed?: number;
}

/**
 * The score from classifier logits, with the softmax in float64.
 *
 * @param logits row-major `[n, classes]`
 * @throws {UsageError} when there are fewer images than splits
 */
export function inceptionScore(
  logits: Float32Array,
  classes: number,
  { splits = SPLITS, shuffleSeed }: InceptionScoreOptions = {},
): InceptionScore {
  const n = logits.length / classes;
  if (!Number.isInteger(n) || splits < 1 || n < splits) {
    throw new UsageError(
      `An Inception Score in ${splits} splits needs as many images at least, found ${n}.`,
    );
  }
  const order = shuffleSeed === undefined
    ? Uint32Array.from({ length: n }, (_, i) => i)
    : new RandomState(shuffleSeed).permutation(n);
  const values = new Float64Array(splits);
  for (let split = 0; split < splits; split++) {
    const start = Math.floor(split * n / splits);
    const end = Math.floor((split + 1) * n / splits);
    values[split] = scoreOf(logits, classes, order.subarray(start, end));
  }
  const mean = values.reduce((sum, value) => sum + value, 0) / splits;
  const variance = values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / splits;
  return { mean, std: Math.sqrt(variance), values };
}

/**
 * exp of the mean divergence of some rows. With H the entropy the mean divergence is
 * H(mean p) - mean H(p), so one pass over the rows is enough.
 */
function scoreOf(logits: Float32Array, classes: number, rows: Uint32Array): number {
  const marginal = new Float64Array(classes);
  const p = new Float64Array(classes);
  let negativeEntropy = 0;
  for (const row of rows) {
    const logit = logits.subarray(row * classes, (row + 1) * classes);
    let largest = -Infinity;
    for (const value of logit) largest = Math.max(largest, value);
    let total = 0;
    for (let c = 0; c < classes; c++) total += p[c] = Math.exp(logit[c] - largest);
    const logTotal = Math.log(total);
    for (let c = 0; c < classes; c++) {
      const probability = p[c] / total;
      marginal[c] += probability;
      if (probability > 0) negativeEntropy += probability * (logit[c] - largest - logTotal);
    }
  }
  let marginalTerm = 0;
  for (const sum of marginal) {
    const mean = sum / rows.length;
    if (mean > 0) marginalTerm += mean * Math.log(mean);
  }
  return Math.exp(negativeEntropy / rows.length - marginalTerm);
}
