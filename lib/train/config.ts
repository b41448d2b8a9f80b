/**
 * Everything that determines a training run: data, network, method, optimiser, and what is written
 * when. Plain JSON; a run keeps the resolved configuration in its folder.
 *
 * Amounts are counted in images, so that they mean the same for any batch size.
 *
 * @module
 */

import { z } from "npm:zod@4.1.12";
import { UsageError } from "../errors.ts";
import { IMM_DEFAULTS, type ImmConfig, immConfig } from "../imm/mod.ts";
import { type NetworkConfig, networkSettings, parseNetworkConfig } from "../models/config.ts";
import { describeMistake, settingNames } from "../schema.ts";
import { checkOptimizer, OPTIMIZERS } from "./optimizer.ts";

const count = z.int().min(1);
const images = z.int().min(0);

const schema = z.strictObject({
  data: z.strictObject({
    /** What {@link openDataset} opens: `digits`, a folder, an IDX file, an npz file. */
    source: z.string().min(1),
    /** Pads images with black to this height and width; 0 leaves them as they are. */
    padTo: images.default(0),
    /** Whether half of the images, at random, are mirrored left to right. */
    mirror: z.boolean().default(false),
    /** Whether labels are used. */
    labels: z.boolean().default(true),
  }),
  /** The network; sizes that follow from the data may be left out. */
  network: z.looseObject({ type: z.string() }),
  /** The method; see lib/imm/config.ts. */
  imm: z.record(z.string(), z.unknown()).default({}),
  optimizer: z.strictObject({
    name: z.enum(OPTIMIZERS).default("radam"),
    lr: z.number().default(1e-4),
    betas: z.tuple([z.number(), z.number()]).default([0.9, 0.999]),
    eps: z.number().default(1e-8),
    weightDecay: z.number().default(0),
    /** Images over which the learning rate rises linearly from 0. */
    warmup: images.default(0),
    /** Largest global norm of the gradient; null does not clip. */
    clip: z.number().positive().nullable().default(null),
  }).prefault({}),
  train: z.strictObject({
    /** Images per optimiser step. */
    batch: count,
    /** Images per pass through the network; null takes the whole batch. */
    microBatch: count.nullable().default(null),
    /** Images after which the run is complete. */
    images: count,
    /** Determines initial weights, order of the data, times, noise and dropout. */
    seed: z.int().min(0).default(0),
    ema: z.strictObject({
      /** Decay per step. */
      decay: z.number().min(0).lt(1).default(0.9999),
      /** Whether early steps use the smaller decay (1 + n) / (10 + n). */
      ramp: z.boolean().default(false),
    }).prefault({}),
  }),
  report: z.strictObject({
    /** Images between lines of the log. */
    status: count,
    /** Images between sample grids; 0 for none but at the end. */
    samples: images,
    /** Images between checkpoints; 0 for none but at the end. */
    checkpoint: images,
    /** How many checkpoints to keep. */
    keep: count.default(2),
    /** Sampling steps of the grids, one grid each. */
    steps: z.array(count).min(1).default([1, 2]),
    /** Images per grid. */
    grid: count.default(64),
  }),
});

/** Names of all settings, for whoever forgets what they belong to. */
const SETTINGS: readonly string[] = [
  ...settingNames(schema),
  ...Object.keys(IMM_DEFAULTS).map((key) => `imm.${key}`),
  ...networkSettings(),
];

type Parsed = z.infer<typeof schema>;

/** A configuration as people write it. */
export type TrainConfigInput = z.input<typeof schema>;

/** A resolved configuration. */
export interface TrainConfig extends Omit<Parsed, "network" | "imm"> {
  readonly network: NetworkConfig;
  readonly imm: ImmConfig;
}

/** What the data say about the network. */
export interface DataShape {
  /** Height and width of the images after padding. */
  readonly resolution: number;
  readonly channels: number;
  /** Number of classes, 0 for none. */
  readonly classes: number;
}

/**
 * Validates a configuration and fills in defaults, and what the network has to know of the data.
 *
 * @throws {UsageError} naming the first key that is wrong
 */
export function parseTrainConfig(value: unknown, data: DataShape | null): TrainConfig {
  const result = schema.safeParse(value);
  if (!result.success) {
    throw new UsageError(describeMistake(schema, value, result.error, { elsewhere: SETTINGS }));
  }
  const parsed = result.data;
  const sizes = data && parsed.network.type !== "mlp"
    ? {
      imgResolution: data.resolution,
      imgChannels: data.channels,
      labelDim: parsed.data.labels ? data.classes : 0,
    }
    : {};
  const config: TrainConfig = {
    ...parsed,
    network: parseNetworkConfig({ ...sizes, ...parsed.network }),
    imm: immConfig(parsed.imm as Partial<ImmConfig>),
  };
  checkOptimizer(config.optimizer);
  checkBatches(config);
  return config;
}

function checkBatches({ train, imm }: TrainConfig): void {
  const { batch, microBatch } = train;
  if (batch % imm.M !== 0) {
    throw new UsageError(
      `train.batch must be a multiple of imm.M = ${imm.M}, but it is ${batch}`,
    );
  }
  const micro = microBatch ?? batch;
  if (batch % micro !== 0 || micro % imm.M !== 0) {
    throw new UsageError(
      `train.microBatch must divide train.batch = ${batch} and be a multiple of imm.M = ` +
        `${imm.M}, but it is ${micro}`,
    );
  }
}
