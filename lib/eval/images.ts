/**
 * Images on their way to a feature extractor.
 *
 * @module
 */

import { joinArrays } from "../base/arrays.ts";
import { decodeRgb } from "../base/bytes.ts";
import type { Dataset } from "../data/dataset.ts";
import { FormatError, InternalError, UsageError } from "../base/errors.ts";
import { type ImageClasses, presentClasses } from "./classes.ts";
import { RandomState } from "../random/numpy.ts";

/** Images of one size, `[count, height, width, channels]`. */
export interface ImageBatch {
  /** Number of images. */
  readonly count: number;
  /** Rows of pixels. */
  readonly height: number;
  /** Pixels in a row. */
  readonly width: number;
  /** 1 (grey) or 3 (RGB). */
  readonly channels: number;
  /** Bytes 0 to 255, or floats on [-1, 1] as a network makes them. */
  readonly data: Uint8Array | Float32Array;
  /** Class of each image, where there are classes. */
  readonly labels?: Int32Array;
  /** Numbers of the images of the source that were left out because they cannot be read. */
  readonly skipped?: readonly number[];
}

/** What is known of images without making or decoding them. */
export interface ImageIdentity {
  /** Text that determines the pixels: two runs of images with the same one are the same. */
  readonly fingerprint: string;
  /** Class of each image, where there are classes. */
  readonly labels?: Int32Array;
}

/** A set of images that can be read from anywhere. */
export interface ImageSource {
  /** What reports and error messages call it. */
  readonly name: string;
  /** Number of images, those included that may turn out to be unreadable. */
  readonly count: number;
  /** Images that are not among them because already their headers cannot be read. Default 0. */
  readonly missing?: number;
  /** Its classes, where the images have labels and it is known before they are read. */
  readonly classes?: ImageClasses;
  /** A number of images that is made as quickly as one. Default 1. */
  readonly batch?: number;
  /** Numbers of an image (height, width and channels multiplied), where all are alike. */
  readonly size?: number;
  /** Images differ in size: they must be read one by one. Default false. */
  readonly mixed?: boolean;
  /** Images number `first` to `first + count - 1`. They are read in order, unless looked up. */
  read(first: number, count: number): Promise<ImageBatch>;
  /** What determines the same images, where that is cheaper to know than the images. */
  identify?(first: number, count: number): ImageIdentity;
}

/** Float images on [-1, 1] as the bytes that `imm sample` writes of them. */
export function toBytes(data: Uint8Array | Float32Array): Uint8Array {
  return data instanceof Uint8Array ? data : decodeRgb(data);
}

/** Which images of a data set. */
export interface DatasetImagesOptions {
  /** Use the first images only. */
  readonly limit?: number;
  /** Use these images. */
  readonly indices?: ArrayLike<number>;
  /**
   * Is told of an image that cannot be read, which is then left out. Without it reading fails.
   */
  readonly onCorrupt?: (index: number, error: FormatError) => void;
}

/**
 * The images of a data set: npz files, folders, archives.
 *
 * @throws {UsageError} when the images have an alpha channel
 */
export function datasetImages(dataset: Dataset, options: DatasetImagesOptions = {}): ImageSource {
  const { limit = Infinity, indices, onCorrupt } = options;
  const { channels } = shapeOf(dataset.imageShape);
  if (channels !== 1 && channels !== 3) {
    throw new UsageError(
      `${dataset.name} has images of ${channels} channels; only grey (1) and RGB (3) images can ` +
        `be evaluated, so remove the alpha channel.`,
    );
  }
  const total = Math.min(limit, indices?.length ?? dataset.length);
  const source = generatedImages(dataset.name, total, (first, asked) => {
    if (dataset.shapeOf && asked !== 1) {
      throw new InternalError(`${asked} images of different sizes were asked for at once`);
    }
    const { height, width, size } = shapeOf(
      dataset.shapeOf?.(indices?.[first] ?? first) ?? dataset.imageShape,
    );
    const data = new Uint8Array(asked * size);
    const labels = new Int32Array(asked);
    let count = 0;
    const skipped: number[] = [];
    for (let i = first; i < first + asked; i++) {
      const index = indices?.[i] ?? i;
      try {
        data.set(dataset.image(index), count * size);
        labels[count] = dataset.label(index) ?? -1;
        count++;
      } catch (error) {
        if (!(error instanceof FormatError && onCorrupt)) return Promise.reject(error);
        onCorrupt(index, error);
        skipped.push(i);
      }
    }
    return Promise.resolve({
      count,
      height,
      width,
      channels,
      data: data.subarray(0, count * size),
      labels: dataset.labelCount === 0 ? undefined : labels.subarray(0, count),
      ...(skipped.length > 0 ? { skipped } : {}),
    });
  });
  const classes = dataset.labelCount === 0 ? undefined : {
    count: dataset.labelCount,
    names: dataset.labelNames,
    present: presentClasses(
      (function* () {
        for (let i = 0; i < total; i++) yield dataset.label(indices?.[i] ?? i) ?? -1;
      })(),
    ),
  };
  return {
    ...source,
    ...(classes ? { classes } : {}),
    ...(dataset.shapeOf ? { mixed: true } : { size: shapeOf(dataset.imageShape).size }),
  };
}

function shapeOf([height, width, channels]: Dataset["imageShape"]) {
  return { height, width, channels, size: height * width * channels };
}

/**
 * Numbers of the images that EDM's tools take of a data set when they are to use fewer: a random
 * choice, in order (`Dataset` in https://github.com/NVlabs/edm, training/dataset.py).
 *
 * @param seed is taken modulo 2^31
 */
export function edmSubset(total: number, count: number, seed: number): Uint32Array {
  const all = new RandomState(seed % 2 ** 31).permutation(total);
  return all.slice(0, count).sort();
}

/** A part of a source, by the numbers of its first image and of the one after its last. */
export function imageRange(source: ImageSource, begin: number, end: number): ImageSource {
  return {
    name: source.name,
    count: end - begin,
    missing: begin === 0 ? source.missing : 0,
    classes: source.classes,
    batch: source.batch,
    mixed: source.mixed,
    size: source.size,
    async read(first, count) {
      const { skipped, ...batch } = await source.read(begin + first, count);
      return skipped ? { ...batch, skipped: skipped.map((i) => i - begin) } : batch;
    },
    ...(source.identify
      ? { identify: (first: number, count: number) => source.identify!(begin + first, count) }
      : {}),
  };
}

/**
 * Images that are made when they are asked for. Floats become bytes first, so that a score is that
 * of the files that `imm sample` writes.
 *
 * @param make images `first` to `first + count - 1`
 */
export function generatedImages(
  name: string,
  count: number,
  make: (first: number, count: number) => Promise<ImageBatch>,
): ImageSource {
  return {
    name,
    count,
    async read(first, asked) {
      const batch = await make(first, asked);
      return { ...batch, data: toBytes(batch.data) };
    },
  };
}

/** Images that are in memory already. Floats become bytes, as {@link generatedImages} does it. */
export function memoryImages(name: string, images: ImageBatch): ImageSource {
  const { height, width, channels, data, labels } = images;
  const pixels = height * width * channels;
  return generatedImages(name, images.count, (first, count) =>
    Promise.resolve({
      count,
      height,
      width,
      channels,
      data: data.subarray(first * pixels, (first + count) * pixels),
      labels: labels?.subarray(first, first + count),
    }));
}

/** All images of a source in order, at most `size` at a time. */
export async function* imageBatches(source: ImageSource, size: number): AsyncGenerator<ImageBatch> {
  for (let first = 0; first < source.count; first += size) {
    yield await source.read(first, Math.min(size, source.count - first));
  }
}

/**
 * Batches of the same size of images behind each other.
 *
 * @throws {UsageError} when their images differ in size or kind
 */
export function joinBatches(batches: readonly ImageBatch[]): ImageBatch {
  const [head, ...others] = batches;
  if (others.length === 0) return head;
  const { height, width, channels } = head;
  for (const other of others) {
    if (
      other.height !== height || other.width !== width || other.channels !== channels ||
      (other.data instanceof Uint8Array) !== (head.data instanceof Uint8Array)
    ) {
      throw new UsageError(
        `Images of one set must be alike, found ${height}x${width}x${channels} and ` +
          `${other.height}x${other.width}x${other.channels}.`,
      );
    }
  }
  const parts = batches.map(({ data }) => data);
  const data = head.data instanceof Uint8Array
    ? joinArrays(Uint8Array, parts)
    : joinArrays(Float32Array, parts);
  const labels = batches.every((batch) => batch.labels !== undefined)
    ? Int32Array.from(batches.flatMap((batch) => [...batch.labels!]))
    : undefined;
  return {
    count: batches.reduce((sum, batch) => sum + batch.count, 0),
    height,
    width,
    channels,
    data,
    labels,
    skipped: batches.flatMap((batch) => batch.skipped ?? []),
  };
}
