/**
 * What is in a data set, in numbers.
 *
 * @module
 */

import type { Dataset } from "./dataset.ts";

/** Size, classes and moments of a data set. */
export interface DatasetDescription {
  /** Number of images. */
  readonly count: number;
  /** Height, width and channels of each. */
  readonly imageShape: readonly [height: number, width: number, channels: number];
  /** Images per class, empty without labels. */
  readonly classCounts: readonly number[];
  /** Names of the classes, where the files give some. */
  readonly classNames: readonly string[] | null;
  /** Where the labels come from, null without. */
  readonly labelSource: string | null;
  /** Mean per channel of pixels in [-1, 1]. */
  readonly mean: readonly number[];
  /** Standard deviation of pixels in [-1, 1], over all channels: the method's sigma_d. */
  readonly std: number;
  /** See {@link Dataset.contentHash}. */
  readonly sha256: string;
}

/**
 * Reads every image once, and once more for the hash where the images are not kept in memory.
 *
 * @param onProgress called now and then
 */
export function describeDataset(
  dataset: Dataset,
  onProgress?: (done: number) => void,
): DatasetDescription {
  const [height, width, channels] = dataset.imageShape;
  const classCounts = new Array<number>(dataset.labelCount).fill(0);
  const sums = new Array<number>(channels).fill(0);
  let squares = 0;
  for (let n = 0; n < dataset.length; n++) {
    const image = dataset.image(n);
    for (let i = 0; i < image.length; i += channels) {
      for (let c = 0; c < channels; c++) {
        const value = image[i + c] / 127.5 - 1;
        sums[c] += value;
        squares += value * value;
      }
    }
    const label = dataset.label(n);
    if (label !== null) classCounts[label]++;
    if (n % 256 === 0) onProgress?.(n);
  }
  const pixels = dataset.length * height * width;
  const mean = sums.map((sum) => sum / pixels);
  const total = sums.reduce((a, b) => a + b, 0) / (pixels * channels);
  return {
    count: dataset.length,
    imageShape: dataset.imageShape,
    classCounts,
    classNames: dataset.labelNames,
    labelSource: dataset.labelSource ?? null,
    mean,
    std: Math.sqrt(squares / (pixels * channels) - total ** 2),
    sha256: dataset.contentHash(),
  };
}
