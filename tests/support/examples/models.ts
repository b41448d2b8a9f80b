/** Small models with random weights. */

import { type ImmConfig, immConfig } from "../../../lib/imm/config.ts";
import type { SongUNetConfig } from "../../../lib/models/networks/song_unet.ts";
import type { NetworkConfigInput } from "../../../lib/models/registry.ts";
import type { Model } from "../../../lib/models/model_file.ts";
import { createNetwork } from "../../../lib/models/registry.ts";

const UNET = {
  type: "song_unet",
  imgResolution: 16,
  imgChannels: 3,
  modelChannels: 16,
  channelMult: [1, 2],
  numBlocks: 1,
  attnResolutions: [8],
  sEmbed: true,
} as const;

const DIT = {
  type: "dit",
  imgResolution: 8,
  imgChannels: 4,
  labelDim: 10,
  patchSize: 2,
  sEmbed: true,
} as const;

/** One network of each kind. */
export const EXAMPLE_NETWORKS = {
  ddpmpp: UNET,
  ncsnpp: {
    ...UNET,
    labelDim: 10,
    embeddingType: "fourier",
    channelMultNoise: 2,
    encoderType: "residual",
    resampleFilter: [1, 3, 3, 1],
  },
  skip: { ...UNET, labelDim: 10, encoderType: "skip", decoderType: "skip" },
  dit: { ...DIT, hiddenSize: 64, depth: 2, numHeads: 4 },
  dit_qknorm: {
    ...DIT,
    hiddenSize: 32,
    depth: 2,
    numHeads: 2,
    mlpRatio: 2,
    qkNorm: true,
    embeddingType: "fourier",
  },
} as const satisfies Record<string, NetworkConfigInput>;

/** One of them with random weights. */
export function exampleModel(
  name: keyof typeof EXAMPLE_NETWORKS,
  imm: Partial<ImmConfig> = {},
): Model {
  return { ...randomModel(EXAMPLE_NETWORKS[name]), imm: immConfig(imm) };
}

/** A U-Net small enough for any test, with random weights and images that differ. */
export function tinyModel(
  network: Partial<SongUNetConfig> = {},
  imm: Partial<ImmConfig> = {},
): Model {
  return randomModel({
    type: "song_unet",
    imgResolution: 4,
    imgChannels: 1,
    modelChannels: 8,
    channelMult: [1],
    numBlocks: 1,
    attnResolutions: [],
    ...network,
  }, imm);
}

/** A model with random weights. */
export function randomModel(network: NetworkConfigInput, imm: Partial<ImmConfig> = {}): Model {
  const built = createNetwork(network);
  const weights = built.parameters.initial(0);
  // Last layers begin tiny (1e-5 of their usual size): all samples would be the same grey.
  for (const { data } of weights.values()) {
    if (data.every((value) => Math.abs(value) < 1e-3)) data.forEach((v, i) => data[i] = v * 1e5);
  }
  return { network: built.config, imm: immConfig({ eps: 0.006, ...imm }), weights, notes: {} };
}
