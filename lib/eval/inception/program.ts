/**
 * The Inception network of the FID on this project's own engine.
 *
 * @module
 */

import type { Program } from "../../compile/program.ts";
import {
  add,
  Arena,
  concat,
  conv2d,
  input,
  matmul,
  maximum,
  mean,
  mul,
  pad,
  reshape,
  slice,
  type Tensor,
} from "../../tensor/mod.ts";
import {
  foldedConv,
  inception,
  INCEPTION_CLASSES,
  INCEPTION_CLASSIFIER,
  INCEPTION_FEATURES,
  INCEPTION_LAYER_SIZES,
  INCEPTION_SIZE,
  INCEPTION_SPATIAL_CHANNELS,
  type InceptionConv,
  type InceptionWeights,
} from "./network.ts";

/** The network as a program, and what its state has to hold. */
export interface InceptionProgram {
  /** Input `images`, `[batch, 299, 299, 3]`; outputs `features`, `logits` (with a classifier), layers. */
  readonly program: Program;
  /** Weights and what else is constant. */
  readonly arena: Arena;
  /** Contents of the arena by name. */
  readonly values: ReadonlyMap<string, Float32Array>;
}

/** Builds the program for `batch` images at a time; the weights must have been checked. */
export function inceptionProgram(weights: InceptionWeights, batch: number): InceptionProgram {
  const arena = new Arena("inception");
  const values = new Map<string, Float32Array>();
  const state = (name: string, shape: readonly number[], data: Float32Array): Tensor => {
    if (!values.has(name)) arena.add(name, shape);
    values.set(name, data);
    return arena.tensor(name);
  };

  const conv = (x: Tensor, { name, out, kernel: [kh, kw], stride, padding }: InceptionConv) => {
    const { weight, bias } = foldedConv(weights, name);
    const channels = x.shape[3];
    const w = state(`${name}.weight`, [kh, kw, channels, out], kernelFirst(weight));
    const b = state(`${name}.bias`, [out], bias);
    const [rows, columns] = padding;
    // A convolution pads all sides alike; what more one axis needs is put around the image.
    const common = Math.min(rows, columns);
    const around = padded(x, rows - common, columns - common);
    return maximum(conv2d(around, w, b, { stride, padding: common }), 0);
  };

  const images = input("images", [batch, INCEPTION_SIZE, INCEPTION_SIZE, 3]);
  const { block0, block1, block2, block3, spatial } = inception<Tensor>({
    conv,
    // Everything that is pooled comes from max(x, 0), so zeros around it never win.
    maxPool: (x, stride, padding) =>
      windows(padded(x, padding, padding), stride, (parts) => parts.reduce(maximum)),
    averagePool(x) {
      const [, height, width] = x.shape;
      const shares = state(`shares.${height}x${width}`, [height, width, 1], windowShares(x.shape));
      return mul(windows(padded(x, 1, 1), 1, (parts) => parts.reduce(add)), shares);
    },
    concat: (xs) => concat(xs, 3),
  }, images);

  const pooled = (x: Tensor) => reshape(mean(x, [1, 2]), [batch, x.shape[3]]);
  const features = pooled(block3);
  const shape = [INCEPTION_CLASSES, INCEPTION_FEATURES];
  const classifier = weights.get(INCEPTION_CLASSIFIER);
  const fc = classifier && state(INCEPTION_CLASSIFIER, shape, classifier.data);
  const [, height, width] = spatial.shape;
  const first = slice(spatial, [0, 0, 0, 0], [batch, height, width, INCEPTION_SPATIAL_CHANNELS]);
  const outputs = {
    features,
    ...(fc ? { logits: matmul(features, fc, { transB: true }) } : {}),
    "64": pooled(block0),
    "192": pooled(block1),
    "768": pooled(block2),
    spatial: reshape(first, [batch, INCEPTION_LAYER_SIZES.spatial]),
  };
  const program = {
    label: "inception",
    inputs: [images],
    outputs,
    updates: [],
    batchInvariant: true,
  };
  return { program, arena, values };
}

/** Zeros around images. */
function padded(x: Tensor, rows: number, columns: number): Tensor {
  const [n, height, width, channels] = x.shape;
  return pad(x, [0, rows, columns, 0], [n, height + 2 * rows, width + 2 * columns, channels]);
}

/** Combines the pixels of each 3 x 3 window: first those of a column, then the columns. */
function windows(x: Tensor, stride: number, combine: (parts: Tensor[]) => Tensor): Tensor {
  const rows = combine([0, 1, 2].map((start) => every(x, 1, start, stride)));
  return combine([0, 1, 2].map((start) => every(rows, 2, start, stride)));
}

/** Positions `start`, `start + stride`, … of an axis, as many as windows of three fit. */
function every(x: Tensor, axis: number, start: number, stride: number): Tensor {
  const count = Math.floor((x.shape[axis] - 3) / stride) + 1;
  // Pairs begin one earlier where the last one would reach beyond the end.
  const begin = start + stride * count > x.shape[axis] ? start - stride + 1 : start;
  const at = (value: number) => x.shape.map((_, i) => i === axis ? value : 0);
  const part = slice(x, at(begin), x.shape.map((n, i) => i === axis ? stride * count : n));
  if (stride === 1) return part;
  const split = x.shape.flatMap((n, i) => i === axis ? [count, stride] : [n]);
  const starts = split.map((_, i) => i === axis + 1 ? start - begin : 0);
  const chosen = slice(reshape(part, split), starts, split.map((n, i) => i === axis + 1 ? 1 : n));
  return reshape(chosen, x.shape.map((n, i) => i === axis ? count : n));
}

/** One over the number of pixels of each 3 x 3 window that lie in the image, `[height, width]`. */
function windowShares([, height, width]: readonly number[]): Float32Array {
  const inside = (at: number, size: number) => 3 - Number(at === 0) - Number(at === size - 1);
  return Float32Array.from(
    { length: height * width },
    (_, i) => 1 / (inside(Math.floor(i / width), height) * inside(i % width, width)),
  );
}

/** `[O, I, kh, kw]` as `[kh, kw, I, O]`. */
function kernelFirst({ shape, data }: { shape: readonly number[]; data: Float32Array }) {
  const [out, channels, height, width] = shape;
  const taps = height * width;
  const result = new Float32Array(data.length);
  for (let o = 0; o < out; o++) {
    for (let i = 0; i < channels; i++) {
      for (let t = 0; t < taps; t++) {
        result[(t * channels + i) * out + o] = data[(o * channels + i) * taps + t];
      }
    }
  }
  return result;
}
