/**
 * Configurations by name, in one table. A row's comment says where its numbers come from and what
 * it reached.
 *
 * @module
 */

import { UsageError } from "../errors.ts";
import type { TrainConfigInput } from "./config.ts";

/** The U-Net of the digits and of Fashion-MNIST: DDPM++ without dropout. */
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

/** Names of the presets. */
export const PRESET_NAMES: readonly string[] = Object.keys(PRESETS);

/** A preset by its name. @throws {UsageError} for an unknown one, with the list */
export function preset(name: string): TrainConfigInput {
  const found = PRESETS[name];
  if (!found) {
    throw new UsageError(
      `there is no preset ${name}; the presets are ${PRESET_NAMES.join(", ")}`,
    );
  }
  return structuredClone(found);
}
