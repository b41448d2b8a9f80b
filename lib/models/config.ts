/**
 * Configurations of the networks: plain JSON, validated, with the defaults of the public code.
 *
 * @module
 */

import { z } from "npm:zod@4.1.12";
import { UsageError } from "../errors.ts";
import { describeMistake, settingNames } from "../schema.ts";

const count = z.int().min(1);
const optionalCount = z.int().min(0);
const probability = z.number().min(0).lt(1);

/** Fully connected network for points. */
const mlpSchema = z.strictObject({
  type: z.literal("mlp"),
  /** Coordinates of a point. */
  dimensions: count.default(2),
  /** Classes; 0 for none. */
  labelDim: optionalCount.default(0),
  hidden: count.default(256),
  /** Residual blocks. */
  depth: count.default(4),
  /** Columns of the sinusoidal time embedding. */
  timeChannels: z.int().min(4).multipleOf(2).default(64),
  dropout: probability.default(0),
  /** Whether the network is told the second time. */
  sEmbed: z.boolean().default(true),
});

/** Song et al.'s U-Net in EDM's form: DDPM++ and NCSN++. */
const songUNetSchema = z.strictObject({
  type: z.literal("song_unet"),
  /** Height and width of the images. */
  imgResolution: count,
  imgChannels: count,
  /** Classes; 0 for none. */
  labelDim: optionalCount.default(0),
  /** Augmentation labels; 0 for none. */
  augmentDim: optionalCount.default(0),
  modelChannels: count.default(128),
  /** Multiplier of the channels at each resolution, finest first. */
  channelMult: z.array(count).min(1).default([1, 2, 2, 2]),
  /** Multiplier of the width of the embedding. */
  channelMultEmb: count.default(4),
  /** Residual blocks at each resolution. */
  numBlocks: count.default(4),
  /** Resolutions with self-attention. */
  attnResolutions: z.array(count).default([16]),
  dropout: probability.default(0.1),
  embeddingType: z.enum(["positional", "fourier"]).default("positional"),
  /** Multiplier of the width of the time embedding: 1 for DDPM++, 2 for NCSN++. */
  channelMultNoise: count.default(1),
  encoderType: z.enum(["standard", "skip", "residual"]).default("standard"),
  decoderType: z.enum(["standard", "skip"]).default("standard"),
  resampleFilter: z.union([
    z.tuple([z.literal(1), z.literal(1)]),
    z.tuple([z.literal(1), z.literal(3), z.literal(3), z.literal(1)]),
  ]).default([1, 1]),
  sEmbed: z.boolean().default(true),
});

/** Dhariwal and Nichol's U-Net (ADM) in EDM's form. */
const dhariwalUNetSchema = z.strictObject({
  type: z.literal("dhariwal_unet"),
  imgResolution: count,
  imgChannels: count,
  labelDim: optionalCount.default(0),
  augmentDim: optionalCount.default(0),
  modelChannels: count.default(192),
  channelMult: z.array(count).min(1).default([1, 2, 3, 4]),
  channelMultEmb: count.default(4),
  numBlocks: count.default(3),
  attnResolutions: z.array(count).default([32, 16, 8]),
  dropout: probability.default(0.1),
  sEmbed: z.boolean().default(true),
});

/** Diffusion transformer. */
const ditSchema = z.strictObject({
  type: z.literal("dit"),
  imgResolution: count,
  imgChannels: count,
  /** Classes, without the null class that the table has besides; 0 for no table. */
  labelDim: optionalCount.default(1000),
  patchSize: count.default(2),
  hiddenSize: count.default(1152),
  depth: count.default(28),
  numHeads: count.default(16),
  mlpRatio: z.number().positive().default(4),
  /** Layer normalisation of queries and keys. */
  qkNorm: z.boolean().default(false),
  embeddingType: z.enum(["positional", "fourier"]).default("positional"),
  /** Columns of the time embedding. */
  timeChannels: z.int().min(2).default(256),
  /** Standard deviation of the frequencies of the Fourier embedding. */
  fourierScale: z.number().positive().default(0.02),
  sEmbed: z.boolean().default(true),
});

const networkSchema = z.discriminatedUnion("type", [
  mlpSchema,
  songUNetSchema,
  dhariwalUNetSchema,
  ditSchema,
]);

export type MlpConfig = z.infer<typeof mlpSchema>;
export type SongUNetConfig = z.infer<typeof songUNetSchema>;
export type DhariwalUNetConfig = z.infer<typeof dhariwalUNetSchema>;
export type DiTConfig = z.infer<typeof ditSchema>;

/** Everything that determines a network's parameters and graph. */
export type NetworkConfig = MlpConfig | SongUNetConfig | DhariwalUNetConfig | DiTConfig;

/** A configuration as people write it: what has a default may be left out. */
export type NetworkConfigInput = z.input<typeof networkSchema>;

/**
 * Validates a configuration and fills in defaults.
 *
 * @throws UsageError that names the key and what was expected.
 */
export function parseNetworkConfig(value: unknown): NetworkConfig {
  const result = networkSchema.safeParse(value);
  if (!result.success) {
    throw new UsageError(
      describeMistake(networkSchema, value, result.error, { prefix: "network" }),
    );
  }
  const config = result.data;
  const problem = geometryProblem(config);
  if (problem) throw new UsageError(problem);
  return config;
}

/** Names of the settings of all networks, `network.modelChannels`. */
export function networkSettings(): string[] {
  return [...new Set(networkSchema.options.flatMap((each) => settingNames(each, "network")))];
}

/** What is wrong with the sizes taken together, or null. */
function geometryProblem(config: NetworkConfig): string | null {
  switch (config.type) {
    case "mlp":
      return null;
    case "song_unet":
      if (
        config.embeddingType === "fourier" && config.modelChannels * config.channelMultNoise % 2
      ) {
        return `network.modelChannels: expected an even number for the Fourier embedding, found ` +
          `${config.modelChannels}`;
      }
      return resolutionProblem(config);
    case "dhariwal_unet":
      return resolutionProblem(config);
    case "dit":
      if (config.embeddingType === "fourier" && config.timeChannels % 2 !== 0) {
        return `network.timeChannels: expected an even number for the Fourier embedding, found ` +
          `${config.timeChannels}`;
      }
      if (config.imgResolution % config.patchSize !== 0) {
        return `network.imgResolution: expected a multiple of the patch size ` +
          `${config.patchSize}, found ${config.imgResolution}`;
      }
      if (config.hiddenSize % config.numHeads !== 0 || config.hiddenSize % 4 !== 0) {
        return `network.hiddenSize: expected a multiple of 4 and of the ${config.numHeads} heads, ` +
          `found ${config.hiddenSize}`;
      }
      if (!Number.isInteger(config.hiddenSize * config.mlpRatio)) {
        return `network.mlpRatio: expected a whole number of hidden units, found ` +
          `${config.hiddenSize} * ${config.mlpRatio}`;
      }
      return null;
  }
  return config satisfies never;
}

/** Whether every level of a U-Net has whole pixels. */
function resolutionProblem(
  { imgResolution, channelMult }: SongUNetConfig | DhariwalUNetConfig,
): string | null {
  const factor = 2 ** (channelMult.length - 1);
  return imgResolution % factor === 0
    ? null
    : `network.imgResolution: expected a multiple of ${factor}, since channelMult has ` +
      `${channelMult.length} levels, found ${imgResolution}`;
}
