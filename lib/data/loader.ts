/**
 * The endless stream of training images.
 *
 * Image number `n` of the stream is a pure function of (seed, n): every epoch is a permutation of
 * the data set that depends on (seed, epoch) only, and whether the image is mirrored depends on
 * (seed, n) only. So a run that resumes after n images needs no other state than n to continue bit
 * for bit, and the stream does not depend on the batch size.
 *
 * @module
 */

import { deriveKey, type Key, threefry2x32 } from "../tensor/threefry.ts";
import type { Dataset } from "./dataset.ts";

/** What determines a stream besides the data set. */
export interface LoaderOptions {
  /** Determines order and mirroring. */
  readonly seed: number | bigint;
  /** Whether half of the images, at random, are mirrored left to right. */
  readonly mirror?: boolean;
}

/** Images and labels as a training step takes them. */
export interface Batch {
  /** [count, height, width, channels], x / 127.5 - 1, so from -1 to 1. */
  readonly images: Float32Array<ArrayBuffer>;
  /** [count]; all 0 when the data set has no labels. */
  readonly labels: Int32Array<ArrayBuffer>;
}

/** x / 127.5 - 1, for every byte. */
const SCALED = Float32Array.from({ length: 256 }, (_, byte) => byte / 127.5 - 1);

/** Where an image of the stream comes from. */
export interface StreamItem {
  /** Index in the data set. */
  readonly index: number;
  /** Whether it is mirrored left to right. */
  readonly mirrored: boolean;
}

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
export class Loader {
  /** Where the images come from; closing it is its owner's business. */
  readonly dataset: Dataset;
  readonly #seed: number | bigint;
  readonly #mirrorKey: Key | null;
  #epoch = -1;
  #order: Uint32Array = new Uint32Array();

  /** A stream over `dataset`, which must stay open while batches are asked for. */
  constructor(dataset: Dataset, { seed, mirror = false }: LoaderOptions) {
    this.dataset = dataset;
    this.#seed = seed;
    this.#mirrorKey = mirror ? deriveKey(seed, "mirror") : null;
  }

  /** Which image is number `position` of the stream. */
  item(position: number): StreamItem {
    const { length } = this.dataset;
    const epoch = Math.floor(position / length);
    if (epoch !== this.#epoch) {
      this.#order = permutation(length, deriveKey(this.#seed, "epoch", epoch));
      this.#epoch = epoch;
    }
    return { index: this.#order[position % length], mirrored: this.#isMirrored(position) };
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

  #isMirrored(position: number): boolean {
    if (this.#mirrorKey === null) return false;
    const [k0, k1] = this.#mirrorKey;
    const [word] = threefry2x32(k0, k1, position % 2 ** 32, Math.floor(position / 2 ** 32));
    return (word & 1) === 1;
  }

  #allocate(count: number): Batch {
    const [height, width, channels] = this.dataset.imageShape;
    return {
      images: new Float32Array(count * height * width * channels),
      labels: new Int32Array(count),
    };
  }
}

/** A random order of 0 to length - 1: Fisher and Yates, with one counter per exchange. */
export function permutation(length: number, [k0, k1]: Key): Uint32Array {
  const order = Uint32Array.from({ length }, (_, i) => i);
  for (let last = length - 1; last > 0; last--) {
    const [high, low] = threefry2x32(k0, k1, last, 0);
    // 53 random bits: the excess of some places over others is below 2^-30 for any data set.
    const uniform = (high * 2 ** 21 + (low >>> 11)) / 2 ** 53;
    const chosen = Math.floor(uniform * (last + 1));
    const swapped = order[last];
    order[last] = order[chosen];
    order[chosen] = swapped;
  }
  return order;
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
