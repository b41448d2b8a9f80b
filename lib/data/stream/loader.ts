/**
 * The endless stream of training images.
 *
 * Image number `n` of the stream is a pure function of (seed, n), see stream_order.ts.
 *
 * @module
 */

import { SCALED } from "../../base/bytes.ts";
import type { Dataset } from "../dataset.ts";
import type { ItemStream, ItemWork } from "./prefetch.ts";
import { type LoaderOptions, type StreamItem, StreamOrder } from "./order.ts";

/** Images and labels as a training step takes them. */
export interface Batch {
  /** [count, height, width, channels], x / 127.5 - 1, so from -1 to 1. */
  readonly images: Float32Array<ArrayBuffer>;
  /** [count]; all 0 when the data set has no labels. */
  readonly labels: Int32Array<ArrayBuffer>;
  /** What the network is told of augmentation, where images are changed. */
  readonly augment?: Float32Array<ArrayBuffer>;
}

/** Pictures with so many bytes in all are decoded sooner than threads are started. */
const QUICK_BYTES = 2 ** 23;

/**
 * The stream of one data set. It borrows the data set.
 *
 * @example
 * ```ts
 * import { Loader, openDataset } from "@imm/imm";
 * import assert from "node:assert/strict";
 *
 * using digits = await openDataset("digits");
 * const loader = new Loader(digits, { seed: 0 });
 * const { images, labels } = loader.batch(0, 64); // [64, 8, 8, 1] from -1 to 1, and [64]
 * assert.equal(images.length, 64 * 8 * 8);
 * assert.deepEqual(loader.batch(32, 32).labels, labels.slice(32)); // no matter in which portions
 * ```
 */
export class Loader implements ItemStream {
  /** Where the images come from; closing it is its owner's business. */
  readonly dataset: Dataset;
  readonly #order: StreamOrder;

  /** A stream over `dataset`, which must stay open while batches are asked for. */
  constructor(dataset: Dataset, options: LoaderOptions) {
    this.dataset = dataset;
    this.#order = new StreamOrder(dataset.length, options);
  }

  /** Which image is number `position` of the stream. */
  item(position: number): StreamItem {
    return this.#order.item(position);
  }

  /**
   * Images `position` to `position + count - 1` of the stream.
   *
   * @param into memory to fill instead of new arrays
   */
  batch(position: number, count: number, into: Batch = this.#allocate(count)): Batch {
    const [height, width, channels] = this.dataset.imageShape;
    const rowLength = width * channels;
    const size = height * rowLength;
    for (let i = 0; i < count; i++) {
      const { index, mirrored } = this.item(position + i);
      const pixels = this.dataset.image(index);
      const target = into.images.subarray(i * size, (i + 1) * size);
      if (mirrored) scaleMirrored(pixels, target, rowLength, channels);
      else for (let j = 0; j < size; j++) target[j] = SCALED[pixels[j]];
      into.labels[i] = this.dataset.label(index) ?? 0;
    }
    return into;
  }

  /** The class of image `position`; 0 when the data set has no labels. */
  label(position: number): number {
    return this.dataset.label(this.item(position).index) ?? 0;
  }

  /** Whether pictures are decoded that do not fit in memory, or would take a while. */
  get isSlow(): boolean {
    const { decoding } = this.dataset;
    return !!decoding && !(decoding.isKept && decoding.totalBytes <= QUICK_BYTES);
  }

  /** Bytes of a decoded picture; 0 where images are in memory. */
  get itemBytes(): number {
    const { decoding, length } = this.dataset;
    return decoding ? decoding.totalBytes / length : 0;
  }

  /** Whether image `position` would have to be decoded now. */
  isMissing(position: number): boolean {
    return this.dataset.decoding?.isMissing(this.item(position).index) ?? false;
  }

  /** Decoding of images of the stream. */
  work(positions: readonly number[]): ItemWork[] {
    const { format, place } = this.dataset.decoding!;
    const pictures = positions.map((position) => place(this.item(position).index));
    return [{ task: { kind: "pictures", format, pictures }, positions }];
  }

  /** Takes the pixels of image `position`. */
  supply(position: number, pixels: Uint8Array): void {
    this.dataset.decoding!.supply(this.item(position).index, pixels);
  }

  #allocate(count: number): Batch {
    const [height, width, channels] = this.dataset.imageShape;
    return {
      images: new Float32Array(count * height * width * channels),
      labels: new Int32Array(count),
    };
  }
}

function scaleMirrored(
  pixels: Uint8Array,
  target: Float32Array,
  rowLength: number,
  channels: number,
): void {
  for (let row = 0; row < pixels.length; row += rowLength) {
    for (let x = 0; x < rowLength; x += channels) {
      const from = row + rowLength - channels - x;
      for (let c = 0; c < channels; c++) target[row + x + c] = SCALED[pixels[from + c]];
    }
  }
}
