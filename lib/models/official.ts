/**
 * Configurations of the public IMM code, translated: the keyword arguments of `IMMPrecond`, which
 * its checkpoints and YAML files carry.
 *
 * @module
 */

import { UsageError } from "../base/errors.ts";
import { type ImmConfig, immConfig } from "../imm/config.ts";
import { type NetworkConfig, parseNetworkConfig } from "./config.ts";

/** Depth, width and heads of the named sizes of DiT. */
export const DIT_SIZES: Readonly<Record<string, readonly [number, number, number]>> = {
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

/** Names of the method's settings there and here, and the defaults of `IMMPrecond`. */
const METHOD = [
  ["noise_schedule", "interpolant", "fm"],
  ["f_type", "parameterization", "euler_fm"],
  ["temb_type", "timeConditioning", "identity"],
  ["time_scale", "timeScale", 1000],
  ["sigma_data", "sigmaData", 0.5],
  ["T", "T", 0.994],
  ["eps", "eps", 0],
] as const satisfies readonly (readonly [string, keyof ImmConfig, unknown])[];

/**
 * How a network that `IMMPrecond(**options)` wraps is to be called and sampled. What only training
 * needs has this program's defaults.
 *
 * @throws {UsageError} when a setting is not known here
 */
export function methodFromOfficial(options: Readonly<Record<string, unknown>>): ImmConfig {
  return immConfig(
    Object.fromEntries(
      METHOD.map(([official, own, value]) => [own, options[official] ?? value]),
    ) as Partial<ImmConfig>,
  );
}

/** Whether keyword arguments are those of `IMMPrecond`, not of another wrapper of EDM's family. */
export function isOfficialMethod(options: Readonly<Record<string, unknown>>): boolean {
  return ["f_type", "temb_type"].some((key) => Object.hasOwn(options, key));
}

/**
 * The keyword arguments with which `IMMPrecond` of the public code builds the same model: the way
 * back.
 *
 * @throws {UsageError} for a network that the public code does not have
 */
export function toOfficial(network: NetworkConfig, imm: ImmConfig): Record<string, unknown> {
  const method = Object.fromEntries(METHOD.map(([official, own]) => [official, imm[own]]));
  switch (network.type) {
    case "mlp":
      throw new UsageError("the public code has no network for points, only for images");
    case "dit": {
      const { type: _, embeddingType, timeChannels, fourierScale, labelDim, ...own } = network;
      return {
        model_type: "DiT",
        ...snakeCase(own),
        label_dim: labelDim,
        num_classes: labelDim,
        embedding_kwargs: {
          embedding_type: embeddingType,
          frequency_embedding_size: timeChannels,
          ...(embeddingType === "fourier" ? { scale: fourierScale } : {}),
        },
        ...method,
      };
    }
    default: {
      const { type, ...own } = network;
      const model = type === "song_unet" ? "SongUNet" : "DhariwalUNet";
      return { model_type: model, ...snakeCase(own), ...method };
    }
  }
}

function snakeCase(settings: object): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(settings).map(([key, value]) => [
      key.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`),
      value,
    ]),
  );
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
