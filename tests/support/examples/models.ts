/** Models for tests: those of the fixtures, and small ones with random weights. */

import { type ImmConfig, immConfig } from "../../../lib/imm/config.ts";
import type { SongUNetConfig } from "../../../lib/models/networks/song_unet.ts";
import type { NetworkConfigInput } from "../../../lib/models/registry.ts";
import type { Model } from "../../../lib/models/model_file.ts";
import { fromOfficial } from "../../../lib/models/official.ts";
import { createNetwork } from "../../../lib/models/registry.ts";
import { goldenJson, goldenTensors } from "../golden/fixtures.ts";

/** The network of a fixture that stores its weights (`param.*`), with its method's settings. */
export function goldenModel(name: string, imm: Partial<ImmConfig> = {}): Model {
  const { config } = goldenJson<{ config: Record<string, unknown> }>(name);
  const weights = new Map(
    [...goldenTensors(name)].filter(([key]) => key.startsWith("param.")).map(
      ([key, { shape, data }]) => [
        key.slice("param.".length),
        { shape, data: data as Float32Array },
      ],
    ),
  );
  return { network: fromOfficial(config), imm: immConfig(imm), weights, notes: {} };
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
