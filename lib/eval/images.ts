/**
 * Images on their way to a feature extractor.
 *
 * @module
 */

import type { Dataset } from "../data/dataset.ts";
import { UsageError } from "../errors.ts";

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
  /** Bytes 0 to 255, or floats on [-1, 1] as a generator makes them. */
  readonly data: Uint8Array | Float32Array;
  /** Class of each image, where there are classes. */
  readonly labels?: Int32Array;
}

/** A set of images that is read once, in batches. */
export interface ImageSource {
  /** What reports and error messages call it. */
  readonly name: string;
  /** Number of images, where it is known before they are read. */
  readonly count?: number;
  /** The images in order, at most `size` at a time. */
  batches(size: number): AsyncIterable<ImageBatch>;
}

/** Float images on [-1, 1] as the bytes that a file of them would hold: rounded and clipped. */
export function toBytes(data: Uint8Array | Float32Array): Uint8Array {
  if (data instanceof Uint8Array) return data;
  // floor(127.5 x + 128) as in EDM's generate.py; Uint8ClampedArray would round halves to even.
  return Uint8Array.from(
    data,
    (value) => Math.min(255, Math.max(0, Math.floor(value * 127.5 + 128))),
  );
}

/**
 * The images of a data set: npz files, folders, archives.
 *
 * @param limit use the first images only
 * @throws {UsageError} when the images have an alpha channel
 */
export function datasetImages(dataset: Dataset, limit: number = dataset.length): ImageSource {
  const [height, width, channels] = dataset.imageShape;
  if (channels !== 1 && channels !== 3) {
    throw new UsageError(
      `${dataset.name} has images of ${channels} channels; only grey (1) and RGB (3) images can ` +
        `be evaluated, so remove the alpha channel.`,
    );
  }
  const size = height * width * channels;
  return generatedImages(dataset.name, Math.min(limit, dataset.length), (first, count) => {
    const data = new Uint8Array(count * size);
    for (let i = 0; i < count; i++) data.set(dataset.image(first + i), i * size);
    const labels = dataset.labelCount === 0
      ? undefined
      : Int32Array.from({ length: count }, (_, i) => dataset.label(first + i) ?? -1);
    return Promise.resolve({ count, height, width, channels, data, labels });
  });
}

/**
 * Images that are made when they are asked for.
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
    async *batches(size) {
      for (let first = 0; first < count; first += size) {
        yield await make(first, Math.min(size, count - first));
      }
    },
  };
}

/** Images that are in memory already. */
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
