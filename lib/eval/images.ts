/**
 * Images on their way to a feature extractor.
 *
 * @module
 */

import { UsageError } from "../errors.ts";
import { NpzFile } from "../format/npz.ts";

/** Images of one size, `[count, height, width, channels]`. */
export interface ImageBatch {
  readonly count: number;
  readonly height: number;
  readonly width: number;
  /** 1 (gray) or 3 (RGB). */
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
 * The images of an npz: `arr_0`, uint8 `[n, height, width, channels]`, and their labels `arr_1`
 * where it has them, as samples are exchanged in the field.
 *
 * @param limit use the first images only
 * @throws {FormatError} when the file cannot be read
 * @throws {UsageError} when `arr_0` holds no images
 */
export async function npzImages(path: string, limit?: number): Promise<ImageSource> {
  using file = await NpzFile.open(path);
  const { type, shape } = await file.array("arr_0");
  if (type !== "u8" || shape.length !== 4 || ![1, 3].includes(shape[3])) {
    throw new UsageError(
      `${path} holds no images: expected arr_0 as uint8 [n, height, width, 1 or 3], found ` +
        `${type} [${shape.join(", ")}].`,
    );
  }
  const [total, height, width, channels] = shape;
  const count = Math.min(total, limit ?? total);
  return {
    name: path,
    count,
    async *batches(size) {
      using file = await NpzFile.open(path);
      const images = await file.array("arr_0");
      const labels = file.names.includes("arr_1")
        ? (await file.array("arr_1")).read().toInt32()
        : undefined;
      for (let start = 0; start < count; start += size) {
        const rows = Math.min(size, count - start);
        const data = images.rows(start, rows).bytes;
        yield {
          count: rows,
          height,
          width,
          channels,
          data,
          labels: labels?.length === total ? labels.subarray(start, start + rows) : undefined,
        };
      }
    },
  };
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
