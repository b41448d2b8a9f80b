/**
 * Configurations of the networks: plain JSON, validated, with the defaults of the public code.
 *
 * @module
 */

import { z } from "npm:zod@4.1.12";
import { UsageError } from "../base/errors.ts";
import { describeMistake, type Same, settingNames } from "../base/schema.ts";

/** Fully connected network for points. */
export interface MlpConfig {
  /** Selects this network. */
  readonly type: "mlp";
  /** Coordinates of a point. Default 2. */
  readonly dimensions: number;
  /** Classes; 0, the default, for none. */
  readonly labelDim: number;
  /** Width of the layers. Default 256. */
  readonly hidden: number;
  /** Residual blocks. Default 4. */
  readonly depth: number;
  /** Columns of the sinusoidal time embedding, an even number from 4 on. Default 64. */
  readonly timeChannels: number;
  /** Probability that training drops an activation. Default 0. */
  readonly dropout: number;
  /** Whether the network is told the second time. Default true. */
  readonly sEmbed: boolean;
}

/** What the U-Nets have in common. */
export interface UNetConfig {
  /** Height and width of the images: divisible by two once for each resolution after the first. */
  readonly imgResolution: number;
  /** Channels of the images: 1 for grey, 3 for colour. */
  readonly imgChannels: number;
  /** Classes; 0, the default, for none. */
  readonly labelDim: number;
  /** Augmentation labels; 0, the default, for none. */
  readonly augmentDim: number;
  /** Unit of the channels. Default 128 for `song_unet`, 192 for `dhariwal_unet`. */
  readonly modelChannels: number;
  /**
   * Channels at each resolution in units of `modelChannels`, finest first. Default [1, 2, 2, 2] for
   * `song_unet`, [1, 2, 3, 4] for `dhariwal_unet`.
   */
  readonly channelMult: readonly number[];
  /** Width of the embedding of times and labels in units of `modelChannels`. Default 4. */
  readonly channelMultEmb: number;
  /** Residual blocks at each resolution. Default 4 for `song_unet`, 3 for `dhariwal_unet`. */
  readonly numBlocks: number;
  /** Resolutions with self-attention. Default [16] for `song_unet`, else [32, 16, 8]. */
  readonly attnResolutions: readonly number[];
  /** Probability that training drops an activation. Default 0.1. */
  readonly dropout: number;
  /** Whether the network is told the second time. Default true. */
  readonly sEmbed: boolean;
}

/** Song et al.'s U-Net in EDM's form; the defaults are DDPM++. */
export interface SongUNetConfig extends UNetConfig {
  /** Selects this network. */
  readonly type: "song_unet";
  /** How times become numbers: `positional` for DDPM++, the default, or `fourier` for NCSN++. */
  readonly embeddingType: "positional" | "fourier";
  /** Width of the time embedding in units of `modelChannels`: 1 for DDPM++, 2 for NCSN++. */
  readonly channelMultNoise: number;
  /** `standard` for DDPM++, the default; `residual` for NCSN++. */
  readonly encoderType: "standard" | "skip" | "residual";
  /** `standard`, the default, for both. */
  readonly decoderType: "standard" | "skip";
  /** Low-pass filter of the resampling: [1, 1] for DDPM++, [1, 3, 3, 1] for NCSN++. */
  readonly resampleFilter: readonly [1, 1] | readonly [1, 3, 3, 1];
}

/** Dhariwal and Nichol's U-Net (ADM) in EDM's form. */
export interface DhariwalUNetConfig extends UNetConfig {
  /** Selects this network. */
  readonly type: "dhariwal_unet";
}

/** Diffusion transformer; the defaults are DiT-XL/2. */
export interface DiTConfig {
  /** Selects this network. */
  readonly type: "dit";
  /** Height and width of the images, a multiple of the patch size. */
  readonly imgResolution: number;
  /** Channels of the images: 4 for latents of Stable Diffusion's autoencoder. */
  readonly imgChannels: number;
  /** Classes without the null class, which the table has besides; 0 for no table. Default 1000. */
  readonly labelDim: number;
  /** Height and width of the square that becomes one token. Default 2. */
  readonly patchSize: number;
  /** Width of a token, a multiple of 4 and of `numHeads`. Default 1152. */
  readonly hiddenSize: number;
  /** Transformer blocks. Default 28. */
  readonly depth: number;
  /** Attention heads. Default 16. */
  readonly numHeads: number;
  /** Hidden units of a block's MLP in units of `hiddenSize`. Default 4. */
  readonly mlpRatio: number;
  /** Whether queries and keys are normalised. Default false. */
  readonly qkNorm: boolean;
  /** How times become numbers. Default `positional`. */
  readonly embeddingType: "positional" | "fourier";
  /** Columns of the time embedding. Default 256. */
  readonly timeChannels: number;
  /** Standard deviation of the frequencies of the Fourier embedding. Default 0.02. */
  readonly fourierScale: number;
  /** Whether the network is told the second time. Default true. */
  readonly sEmbed: boolean;
}

/** Everything that determines a network's parameters and graph. */
export type NetworkConfig = MlpConfig | SongUNetConfig | DhariwalUNetConfig | DiTConfig;

/** A configuration as people write it: what has a default may be left out. */
export type NetworkConfigInput =
  | Pick<MlpConfig, "type"> & Partial<MlpConfig>
  | Pick<SongUNetConfig, "type" | "imgResolution" | "imgChannels"> & Partial<SongUNetConfig>
  | Pick<DhariwalUNetConfig, "type" | "imgResolution" | "imgChannels"> & Partial<DhariwalUNetConfig>
  | Pick<DiTConfig, "type" | "imgResolution" | "imgChannels"> & Partial<DiTConfig>;

const count = z.int().min(1);
const optionalCount = z.int().min(0);
const probability = z.number().min(0).lt(1);
const embeddingType = z.enum(["positional", "fourier"]).default("positional");

const mlpSchema = z.strictObject({
  type: z.literal("mlp"),
  dimensions: count.default(2),
  labelDim: optionalCount.default(0),
  hidden: count.default(256),
  depth: count.default(4),
  timeChannels: z.int().min(4).multipleOf(2).default(64),
  dropout: probability.default(0),
  sEmbed: z.boolean().default(true),
});

const songUNetSchema = z.strictObject({
  type: z.literal("song_unet"),
  imgResolution: count,
  imgChannels: count,
  labelDim: optionalCount.default(0),
  augmentDim: optionalCount.default(0),
  modelChannels: count.default(128),
  channelMult: z.array(count).min(1).default([1, 2, 2, 2]),
  channelMultEmb: count.default(4),
  numBlocks: count.default(4),
  attnResolutions: z.array(count).default([16]),
  dropout: probability.default(0.1),
  embeddingType,
  channelMultNoise: count.default(1),
  encoderType: z.enum(["standard", "skip", "residual"]).default("standard"),
  decoderType: z.enum(["standard", "skip"]).default("standard"),
  resampleFilter: z.union([
    z.tuple([z.literal(1), z.literal(1)]),
    z.tuple([z.literal(1), z.literal(3), z.literal(3), z.literal(1)]),
  ]).default([1, 1]),
  sEmbed: z.boolean().default(true),
});

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

const ditSchema = z.strictObject({
  type: z.literal("dit"),
  imgResolution: count,
  imgChannels: count,
  labelDim: optionalCount.default(1000),
  patchSize: count.default(2),
  hiddenSize: count.default(1152),
  depth: count.default(28),
  numHeads: count.default(16),
  mlpRatio: z.number().positive().default(4),
  qkNorm: z.boolean().default(false),
  embeddingType,
  timeChannels: z.int().min(2).default(256),
  fourierScale: z.number().positive().default(0.02),
  sEmbed: z.boolean().default(true),
});

const networkSchema = z.discriminatedUnion("type", [
  mlpSchema,
  songUNetSchema,
  dhariwalUNetSchema,
  ditSchema,
]);

// The interfaces above are the schemas' documentation: these lines compile only where both agree.
true satisfies Same<z.output<typeof networkSchema>, NetworkConfig>;
true satisfies Same<z.input<typeof networkSchema>, NetworkConfigInput>;

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
