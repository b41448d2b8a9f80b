/**
 * Configurations of the public IMM code, translated: the keyword arguments that its checkpoints and
 * YAML files carry.
 *
 * @module
 */

import { UsageError } from "../errors.ts";
import { type NetworkConfig, parseNetworkConfig } from "./config.ts";

/** Depth, width and heads of the named sizes of DiT. */
const DIT_SIZES: Readonly<Record<string, readonly [number, number, number]>> = {
  S: [12, 384, 6],
  B: [12, 768, 12],
  L: [24, 1024, 16],
  XL: [28, 1152, 16],
};

/** Keyword arguments that configure the preconditioning, not the network. */
const PRECONDITIONING = [
  "model_type",
  "noise_schedule",
  "f_type",
  "temb_type",
  "sigma_data",
  "T",
  "eps",
  "time_scale",
  "use_fp16",
  "mixed_precision",
];

/** Official names of keys that are not the camelCase form of ours. */
const RENAMED: Readonly<Record<string, string>> = { num_classes: "label_dim" };

/**
 * The configuration of the network that `IMMPrecond(**options)` builds.
 *
 * @throws UsageError for an unknown model type or option.
 */
export function fromOfficial(options: Readonly<Record<string, unknown>>): NetworkConfig {
  const type = options.model_type;
  const own: Record<string, unknown> = {};
  for (const [key, value] of Object.entries(options)) {
    if (PRECONDITIONING.includes(key)) continue;
    if (key === "embedding_kwargs") Object.assign(own, embeddingOptions(value as object));
    else own[camelCase(RENAMED[key] ?? key)] = value;
  }
  if (type === "SongUNet") return parseNetworkConfig({ type: "song_unet", sEmbed: false, ...own });
  if (type === "DhariwalUNet") {
    return parseNetworkConfig({ type: "dhariwal_unet", sEmbed: false, ...own });
  }
  const dit = /^DiT(?:_(S|B|L|XL)_(\d+))?$/.exec(String(type));
  if (!dit) {
    throw new UsageError(
      `model_type: expected SongUNet, DhariwalUNet, DiT or DiT_{S,B,L,XL}_{2,4,8}, found ${type}`,
    );
  }
  const [, size, patch] = dit;
  const [depth, hiddenSize, numHeads] = DIT_SIZES[size ?? "XL"];
  return parseNetworkConfig({
    type: "dit",
    sEmbed: false,
    depth,
    hiddenSize,
    numHeads,
    patchSize: Number(patch ?? 2),
    ...own,
  });
}

function embeddingOptions(options: object): Record<string, unknown> {
  const names: Record<string, string> = {
    embedding_type: "embeddingType",
    frequency_embedding_size: "timeChannels",
    scale: "fourierScale",
  };
  return Object.fromEntries(
    Object.entries(options).map(([key, value]) => [names[key] ?? key, value]),
  );
}

function camelCase(name: string): string {
  return name.replace(/_([a-z])/g, (_, letter) => letter.toUpperCase());
}
