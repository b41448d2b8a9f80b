/**
 * Configurations by name, in one table. `reached` says what scores a row led to, and whose they are:
 * the paper's, or this program's with the command that gave them.
 *
 * @module
 */

import { UsageError } from "../../base/errors.ts";
import type { Precision } from "../../models/precision.ts";
import type { DataShape, TrainConfigInput } from "./config.ts";

/** The diffusion transformers of Peebles & Xie 2023 with patches of 2 x 2 latents. */
const dit = (hiddenSize: number, depth: number, numHeads: number) => ({
  type: "dit",
  imgResolution: 32,
  imgChannels: 4,
  labelDim: 1000,
  patchSize: 2,
  hiddenSize,
  depth,
  numHeads,
});

/** A preset: a configuration, and what came of it. */
type Preset = TrainConfigInput & { readonly reached: string };

/** The U-Net of the small data sets: DDPM++ without dropout. */
const smallUNet = (modelChannels: number, channelMult: number[], attnResolutions: number[]) => ({
  type: "song_unet",
  modelChannels,
  channelMult,
  attnResolutions,
  numBlocks: 1,
  dropout: 0,
});

/** Table 5 of the paper, ImageNet in the latents of sd-vae-ft-ema; what differs is given. */
const imagenet = (
  imm: Readonly<Record<string, unknown>>,
  precision: Precision = "float32",
) => ({
  data: { source: "imagenet256-latents", latents: {} },
  imm: {
    T: 0.994,
    eps: 0,
    k: 12,
    b: 4,
    M: 4,
    parameterization: "euler_fm",
    labelDropout: 0.1,
    ...imm,
  },
  optimizer: { name: "adamw", lr: 1e-4 } as const,
  train: { batch: 4096, images: 4_915_200_000, precision, ema: { decay: 0.9999 } },
  report: { status: 409_600, samples: 4_096_000, checkpoint: 4_096_000, steps: [1, 2, 4, 8] },
});

// Iterations of the paper are counted in images here: 400K and 1.2M steps of 4096. The paper's runs
// are TF32 where these are float32, and FP16 in the last row, where the least gap of 1e-4 between t
// and r is what float16 can still tell apart.
// deno-fmt-ignore
const PRESETS: Readonly<Record<string, Preset>> = {
  // Eight Gaussians on a ring in the plane: seconds.
  toy2d: {
    reached:   "all eight modes in 2 steps, by eye (imm train --preset toy2d)",
    data:      { source: "toy2d" },
    network:   { type: "mlp", hidden: 64, depth: 2 },
    imm:       { T: 0.994, eps: 0.006, k: 8,  a: 1, b: 4, M: 4, parameterization: "euler_fm" },
    optimizer: { name: "adam",  lr: 3e-3 },
    train:     { batch: 256,  images: 512_000, ema: { decay: 0.99, ramp: true } },
    report:    { status: 12_800, samples: 128_000, checkpoint: 128_000, steps: [1, 2], grid: 2000 },
  },
  // 8x8 handwritten digits, embedded. The full recipe for a fast device.
  digits: {
    reached:   "pixel FD 0.58 in 1 step, 0.41 in 2 (imm quickstart)",
    data:      { source: "digits" },
    network:   smallUNet(32, [1, 2], [4]),
    imm:       { T: 0.994, eps: 0.006, k: 10, a: 1, b: 4, M: 4, parameterization: "euler_fm", labelDropout: 0.1 },
    optimizer: { name: "radam", lr: 2e-3 },
    train:     { batch: 128,  images: 76_800, ema: { decay: 0.995, ramp: true } },
    report:    { status: 1280, samples: 12_800, checkpoint: 12_800, steps: [1, 2] },
  },
  // The same for a processor that emulates a GPU: a quarter of the channels' work.
  "digits-small": {
    reached:   "not scored",
    data:      { source: "digits" },
    network:   smallUNet(16, [1, 2], [4]),
    imm:       { T: 0.994, eps: 0.006, k: 10, a: 1, b: 4, M: 4, parameterization: "euler_fm", labelDropout: 0.1 },
    optimizer: { name: "radam", lr: 3e-3 },
    train:     { batch: 128,  images: 51_200, ema: { decay: 0.99, ramp: true } },
    report:    { status: 1280, samples: 12_800, checkpoint: 12_800, steps: [1, 2] },
  },
  // Looked for in a few places (lib/data/known.ts), as all data sets here, or given with --data.
  mnist: {
    reached:   "not trained yet",
    data:      { source: "mnist", padTo: 32 },
    network:   smallUNet(32, [1, 2, 2], [8]),
    imm:       { T: 0.994, eps: 0.006, k: 12, a: 1, b: 4, M: 4, parameterization: "euler_fm", labelDropout: 0.1 },
    optimizer: { name: "radam", lr: 1e-3 },
    train:     { batch: 128,  images: 1_280_000, ema: { decay: 0.998, ramp: true } },
    report:    { status: 6400, samples: 128_000, checkpoint: 128_000, steps: [1, 2] },
  },
  // 28x28 grey pictures of clothes, padded to 32x32. Most channels are where pixels are few: for a night on a processor.
  "fashion-mnist": {
    reached:   "after 72,320 images: pixel FD 31.2 in 1 step, 22.8 in 2 (README)",
    data:      { source: "fashion-mnist", padTo: 32 },
    network:   smallUNet(16, [1, 2, 4], [8]),
    imm:       { T: 0.994, eps: 0.006, k: 10, a: 1, b: 4, M: 4, parameterization: "euler_fm", labelDropout: 0.1 },
    optimizer: { name: "radam", lr: 2e-3 },
    train:     { batch: 64,   images: 1_024_000, ema: { decay: 0.999, ramp: true } },
    report:    { status: 1280, samples: 25_600, checkpoint: 25_600, steps: [1, 2] },
  },
  // CIFAR-10 with classes for one graphics card: half of the channels, a 32nd of the batch.
  "cifar10-small": {
    reached:   "not trained yet",
    data:      { source: "cifar10", mirror: true },
    network:   { type: "song_unet", imgResolution: 32, imgChannels: 3, labelDim: 10, modelChannels: 64, channelMult: [1, 2, 2], numBlocks: 2, attnResolutions: [16], dropout: 0.1 },
    imm:       { T: 0.994, eps: 0.006, k: 12, a: 1, b: 5, M: 4, parameterization: "simple_edm", labelDropout: 0.1 },
    optimizer: { name: "radam", lr: 4e-4 },
    train:     { batch: 128,  images: 12_800_000, ema: { decay: 0.999, ramp: true } },
    report:    { status: 12_800, samples: 256_000, checkpoint: 256_000, steps: [1, 2] },
  },
  // Table 5 of the paper. b = 4 in the released configuration: --set imm.b=4.
  cifar10: {
    reached:   "paper: FID 3.20 in 1 step, 1.98 in 2 (eta 1.4)",
    data:      { source: "cifar10", mirror: true, labels: false, augment: {} },
    network:   { type: "song_unet", imgResolution: 32, imgChannels: 3, modelChannels: 128, channelMult: [2, 2, 2], numBlocks: 4, attnResolutions: [16], dropout: 0.2 },
    imm:       { T: 0.994, eps: 0.006, k: 15, a: 1, b: 5, M: 4, parameterization: "simple_edm" },
    optimizer: { name: "radam", lr: 1e-4 },
    train:     { batch: 4096, images: 1_638_400_000, ema: { decay: 0.9999 } },
    report:    { status: 409_600, samples: 4_096_000, checkpoint: 4_096_000, steps: [1, 2] },
  },
  "imagenet256-s": {
    reached:   "paper: FID 20.36 in 8 steps (guidance 1.5)",
    network:   dit(384, 12, 6),
    ...imagenet({ a: 1 }),
  },
  "imagenet256-b": {
    reached:   "paper: FID 9.69 in 8 steps (guidance 1.5)",
    network:   dit(768, 12, 12),
    ...imagenet({ a: 1 }),
  },
  "imagenet256-l": {
    reached:   "paper: FID 2.80 in 8 steps (guidance 1.5)",
    network:   dit(1024, 24, 16),
    ...imagenet({ a: 1 }),
  },
  "imagenet256-xl": {
    reached:   "paper: FID 2.13 in 8 steps (guidance 1.5)",
    network:   dit(1152, 28, 16),
    ...imagenet({ a: 1 }),
  },
  // The headline, in FP16 as the paper's run.
  "imagenet256-xl-fp16": {
    reached:   "paper, in FP16: FID 8.05, 3.99, 2.51, 1.99 in 1, 2, 4, 8 steps (guidance 1.5)",
    network:   dit(1152, 28, 16),
    ...imagenet({ a: 2, timeConditioning: "stride", minGap: 1e-4 }, "float16"),
  },
};

const CIFAR10: DataShape = { resolution: 32, channels: 3, classes: 10 };
const IMAGENET: DataShape = { resolution: 32, channels: 4, classes: 1000 };

/** The data that the presets are meant for, for whoever has to know without opening them. */
const SHAPES: Readonly<Record<string, DataShape>> = {
  "toy2d": { dimensions: 2 },
  "digits": { resolution: 8, channels: 1, classes: 10 },
  "digits-small": { resolution: 8, channels: 1, classes: 10 },
  "mnist": { resolution: 32, channels: 1, classes: 10 },
  "fashion-mnist": { resolution: 32, channels: 1, classes: 10 },
  "cifar10-small": CIFAR10,
  "cifar10": CIFAR10,
  "imagenet256-s": IMAGENET,
  "imagenet256-b": IMAGENET,
  "imagenet256-l": IMAGENET,
  "imagenet256-xl": IMAGENET,
  "imagenet256-xl-fp16": IMAGENET,
};

/** Names of the presets. */
export const PRESET_NAMES: readonly string[] = Object.keys(PRESETS);

/** A preset by its name. @throws {UsageError} for an unknown one, with the list */
export function preset(name: string): TrainConfigInput {
  const { reached: _reached, ...config } = named(PRESETS, name);
  return structuredClone(config);
}

/** What the runs of a preset reached, and whose they were. */
export function presetScores(name: string): string {
  return named(PRESETS, name).reached;
}

/**
 * The images that a preset is meant for, after padding: what `parseTrainConfig` needs where the
 * data themselves are not at hand.
 *
 * @throws {UsageError} for an unknown preset, with the list
 */
export function presetShape(name: string): DataShape {
  return named(SHAPES, name);
}

function named<T>(table: Readonly<Record<string, T>>, name: string): T {
  if (Object.hasOwn(table, name)) return table[name];
  throw new UsageError(`there is no preset ${name}; the presets are ${PRESET_NAMES.join(", ")}`);
}
