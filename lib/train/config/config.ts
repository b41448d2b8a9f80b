/**
 * Everything that determines a training run: data, network, method, optimiser, and what is written
 * when. Plain JSON; a run keeps the resolved configuration in its folder.
 *
 * Amounts are counted in images, so that they mean the same for any batch size.
 *
 * @module
 */

import { z } from "npm:zod@4.1.12";
import { UsageError } from "../../base/errors.ts";
import { AUGMENT_LABELS, type AugmentConfig, EDM_AUGMENT } from "../../data/augment/mod.ts";
import {
  LATENT_STATISTICS,
  type LatentSettings,
  type LatentStatisticsName,
} from "../../data/latents/loader.ts";
import { LATENT_MOMENTS } from "../../data/latents/dataset.ts";
import {
  OBJECTIVE_SETTINGS,
  objectiveOf,
  type ObjectiveSections,
  objectiveSections,
  parseObjective,
} from "../../objectives/registry.ts";
import {
  hasSetting,
  type NetworkConfig,
  networkSettings,
  parseNetworkConfig,
} from "../../models/registry.ts";
import { type Precision, PRECISIONS } from "../../models/precision.ts";
import { DECODER_RANGES, type DecoderRange } from "../../sample/decoder.ts";
import { describeMistake, type Same, settingNames } from "../../base/schema.ts";
import { type AverageProfile, profileName, WIDEST_SIGMA } from "../step/ema.ts";
import { checkOptimizer, type OptimizerConfig, OPTIMIZERS } from "../step/optimizer.ts";

/** The images that are trained on. */
export interface DataSettings {
  /** What `openImagesOrLatents` opens: `digits`, a folder, a zip archive, an IDX or npz file. */
  readonly source: string;
  /** Pads images with black to this height and width; 0, the default, leaves them as they are. */
  readonly padTo: number;
  /** Whether half of the images, at random, are mirrored left to right. Default false. */
  readonly mirror: boolean;
  /** Whether labels are used where there are some. Default true. */
  readonly labels: boolean;
  /**
   * Random changes of the images that the network is told about; for U-Nets. `null`, the default,
   * for none; settings that are left out are EDM's, see `EDM_AUGMENT`.
   */
  readonly augment: AugmentConfig | null;
  /**
   * How the data are read where they are latents of an autoencoder; `null`, the default, where they
   * are images. Settings that are left out are those of the public model for ImageNet.
   */
  readonly latents: LatentSettings | null;
}

/** The optimiser and what surrounds it. */
export interface OptimizerSettings extends OptimizerConfig {
  /** Images over which the learning rate rises linearly from 0. Default 0. */
  readonly warmup: number;
  /** Largest global norm of the gradient; null, the default, does not clip. */
  readonly clip: number | null;
}

/** The exponential moving average of the weights: what is sampled from, and saved as the model. */
export interface EmaSettings {
  /** Decay per step, from 0 to below 1. Default 0.9999. */
  readonly decay: number;
  /** Whether step n uses the decay (1 + n) / (10 + n) while that is smaller. Default false. */
  readonly ramp: boolean;
  /**
   * More averages beside it: `{ "decay": 0.999 }`, or `{ "sigmaRel": 0.1 }` for a power function.
   * Each costs the memory of the weights, and is saved as a model of its own. Default none.
   */
  readonly profiles: readonly AverageProfile[];
  /** Images between snapshots of the power functions; 0, the default, for none. */
  readonly snapshots: number;
}

/** How long and in what portions is trained. */
export interface StepSettings {
  /** Images per optimiser step, a multiple of the method's M. */
  readonly batch: number;
  /**
   * Images per pass through the network: less memory, the same step. Divides `batch` and is a
   * multiple of M; null, the default, takes the whole batch.
   */
  readonly microBatch: number | null;
  /**
   * Whether the backward pass computes the network's blocks a second time, to keep less in memory:
   * the same step for about a quarter more arithmetic. Default false.
   */
  readonly recompute: boolean;
  /**
   * How the weights and activations of the student are stored: with `float16` in half of the memory,
   * on WebGPU devices with shader-f16. Everything else stays float32. Default `float32`.
   */
  readonly precision: Precision;
  /** Images after which the run is complete. */
  readonly images: number;
  /** Determines initial weights, order of the data, times, noise and dropout. Default 0. */
  readonly seed: number;
  /**
   * Run or model file whose weights the training begins with, and whose network and method are taken
   * where they are not set; null, the default, begins with random ones.
   */
  readonly init: string | null;
  /** With `init`, whether what the network knows of classes begins anew. Default false. */
  readonly resetLabels: boolean;
  /** The average of the weights. */
  readonly ema: EmaSettings;
}

/** Scores of samples against the training images, while training. */
export interface ScoreSettings {
  /** Images between scores; 0, the default, for none. */
  readonly every: number;
  /** Samples that are scored. Default 1000. */
  readonly samples: number;
  /** Sampling steps. Default 2. */
  readonly steps: number;
  /** What is computed; the first decides which weights are the best. Default ["fd"]. */
  readonly metrics: readonly ("fd" | "kd")[];
  /** `pixels`, `digits`, `inception` or an .onnx file. Default pixels. */
  readonly extractor: string;
  /** File of Inception's weights. Default null: those that `imm eval` has downloaded, or now. */
  readonly weights: string | null;
}

/** What a run writes, and when. */
export interface ReportSettings {
  /** Images between lines of the log. */
  readonly status: number;
  /** Images between sample grids; 0 for none but at the end. */
  readonly samples: number;
  /** Images between checkpoints; 0 for none but at the end. */
  readonly checkpoint: number;
  /** How many of the newest checkpoints to keep. Default 2. */
  readonly keep: number;
  /** Checkpoints at multiples of so many images are kept for good; 0, the default, for none. */
  readonly keepEvery: number;
  /** Whether the log is also written for TensorBoard, in `tensorboard/`. Default false. */
  readonly tensorboard: boolean;
  /** Sampling steps of the grids, one grid each. Default [1, 2]. */
  readonly steps: readonly number[];
  /** Images per grid. Default 64. */
  readonly grid: number;
  /** ONNX file that decodes the latents of grids; null, the default: their channels are shown. */
  readonly decoder: string | null;
  /** What the decoder's pictures run in: -1 to 1 (the default), or 0 to 1. */
  readonly decoderRange: DecoderRange;
  /** Scores while training; the best weights are kept in `best.safetensors`. */
  readonly scores: ScoreSettings;
}

/** A resolved configuration: everything has a value. */
export interface TrainConfig extends ObjectiveSections {
  /** The images. */
  readonly data: DataSettings;
  /** The network. */
  readonly network: NetworkConfig;
  /** The optimiser. */
  readonly optimizer: OptimizerSettings;
  /** Length and portions. */
  readonly train: StepSettings;
  /** What is written. */
  readonly report: ReportSettings;
}

/** A configuration as people write it: what has a default may be left out. */
export interface TrainConfigInput {
  /** The images. */
  readonly data:
    & Pick<DataSettings, "source">
    & Partial<Omit<DataSettings, "augment" | "latents">>
    & {
      readonly augment?: Partial<AugmentConfig> | null;
      readonly latents?: Partial<LatentSettings> | null;
    };
  /** The network; sizes that follow from the data may be left out as well. */
  readonly network: { readonly type: string; readonly [setting: string]: unknown };
  /** Settings of IMM in place of the paper's, `IMM_DEFAULTS`. */
  readonly imm?: { readonly [setting: string]: unknown };
  /** Another objective: its `type` and settings. What it shares with IMM can stand in `imm`. */
  readonly objective?: { readonly [setting: string]: unknown };
  /** The optimiser; left out, RAdam. */
  readonly optimizer?: Partial<OptimizerSettings>;
  /** Length and portions. */
  readonly train:
    & Pick<StepSettings, "batch" | "images">
    & Partial<Omit<StepSettings, "batch" | "images" | "ema">>
    & { readonly ema?: Partial<EmaSettings> };
  /** What is written. */
  readonly report:
    & Pick<ReportSettings, "status" | "samples" | "checkpoint">
    & Partial<Omit<ReportSettings, "scores">>
    & { readonly scores?: Partial<ScoreSettings> };
}

const count = z.int().min(1);
const images = z.int().min(0);
const factor = z.number().min(0);
const statisticsNames = Object.keys(LATENT_STATISTICS) as LatentStatisticsName[];

const schema = z.strictObject({
  data: z.strictObject({
    source: z.string().min(1),
    padTo: images.default(0),
    mirror: z.boolean().default(false),
    labels: z.boolean().default(true),
    augment: z.strictObject({
      probability: z.number().min(0).max(1).default(EDM_AUGMENT.probability),
      xflip: factor.default(EDM_AUGMENT.xflip),
      yflip: factor.default(EDM_AUGMENT.yflip),
      scale: factor.default(EDM_AUGMENT.scale),
      rotate: factor.default(EDM_AUGMENT.rotate),
      aniso: factor.default(EDM_AUGMENT.aniso),
      translate: factor.default(EDM_AUGMENT.translate),
    }).nullable().default(null),
    latents: z.strictObject({
      moments: z.enum(LATENT_MOMENTS).nullable().default(null),
      normalize: z.union([
        z.enum(statisticsNames),
        z.strictObject({
          mean: z.array(z.number()).min(1),
          std: z.array(z.number().positive()).min(1),
        }),
      ]).default("imm"),
      finalStd: z.number().positive().default(0.5),
    }).nullable().default(null),
  }),
  network: z.looseObject({ type: z.string() }),
  imm: z.record(z.string(), z.unknown()).default({}),
  objective: z.record(z.string(), z.unknown()).default({}),
  optimizer: z.strictObject({
    name: z.enum(OPTIMIZERS).default("radam"),
    lr: z.number().default(1e-4),
    betas: z.tuple([z.number(), z.number()]).default([0.9, 0.999]),
    eps: z.number().default(1e-8),
    weightDecay: z.number().default(0),
    warmup: images.default(0),
    clip: z.number().positive().nullable().default(null),
  }).prefault({}),
  train: z.strictObject({
    batch: count,
    microBatch: count.nullable().default(null),
    recompute: z.boolean().default(false),
    precision: z.enum(PRECISIONS).default("float32"),
    images: count,
    seed: z.int().min(0).default(0),
    init: z.string().min(1).nullable().default(null),
    resetLabels: z.boolean().default(false),
    ema: z.strictObject({
      decay: z.number().min(0).lt(1).default(0.9999),
      ramp: z.boolean().default(false),
      profiles: z.array(z.union([
        z.strictObject({ decay: z.number().min(0).lt(1) }),
        z.strictObject({ sigmaRel: z.number().gt(0).lt(WIDEST_SIGMA) }),
      ])).default([]),
      snapshots: images.default(0),
    }).prefault({}),
  }),
  report: z.strictObject({
    status: count,
    samples: images,
    checkpoint: images,
    keep: count.default(2),
    keepEvery: images.default(0),
    tensorboard: z.boolean().default(false),
    steps: z.array(count).min(1).default([1, 2]),
    grid: count.default(64),
    decoder: z.string().min(1).nullable().default(null),
    decoderRange: z.enum(DECODER_RANGES).default("signed"),
    scores: z.strictObject({
      every: images.default(0),
      samples: z.int().min(2).default(1000),
      steps: count.default(2),
      metrics: z.array(z.enum(["fd", "kd"])).min(1).default(["fd"]),
      extractor: z.string().min(1).default("pixels"),
      weights: z.string().min(1).nullable().default(null),
    }).prefault({}),
  }),
});

// The interfaces above are the schema's documentation: these lines compile only where both agree.
true satisfies Same<Omit<z.output<typeof schema>, Resolved>, Omit<TrainConfig, Resolved>>;
true satisfies Same<z.input<typeof schema>, TrainConfigInput>;

/** The parts with a schema of their own. */
type Resolved = "network" | "imm" | "objective";

/** Names of all settings, `train.batch`, as `--set` takes them. */
export const TRAIN_SETTINGS: readonly string[] = [
  ...new Set([
    ...settingNames(schema).filter((name) => name !== "imm" && name !== "objective"),
    ...OBJECTIVE_SETTINGS,
    ...networkSettings(),
  ]),
];

/** What the data say about the network. */
export type DataShape = PictureShape | PointShape;

/** Of points. */
export interface PointShape {
  /** Coordinates of a point. */
  readonly dimensions: number;
}

/** Of pictures. */
export interface PictureShape {
  /** Height and width of the images after padding. */
  readonly resolution: number;
  /** 1 for grey, 3 for colour, 4 for latents of Stable Diffusion's autoencoder. */
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
    throw new UsageError(
      describeMistake(schema, value, result.error, { elsewhere: TRAIN_SETTINGS }),
    );
  }
  const parsed = result.data;
  const { data: settings, network, imm, objective, ...others } = parsed;
  const config: TrainConfig = {
    data: settings,
    network: parseNetworkConfig({ ...sizesFrom(parsed, data), ...network }),
    ...objectiveSections(parseObjective({ imm, objective })),
    ...others,
  };
  const augmentDim = "augmentDim" in config.network ? config.network.augmentDim : 0;
  if (augmentDim !== (config.data.augment ? AUGMENT_LABELS : 0)) {
    throw new UsageError(
      config.data.augment
        ? `data.augment needs a U-Net with network.augmentDim=${AUGMENT_LABELS}, which is told of ` +
          `the changes, but network.type is ${config.network.type} and augmentDim ${augmentDim}`
        : `network.augmentDim is ${augmentDim}, but there is no data.augment`,
    );
  }
  checkLatents(config);
  checkOptimizer(config.optimizer);
  checkBatches(config);
  return config;
}

/** Settings of the network that follow from the data. */
function sizesFrom(
  { network: { type }, data: settings }: z.output<typeof schema>,
  data: DataShape | null,
): Record<string, number> {
  const sizes: Record<string, number> = settings.augment ? { augmentDim: AUGMENT_LABELS } : {};
  if (data && "dimensions" in data) sizes.dimensions = data.dimensions;
  else if (data && !hasSetting(type, "dimensions")) {
    sizes.imgResolution = data.resolution;
    sizes.imgChannels = data.channels;
    sizes.labelDim = settings.labels ? data.classes : 0;
  }
  return Object.fromEntries(Object.entries(sizes).filter(([name]) => hasSetting(type, name)));
}

/** What cannot be done with latents, or without. */
function checkLatents({ data, report }: TrainConfig): void {
  if (data.latents === null) {
    if (report.decoder === null) return;
    throw new UsageError(
      `report.decoder is for latents, but the data are not (data.latents); leave it out`,
    );
  }
  const wrong = data.padTo > 0
    ? "data.padTo"
    : data.augment !== null
    ? "data.augment"
    : report.scores.every > 0
    ? "report.scores"
    : null;
  if (wrong !== null) {
    throw new UsageError(`${wrong} is for pictures, but the data are latents; leave it out`);
  }
}

function checkBatches({ train, imm, objective }: TrainConfig): void {
  const names = train.ema.profiles.map(profileName);
  const twice = names.find((name, i) => names.indexOf(name) !== i);
  if (twice) throw new UsageError(`train.ema.profiles: ${twice} is there twice`);
  const { batch, microBatch } = train;
  const { groupSize, groupSetting } = objectiveOf({ imm, objective });
  if (batch % groupSize !== 0) {
    throw new UsageError(
      `train.batch must be a multiple of ${groupSetting} = ${groupSize}, but it is ${batch}`,
    );
  }
  const micro = microBatch ?? batch;
  if (batch % micro !== 0 || micro % groupSize !== 0) {
    const multiple = groupSetting ? ` and be a multiple of ${groupSetting} = ${groupSize}` : "";
    throw new UsageError(
      `train.microBatch must divide train.batch = ${batch}${multiple}, but it is ${micro}`,
    );
  }
}
