/**
 * What is in a data set of latents, in numbers.
 *
 * @module
 */

import { type ChannelStatistics, LATENT_STATISTICS, latentWidth, negativeWidth } from "./loader.ts";
import type { LatentDataset, LatentMoments } from "./dataset.ts";

/** Kind, size, classes and moments of a data set of latents. */
export interface LatentDescription {
  /** Number of latents. */
  readonly count: number;
  /** Height, width and channels of the stored arrays. */
  readonly storedShape: readonly [height: number, width: number, channels: number];
  /** What the arrays hold: latents, moments, or `null` where neither is known. */
  readonly moments: LatentMoments | null;
  /** Whether there are latents of the mirrored pictures. */
  readonly hasMirrored: boolean;
  /** Latents per class, empty without labels. */
  readonly classCounts: readonly number[];
  /** Names of the classes, where the files give some. */
  readonly classNames: readonly string[] | null;
  /** Where the labels come from, null without. */
  readonly labelSource: string | null;
  /** Of the latents; of moments those of draws from the posterior. */
  readonly statistics: ChannelStatistics;
  /** See {@link LatentDataset.contentHash}. */
  readonly sha256: string;
}

/**
 * Reads every latent twice, once for the hash. Throws as {@link measureLatents} does.
 *
 * @param moments which the arrays hold; default: those that the files name
 * @param onProgress called now and then
 */
export function describeLatents(
  dataset: LatentDataset,
  moments: LatentMoments | null = dataset.moments,
  onProgress?: (done: number) => void,
): LatentDescription {
  const classCounts = new Array<number>(dataset.labelCount).fill(0);
  for (let n = 0; n < dataset.length; n++) {
    const label = dataset.label(n);
    if (label !== null) classCounts[label]++;
  }
  const all = Array.from({ length: dataset.length }, (_, i) => i);
  return {
    count: dataset.length,
    storedShape: dataset.storedShape,
    moments,
    hasMirrored: dataset.hasMirrored,
    classCounts,
    classNames: dataset.labelNames,
    labelSource: dataset.labelSource ?? null,
    statistics: measureLatents(dataset, moments, all, onProgress),
    sha256: dataset.contentHash(),
  };
}

/**
 * Mean and deviation of latents per channel. Those of draws from a posterior are exact: the variance
 * of the means plus the mean of the variances.
 *
 * @param indices of the latents that are looked at
 * @throws {FormatError} when a number is not finite, or a deviation negative
 */
export function measureLatents(
  dataset: LatentDataset,
  moments: LatentMoments | null,
  indices: readonly number[],
  onProgress?: (done: number) => void,
): ChannelStatistics {
  const [height, width, found] = dataset.storedShape;
  const channels = moments === null ? found : found / 2;
  const [sums, squares] = [new Float64Array(channels), new Float64Array(channels)];
  for (const [n, index] of indices.entries()) {
    const stored = dataset.stored(index);
    for (let at = 0; at < stored.length; at += found) {
      for (let c = 0; c < channels; c++) {
        const value = stored[at + c];
        const width = moments === null ? 0 : latentWidth(moments, stored[at + channels + c]);
        if (width < 0) throw negativeWidth(`${dataset.name}: latent ${index}`, width);
        sums[c] += value;
        squares[c] += value ** 2 + width ** 2;
      }
    }
    if (n % 256 === 0) onProgress?.(n);
  }
  const total = indices.length * height * width;
  const mean = Array.from(sums, (sum) => sum / total);
  const std = mean.map((value, c) => Math.sqrt(Math.max(0, squares[c] / total - value ** 2)));
  return { mean, std };
}

/** Latents that are looked at by {@link checkNormalization}. */
const LOOKED_AT = 256;
/** Deviations, as factors, and means, in deviations, that a few latents may be off by. */
const [FACTOR, SHIFT] = [1.5, 0.75];

/**
 * A sentence that says what to set, when a few latents do not have about the statistics that they
 * are normalised by; null when they do. It is advice: a small data set may differ from ImageNet.
 */
export function checkNormalization(
  dataset: LatentDataset,
  moments: LatentMoments | null,
  statistics: ChannelStatistics,
): string | null {
  const count = Math.min(LOOKED_AT, dataset.length);
  const indices = Array.from(
    { length: count },
    (_, i) => Math.floor(i * dataset.length / count),
  );
  const found = measureLatents(dataset, moments, indices);
  if (agree(found, statistics)) return null;
  const known = Object.entries(LATENT_STATISTICS).find(([, named]) => agree(found, named));
  return `${dataset.name}: the first latents looked at have the means ${
    list(found.mean)
  } and the ` +
    `deviations ${list(found.std)}, but are normalised by ${list(statistics.mean)} and ` +
    `${list(statistics.std)}; ` +
    (known
      ? `they fit data.latents.normalize=${known[0]}`
      : "imm dataset info prints the setting that fits them");
}

function agree(found: ChannelStatistics, expected: ChannelStatistics): boolean {
  return found.mean.length === expected.mean.length && found.mean.every((mean, c) => {
    const ratio = found.std[c] / expected.std[c];
    return ratio < FACTOR && ratio > 1 / FACTOR &&
      Math.abs(mean - expected.mean[c]) < SHIFT * expected.std[c];
  });
}

function list(values: readonly number[]): string {
  return values.map((value) => Number(value.toPrecision(3))).join(", ");
}
