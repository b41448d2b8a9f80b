/**
 * Configurations by name, in one table. A row's comment says where its numbers come from and what
 * it reached.
 *
 * @module
 */

import { UsageError } from "../errors.ts";
import type { DataShape, TrainConfigInput } from "./config.ts";

/** The U-Net of the small data sets: DDPM++ without dropout. */
const smallUNet = (modelChannels: number, channelMult: number[], attnResolutions: number[]) => ({
  type: "song_unet",
  modelChannels,
  channelMult,
  attnResolutions,
  numBlocks: 1,
  dropout: 0,
});

// deno-fmt-ignore
const PRESETS: Readonly<Record<string, TrainConfigInput>> = {
  // 8x8 handwritten digits, embedded. The full recipe for a fast device.
  digits: {
    data:      { source: "digits" },
    network:   smallUNet(32, [1, 2], [4]),
    imm:       { T: 0.994, eps: 0.006, k: 10, a: 1, b: 4, M: 4, parameterization: "euler_fm", labelDropout: 0.1 },
    optimizer: { name: "radam", lr: 2e-3 },
    train:     { batch: 128, images: 76_800, ema: { decay: 0.995, ramp: true } },
    report:    { status: 1280, samples: 12_800, checkpoint: 12_800, steps: [1, 2] },
  },
  // The same for a processor that emulates a GPU: a quarter of the channels' work.
  "digits-small": {
    data:      { source: "digits" },
    network:   smallUNet(16, [1, 2], [4]),
    imm:       { T: 0.994, eps: 0.006, k: 10, a: 1, b: 4, M: 4, parameterization: "euler_fm", labelDropout: 0.1 },
    optimizer: { name: "radam", lr: 3e-3 },
    train:     { batch: 128, images: 51_200, ema: { decay: 0.99, ramp: true } },
    report:    { status: 1280, samples: 12_800, checkpoint: 12_800, steps: [1, 2] },
  },
  // 28x28 grey pictures of clothes, padded to 32x32; --data is the folder of its IDX files. Most
  // channels are where pixels are few: for a night on a processor.
  "fashion-mnist": {
    data:      { source: "fashion-mnist", padTo: 32 },
    network:   smallUNet(16, [1, 2, 4], [8]),
    imm:       { T: 0.994, eps: 0.006, k: 10, a: 1, b: 4, M: 4, parameterization: "euler_fm", labelDropout: 0.1 },
    optimizer: { name: "radam", lr: 2e-3 },
    train:     { batch: 64, images: 1_024_000, ema: { decay: 0.999, ramp: true } },
    report:    { status: 1280, samples: 25_600, checkpoint: 25_600, steps: [1, 2] },
  },
  // Table 5 of the paper, CIFAR-10 (2-step FID 1.98 there). b = 4 in the released configuration.
  cifar10: {
    data:      { source: "cifar10", mirror: true, labels: false },
    network:   { type: "song_unet", modelChannels: 128, channelMult: [2, 2, 2], numBlocks: 4, attnResolutions: [16], dropout: 0.2 },
    imm:       { T: 0.994, eps: 0.006, k: 15, a: 1, b: 5, M: 4, parameterization: "simple_edm" },
    optimizer: { name: "radam", lr: 1e-4 },
    train:     { batch: 4096, images: 1_638_400_000, ema: { decay: 0.9999 } },
    report:    { status: 409_600, samples: 4_096_000, checkpoint: 4_096_000, steps: [1, 2] },
  },
};

/** The data that the presets are meant for, for whoever has to know without opening them. */
const SHAPES: Readonly<Record<string, DataShape>> = {
  "digits": { resolution: 8, channels: 1, classes: 10 },
  "digits-small": { resolution: 8, channels: 1, classes: 10 },
  "fashion-mnist": { resolution: 32, channels: 1, classes: 10 },
  "cifar10": { resolution: 32, channels: 3, classes: 10 },
};

/** Names of the presets. */
export const PRESET_NAMES: readonly string[] = Object.keys(PRESETS);

/** A preset by its name. @throws {UsageError} for an unknown one, with the list */
export function preset(name: string): TrainConfigInput {
  return structuredClone(named(PRESETS, name));
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
