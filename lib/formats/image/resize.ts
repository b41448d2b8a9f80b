/**
 * Resizing as Pillow does it, to the last bit: convolution with a filter that grows with the
 * reduction, first along rows, then along columns, with weights of 22 fractional bits and 8-bit
 * pixels in between (`Image.resize` of images with 8 bits per channel and without transparency).
 *
 * @module
 */

import { UsageError } from "../../base/errors.ts";
import type { Image } from "./pixels.ts";

/** A filter of Pillow's by its name. */
export type ResizeFilter = "box" | "bilinear" | "bicubic" | "lanczos";

/** Names of the filters. */
export const RESIZE_FILTERS: readonly ResizeFilter[] = ["box", "bilinear", "bicubic", "lanczos"];

/** How far a filter reaches at scale 1, and its weight at a distance. */
const FILTERS: Readonly<Record<ResizeFilter, readonly [support: number, (x: number) => number]>> = {
  box: [0.5, (x) => x > -0.5 && x <= 0.5 ? 1 : 0],
  bilinear: [1, (x) => Math.max(0, 1 - Math.abs(x))],
  bicubic: [2, bicubic],
  lanczos: [3, (x) => x >= -3 && x < 3 ? sinc(x) * sinc(x / 3) : 0],
};

/** Keys' cubic convolution with a = -0.5. */
function bicubic(distance: number): number {
  const a = -0.5;
  const x = Math.abs(distance);
  if (x < 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
  if (x < 2) return (((x - 5) * x + 8) * x - 4) * a;
  return 0;
}

function sinc(x: number): number {
  if (x === 0) return 1;
  const angle = x * Math.PI;
  return Math.sin(angle) / angle;
}

/** Fractional bits of the weights: 8 bits of pixel and 2 of overshoot leave 22 of 32. */
const BITS = 22;

/** What one pixel of the output is made of. */
interface Taps {
  /** First pixel of the input. */
  readonly first: number;
  /** Weights of that pixel and those after it, times 2^22. */
  readonly weights: Int32Array;
}

/**
 * Resizes a picture. Channels are resized apart, so that transparency must have been dropped.
 *
 * @param width pixels in a row of the result, at least 1
 * @param height rows of the result, at least 1
 * @throws {UsageError} when the size is no size, or the picture has transparency
 */
export function resizeImage(
  image: Image,
  width: number,
  height: number,
  filter: ResizeFilter,
): Image {
  if (![width, height].every((size) => Number.isInteger(size) && size >= 1)) {
    throw new UsageError(`expected a size of whole pixels, but found ${width} x ${height}`);
  }
  if (image.channels !== 1 && image.channels !== 3) {
    throw new UsageError("a picture with transparency cannot be resized; drop the alpha first");
  }
  const narrow = width === image.width ? image : resizeRows(image, width, filter);
  return height === image.height ? narrow : resizeColumns(narrow, height, filter);
}

function resizeRows(image: Image, width: number, filter: ResizeFilter): Image {
  const { height, channels, data } = image;
  const taps = outputTaps(image.width, width, filter);
  const result = new Uint8Array(height * width * channels);
  let to = 0;
  for (let y = 0; y < height; y++) {
    const row = y * image.width * channels;
    for (const { first, weights } of taps) {
      for (let c = 0; c < channels; c++) {
        let sum = 1 << (BITS - 1);
        let from = row + first * channels + c;
        for (const weight of weights) {
          sum += data[from] * weight;
          from += channels;
        }
        result[to++] = clip(sum >> BITS);
      }
    }
  }
  return { width, height, channels, data: result };
}

function resizeColumns(image: Image, height: number, filter: ResizeFilter): Image {
  const { width, channels, data } = image;
  const pitch = width * channels;
  const result = new Uint8Array(height * pitch);
  const sums = new Int32Array(pitch);
  for (const [y, { first, weights }] of outputTaps(image.height, height, filter).entries()) {
    sums.fill(1 << (BITS - 1));
    for (const [k, weight] of weights.entries()) {
      const row = (first + k) * pitch;
      for (let i = 0; i < pitch; i++) sums[i] += data[row + i] * weight;
    }
    for (let i = 0; i < pitch; i++) result[y * pitch + i] = clip(sums[i] >> BITS);
  }
  return { width, height, channels, data: result };
}

function outputTaps(inSize: number, outSize: number, filter: ResizeFilter): Taps[] {
  const [reach, weightAt] = FILTERS[filter];
  const scale = inSize / outSize;
  const filterScale = Math.max(1, scale);
  const support = reach * filterScale;
  return Array.from({ length: outSize }, (_, i) => {
    const center = (i + 0.5) * scale;
    const first = Math.max(0, Math.trunc(center - support + 0.5));
    const end = Math.min(inSize, Math.trunc(center + support + 0.5));
    // Pillow multiplies by the reciprocal; dividing would round differently.
    const perPixel = 1 / filterScale;
    const exact = Array.from(
      { length: end - first },
      (_, k) => weightAt((k + first - center + 0.5) * perPixel),
    );
    const total = exact.reduce((sum, weight) => sum + weight, 0);
    const weights = Int32Array.from(exact, (weight) => {
      const scaled = (total === 0 ? weight : weight / total) * (1 << BITS);
      return Math.trunc(scaled + (scaled < 0 ? -0.5 : 0.5));
    });
    return { first, weights };
  });
}

function clip(value: number): number {
  return value < 0 ? 0 : value > 255 ? 255 : value;
}
