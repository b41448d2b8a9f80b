/**
 * Resampling on the host: what inception_onnx.ts does within the graph, for engines that are given
 * images of one size.
 *
 * @module
 */

import { INCEPTION_SIZE } from "./network.ts";
import { type ImageBatch, toBytes } from "../images.ts";
import type { Pipeline, Resampling } from "./pipelines.ts";

/** Which pixels of an axis make each pixel of the resampled one. */
interface AxisWeights {
  /** Pixels that each is made of. */
  readonly taps: number;
  /** First of them, `[size]`. */
  readonly first: Int32Array;
  /** What each adds, `[size, taps]`. */
  readonly weights: Float64Array;
}

/** What images become. */
export interface ResamplerOptions extends Pick<Pipeline, "resampling" | "scale" | "offset"> {
  /** Default: {@link INCEPTION_SIZE}. */
  readonly height?: number;
  /** Default: {@link INCEPTION_SIZE}. */
  readonly width?: number;
  /** Default 3, for which grey images are repeated; 1 takes grey images only. */
  readonly channels?: 1 | 3;
}

/** Images as a network takes them: `[count, height, width, channels]`, float32, scaled. */
export class Resampler {
  readonly #options: Required<ResamplerOptions>;
  readonly #axes = new Map<string, AxisWeights>();

  /** Resamples and scales in this way, for example that of a pipeline. */
  constructor(options: ResamplerOptions) {
    this.#options = { height: INCEPTION_SIZE, width: INCEPTION_SIZE, channels: 3, ...options };
  }

  /** Numbers per image. */
  get size(): number {
    const { height, width, channels } = this.#options;
    return height * width * channels;
  }

  /** Writes images `first` to `first + count - 1` to the start of `to`. */
  resample(images: ImageBatch, first: number, count: number, to: Float32Array): void {
    const { height, width, channels } = images;
    const size = height * width * channels;
    const bytes = toBytes(images.data.subarray(first * size, (first + count) * size));
    const { height: outHeight, width: outWidth, channels: outChannels } = this.#options;
    const [columns, rows] = [this.#axis(width, outWidth), this.#axis(height, outHeight)];
    const half = new Float32Array(height * outWidth * outChannels);
    for (let i = 0; i < count; i++) {
      const image = bytes.subarray(i * size, (i + 1) * size);
      if (outChannels === 1) greyAcrossColumns(image, height, width, columns, half);
      else acrossColumns(image, height, width, columns, half);
      acrossRows(half, rows, this.#options, to.subarray(i * this.size, (i + 1) * this.size));
    }
  }

  #axis(length: number, size: number): AxisWeights {
    const key = `${length} to ${size}`;
    let axis = this.#axes.get(key);
    if (!axis) {
      axis = AXES[this.#options.resampling](length, size);
      this.#axes.set(key, axis);
    }
    return axis;
  }
}

/** `[height, width]` bytes to `[height, columns]`. */
function greyAcrossColumns(
  image: Uint8Array,
  height: number,
  width: number,
  { taps, first, weights }: AxisWeights,
  to: Float32Array,
): void {
  for (let y = 0, out = 0; y < height; y++) {
    for (let x = 0; x < first.length; x++) {
      let sum = 0;
      for (let t = 0; t < taps; t++) sum += weights[x * taps + t] * image[y * width + first[x] + t];
      to[out++] = sum;
    }
  }
}

/** `[height, width, channels]` bytes to `[height, columns, 3]`. */
function acrossColumns(
  image: Uint8Array,
  height: number,
  width: number,
  { taps, first, weights }: AxisWeights,
  to: Float32Array,
): void {
  const channels = image.length / (height * width);
  // Of grey images the only channel is read three times.
  const [green, blue] = channels === 1 ? [0, 0] : [1, 2];
  for (let y = 0, out = 0; y < height; y++) {
    for (let x = 0; x < first.length; x++) {
      let [r, g, b] = [0, 0, 0];
      for (let t = 0, at = (y * width + first[x]) * channels; t < taps; t++, at += channels) {
        const weight = weights[x * taps + t];
        r += weight * image[at];
        g += weight * image[at + green];
        b += weight * image[at + blue];
      }
      to[out++] = r;
      to[out++] = g;
      to[out++] = b;
    }
  }
}

/** `[height, n]` to `[rows, n]`, scaled. */
function acrossRows(
  image: Float32Array,
  { taps, first, weights }: AxisWeights,
  { resampling, scale, offset }: ResamplerOptions,
  to: Float32Array,
): void {
  const n = to.length / first.length;
  const clip = resampling === "pil-bicubic";
  const row = new Float64Array(n);
  for (let y = 0; y < first.length; y++) {
    row.fill(0);
    for (let t = 0; t < taps; t++) {
      const weight = weights[y * taps + t];
      const from = image.subarray((first[y] + t) * n, (first[y] + t + 1) * n);
      for (let i = 0; i < n; i++) row[i] += weight * from[i];
    }
    for (let i = 0; i < n; i++) {
      // What the libraries hand on is float32.
      const value = Math.fround(clip ? Math.min(255, Math.max(0, row[i])) : row[i]);
      to[y * n + i] = value * scale + offset;
    }
  }
}

const AXES: Record<Resampling, (length: number, size: number) => AxisWeights> = {
  "tf1-bilinear": (length, size) => bilinear(length, size, 0),
  "half-pixel-bilinear": (length, size) => bilinear(length, size, 0.5),
  "pil-bicubic": bicubic,
};

/** Between the nearest two; positions in float32, as the libraries have them. */
function bilinear(length: number, size: number, half: number): AxisWeights {
  const taps = Math.min(2, length);
  const first = new Int32Array(size);
  const weights = new Float64Array(size * taps);
  const scale = Math.fround(length / size);
  for (let i = 0; i < size; i++) {
    const place = Math.max(0, Math.fround(Math.fround((i + half) * scale) - half));
    const low = Math.floor(place);
    const share = Math.fround(place - low);
    // The last pixel has no neighbour: it is read as the second of a pair.
    first[i] = Math.min(low, length - taps);
    const at = i * taps + (low - first[i]);
    weights[at] += 1 - share;
    weights[Math.min(at + 1, (i + 1) * taps - 1)] += share;
  }
  return { taps, first, weights };
}

/** Pillow's precompute_coeffs for BICUBIC (libImaging/Resample.c). */
function bicubic(length: number, size: number): AxisWeights {
  const scale = length / size;
  const stretch = Math.max(1, scale);
  const support = 2 * stretch;
  const taps = Math.min(length, Math.ceil(support) * 2 + 1);
  const first = new Int32Array(size);
  const weights = new Float64Array(size * taps);
  for (let i = 0; i < size; i++) {
    const centre = (i + 0.5) * scale;
    first[i] = Math.min(Math.max(0, Math.trunc(centre - support + 0.5)), length - taps);
    const row = weights.subarray(i * taps, (i + 1) * taps);
    for (let t = 0; t < taps; t++) row[t] = cubic((first[i] + t - centre + 0.5) / stretch);
    const sum = row.reduce((total, weight) => total + weight);
    for (let t = 0; t < taps; t++) row[t] /= sum;
  }
  return { taps, first, weights };
}

/** The cubic with a = -0.5 (Keys 1981). */
function cubic(x: number): number {
  const [a, t] = [-0.5, Math.abs(x)];
  if (t < 1) return ((a + 2) * t - (a + 3)) * t * t + 1;
  return t < 2 ? (((t - 5) * t + 8) * t - 4) * a : 0;
}
