/**
 * The Inception network of the FID: Inception v3 as Google published it in 2015, in the form that
 * pytorch-fid gave it (names of the weights, branches, pooling). It differs from torchvision's
 * Inception v3 in its 1008 classes, in average pools that do not count the padding, and in a
 * maximum pool in its last block.
 *
 * The network is written once, against a handful of layers; what the layers do is up to whoever
 * runs it: they may write an ONNX graph, build a symbolic graph of this project's own engine, or
 * only note which weights there must be.
 *
 * Sources: Szegedy et al. 2015, https://arxiv.org/abs/1512.00567; pytorch-fid's inception.py
 * (https://github.com/mseitzer/pytorch-fid).
 *
 * @module
 */

import { FormatError } from "../../base/errors.ts";

/** Height and width of the images that the network takes. */
export const INCEPTION_SIZE = 299;
/** Length of the vectors that FID compares: pool3, the mean over the last 8 x 8 positions. */
export const INCEPTION_FEATURES = 2048;
/** Classes of the classifier. */
export const INCEPTION_CLASSES = 1008;

/**
 * Other outputs by name, and their lengths: the means after the first and the second pooling and
 * after Mixed_6e (pytorch-fid's `--dims 64`, `192`, `768`), and what sFID compares: the first seven
 * channels of Mixed_6d.branch1x1, 17 x 17 positions, channels last (ADM's evaluator).
 */
export const INCEPTION_LAYER_SIZES = { "64": 64, "192": 192, "768": 768, spatial: 2023 } as const;

/** Channels of `spatial` that sFID takes. */
export const INCEPTION_SPATIAL_CHANNELS = 7;

/** Kernel `[height, width]` of a convolution, its step, and zeros on each side of rows, columns. */
export interface InceptionConv {
  /** Name of the unit: the prefix of its weights. */
  readonly name: string;
  readonly out: number;
  readonly kernel: readonly [number, number];
  readonly stride: number;
  readonly padding: readonly [number, number];
}

/** What the network is made of. `Value` is an image with channels. */
export interface InceptionLayers<Value> {
  /** Convolution, batch norm, max(x, 0). */
  conv(x: Value, unit: InceptionConv): Value;
  /** Maximum of 3 x 3 windows; padding never wins. */
  maxPool(x: Value, stride: number, padding: number): Value;
  /** Mean of 3 x 3 windows, step 1, zeros around that are not counted. */
  averagePool(x: Value): Value;
  /** Joins channels. */
  concat(xs: readonly Value[]): Value;
}

/** Where the network's outputs are taken from; all are images with channels. */
export interface InceptionOutputs<Value> {
  /** After the first pooling, `73 x 73 x 64`. */
  readonly block0: Value;
  /** After the second, `35 x 35 x 192`. */
  readonly block1: Value;
  /** Mixed_6d.branch1x1, `17 x 17 x 192`. */
  readonly spatial: Value;
  /** Mixed_6e, `17 x 17 x 768`. */
  readonly block2: Value;
  /** Mixed_7c, `8 x 8 x 2048`. */
  readonly block3: Value;
}

/** Applies the network to images of {@link INCEPTION_SIZE}, scaled to [-1, 1]. */
export function inception<Value>(
  layers: InceptionLayers<Value>,
  x: Value,
): InceptionOutputs<Value> {
  /** Rows and columns of a "same" kernel are padded by half of it. */
  const unit = (
    x: Value,
    name: string,
    out: number,
    [height, width]: readonly [number, number] = [1, 1],
    { stride = 1, valid = false } = {},
  ): Value => {
    const padding = valid ? [0, 0] as const : [(height - 1) / 2, (width - 1) / 2] as const;
    return layers.conv(x, { name, out, kernel: [height, width], stride, padding });
  };
  const reduce = { stride: 2, valid: true };
  const [K3, K5] = [[3, 3], [5, 5]] as const;
  const [ROW3, COLUMN3, ROW7, COLUMN7] = [[1, 3], [3, 1], [1, 7], [7, 1]] as const;

  const mixed5 = (x: Value, name: string, pool: number): Value => {
    const a = unit(x, `${name}.branch1x1`, 64);
    const b = unit(unit(x, `${name}.branch5x5_1`, 48), `${name}.branch5x5_2`, 64, K5);
    let c = unit(x, `${name}.branch3x3dbl_1`, 64);
    c = unit(c, `${name}.branch3x3dbl_2`, 96, K3);
    c = unit(c, `${name}.branch3x3dbl_3`, 96, K3);
    const d = unit(layers.averagePool(x), `${name}.branch_pool`, pool);
    return layers.concat([a, b, c, d]);
  };
  const mixed6a = (x: Value): Value => {
    const a = unit(x, "Mixed_6a.branch3x3", 384, K3, reduce);
    let b = unit(x, "Mixed_6a.branch3x3dbl_1", 64);
    b = unit(b, "Mixed_6a.branch3x3dbl_2", 96, K3);
    b = unit(b, "Mixed_6a.branch3x3dbl_3", 96, K3, reduce);
    return layers.concat([a, b, layers.maxPool(x, 2, 0)]);
  };
  const mixed6 = (x: Value, name: string, c: number): { all: Value; first: Value } => {
    const first = unit(x, `${name}.branch1x1`, 192);
    let b = unit(x, `${name}.branch7x7_1`, c);
    b = unit(b, `${name}.branch7x7_2`, c, ROW7);
    b = unit(b, `${name}.branch7x7_3`, 192, COLUMN7);
    let d = unit(x, `${name}.branch7x7dbl_1`, c);
    d = unit(d, `${name}.branch7x7dbl_2`, c, COLUMN7);
    d = unit(d, `${name}.branch7x7dbl_3`, c, ROW7);
    d = unit(d, `${name}.branch7x7dbl_4`, c, COLUMN7);
    d = unit(d, `${name}.branch7x7dbl_5`, 192, ROW7);
    const pool = unit(layers.averagePool(x), `${name}.branch_pool`, 192);
    return { all: layers.concat([first, b, d, pool]), first };
  };
  const mixed7a = (x: Value): Value => {
    let a = unit(x, "Mixed_7a.branch3x3_1", 192);
    a = unit(a, "Mixed_7a.branch3x3_2", 320, K3, reduce);
    let b = unit(x, "Mixed_7a.branch7x7x3_1", 192);
    b = unit(b, "Mixed_7a.branch7x7x3_2", 192, ROW7);
    b = unit(b, "Mixed_7a.branch7x7x3_3", 192, COLUMN7);
    b = unit(b, "Mixed_7a.branch7x7x3_4", 192, K3, reduce);
    return layers.concat([a, b, layers.maxPool(x, 2, 0)]);
  };
  const mixed7 = (x: Value, name: string, pooled: Value): Value => {
    const a = unit(x, `${name}.branch1x1`, 320);
    const b = unit(x, `${name}.branch3x3_1`, 384);
    const b1 = unit(b, `${name}.branch3x3_2a`, 384, ROW3);
    const b2 = unit(b, `${name}.branch3x3_2b`, 384, COLUMN3);
    let c = unit(x, `${name}.branch3x3dbl_1`, 448);
    c = unit(c, `${name}.branch3x3dbl_2`, 384, K3);
    const c1 = unit(c, `${name}.branch3x3dbl_3a`, 384, ROW3);
    const c2 = unit(c, `${name}.branch3x3dbl_3b`, 384, COLUMN3);
    const d = unit(pooled, `${name}.branch_pool`, 192);
    return layers.concat([a, b1, b2, c1, c2, d]);
  };

  x = unit(x, "Conv2d_1a_3x3", 32, K3, reduce);
  x = unit(x, "Conv2d_2a_3x3", 32, K3, { valid: true });
  x = unit(x, "Conv2d_2b_3x3", 64, K3);
  const block0 = x = layers.maxPool(x, 2, 0);
  x = unit(x, "Conv2d_3b_1x1", 80);
  x = unit(x, "Conv2d_4a_3x3", 192, K3, { valid: true });
  const block1 = x = layers.maxPool(x, 2, 0);
  x = mixed5(x, "Mixed_5b", 32);
  x = mixed5(x, "Mixed_5c", 64);
  x = mixed5(x, "Mixed_5d", 64);
  x = mixed6a(x);
  x = mixed6(x, "Mixed_6b", 128).all;
  x = mixed6(x, "Mixed_6c", 160).all;
  const { all, first: spatial } = mixed6(x, "Mixed_6d", 160);
  const block2 = x = mixed6(all, "Mixed_6e", 192).all;
  x = mixed7a(x);
  x = mixed7(x, "Mixed_7b", layers.averagePool(x));
  x = mixed7(x, "Mixed_7c", layers.maxPool(x, 1, 1));
  return { block0, block1, spatial, block2, block3: x };
}

/** A tensor of a weight file. */
export interface InceptionTensor {
  /** As in PyTorch. */
  readonly shape: readonly number[];
  /** Row-major. */
  readonly data: Float32Array;
}

/** Weights by name, as in pytorch-fid's state dict. */
export type InceptionWeights = ReadonlyMap<string, InceptionTensor>;

/** The tensor that only the classifier needs. */
export const INCEPTION_CLASSIFIER = "fc.weight";

/** The tensors of the network, the classifier's last: names and shapes, in the order of its layers. */
export function inceptionManifest(): [name: string, shape: number[]][] {
  const manifest: [string, number[]][] = [];
  inception<number>({
    conv(channels, { name, out, kernel }) {
      manifest.push([`${name}.conv.weight`, [out, channels, ...kernel]]);
      for (const part of NORM_PARTS) manifest.push([`${name}.bn.${part}`, [out]]);
      return out;
    },
    maxPool: (channels) => channels,
    averagePool: (channels) => channels,
    concat: (parts) => parts.reduce((sum, channels) => sum + channels),
  }, 3);
  manifest.push([INCEPTION_CLASSIFIER, [INCEPTION_CLASSES, INCEPTION_FEATURES]]);
  return manifest;
}

const NORM_PARTS = ["weight", "bias", "running_mean", "running_var"] as const;
/** Of the batch norms. */
const EPSILON = 1e-3;

/**
 * Checks that all weights are there, but for the classifier's, without which there are no logits;
 * others are ignored (`fc.bias`, counters).
 *
 * @param name what the error message calls the file
 * @throws {FormatError} when one is missing, or has another shape
 */
export function checkInceptionWeights(weights: InceptionWeights, name: string): void {
  for (const [key, shape] of inceptionManifest()) {
    const found = weights.get(key)?.shape;
    if (`${found}` === `${shape}` || (key === INCEPTION_CLASSIFIER && !found)) continue;
    throw new FormatError(
      `${name} holds no weights of the FID's Inception network: expected ${key} ` +
        `[${shape.join(", ")}], found ${found ? `[${found.join(", ")}]` : "none"}. Use ` +
        `pt_inception-2015-12-05-6726825d.pth; torchvision's weights give other numbers.`,
    );
  }
}

/** A convolution and the batch norm after it as one convolution: weight `[O, I, kh, kw]`. */
export interface FoldedConv {
  readonly weight: InceptionTensor;
  readonly bias: Float32Array<ArrayBuffer>;
}

/**
 * Folds the batch norm of a unit into its convolution, in float64 and rounded once:
 * w' = w gamma / sqrt(var + eps), b' = beta - mean gamma / sqrt(var + eps).
 */
export function foldedConv(weights: InceptionWeights, unit: string): FoldedConv {
  const { shape, data } = weights.get(`${unit}.conv.weight`)!;
  const [gamma, beta, mean, variance] = NORM_PARTS.map((part) =>
    weights.get(`${unit}.bn.${part}`)!.data
  );
  const [out] = shape;
  const size = data.length / out;
  const weight = new Float32Array(data.length);
  const bias = new Float32Array(out);
  for (let o = 0; o < out; o++) {
    const factor = gamma[o] / Math.sqrt(variance[o] + EPSILON);
    bias[o] = beta[o] - mean[o] * factor;
    for (let i = o * size; i < (o + 1) * size; i++) weight[i] = data[i] * factor;
  }
  return { weight: { shape, data: weight }, bias };
}
