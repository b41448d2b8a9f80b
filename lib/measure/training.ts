/**
 * Training steps and sampling of the presets on made-up images, to measure how fast they are.
 *
 * @module
 */

import { compile } from "../compile/compile.ts";
import { type PlanSummary, summarize } from "../compile/print.ts";
import type { Device } from "../device/device.ts";
import type { NetworkConfig } from "../models/registry.ts";
import { atPrecision, type Precision } from "../models/precision.ts";
import { createNetwork } from "../models/registry.ts";
import type { BatchSource } from "../objectives/objective.ts";
import { objectiveOf, sectionsOf } from "../objectives/registry.ts";
import { trainingKey, type TrainingPurpose } from "../random/keys.ts";
import { Generator, samplingProgram } from "../sample/generator.ts";
import { uniformSteps } from "../sample/schedule.ts";
import { hostUniform } from "../random/threefry.ts";
import { parseTrainConfig, type TrainConfig } from "../train/config/config.ts";
import { Learner } from "../train/step/learner.ts";
import { preset, presetShape } from "../train/config/presets.ts";
import type { Timed } from "../base/clock.ts";

/** Work to be timed that holds memory of a device. */
export interface Job extends Timed {
  /** Images per run. */
  readonly images: number;
  /** Gives back what it holds. */
  free(): void;
}

/** Steps of training to be timed. */
export interface TrainingJob extends Job {
  /** What takes them. */
  readonly learner: Learner;
}

/** The configuration of a preset for its own kind of data, with another batch or precision. */
export function presetConfig(name: string, batch?: number, precision?: Precision): TrainConfig {
  const config = preset(name);
  const train = {
    ...config.train,
    ...(batch === undefined ? {} : { batch, microBatch: null }),
    ...(precision === undefined ? {} : { precision }),
  };
  return parseTrainConfig({ ...config, train }, presetShape(name));
}

/**
 * A whole step of training: two passes forward, one backward, the optimiser and the average.
 *
 * @throws {DeviceError} when the device cannot hold it
 */
export async function trainingJob(device: Device, config: TrainConfig): Promise<TrainingJob> {
  const { optimizer, train: { batch, microBatch, precision } } = config;
  const objective = objectiveOf(config);
  const network = createNetwork(config.network);
  const learner = await Learner.create(device, network, {
    objective,
    optimizer,
    batch,
    microBatch: microBatch ?? batch,
    clip: optimizer.clip !== null,
    precision,
  });
  learner.initialize(network.parameters.initial(0));
  const { sampleShape } = network;
  const x = hostUniform(trainingKey(0, "augmentation", 0), [batch, ...sampleShape], 0)
    .map((u) => 2 * u - 1);
  const labels = classesInTurn(config.network, batch);
  const source: BatchSource = {
    batch: () => ({ images: x, labels: Int32Array.from(labels ?? new Array(batch).fill(0)) }),
  };
  return {
    images: batch,
    learner,
    async run() {
      const { step } = learner;
      const key = (purpose: TrainingPurpose) => trainingKey(0, purpose, step);
      const draw = await objective.draw({
        source,
        position: step * batch,
        batch,
        step,
        steps: Math.ceil(config.train.images / batch),
        hasLabels: labels !== null,
        key,
      });
      learner.run({ draw, noiseKey: key("noise"), dropoutKey: key("dropout") }, {
        lr: optimizer.lr,
        emaDecay: config.train.ema.decay,
        ...(optimizer.clip === null ? {} : { maxNorm: optimizer.clip }),
      });
    },
    finish: () => learner.finish(),
    free: () => learner.free(),
  };
}

/**
 * Sampling in one step, in the precision of the configuration: seeds to latents, one pass of the
 * network, pixels.
 *
 * @throws {DeviceError} when the device cannot hold it
 */
export async function samplingJob(
  device: Device,
  config: TrainConfig,
  batch: number,
): Promise<Job> {
  const { train: { precision } } = config;
  const weights = createNetwork(config.network).parameters.initial(0);
  const model = { network: config.network, ...sectionsOf(config), weights };
  const generator = await Generator.create(device, model, { batch, precision });
  const steps = uniformSteps(generator.objective, 1);
  const seeds = Array.from({ length: batch }, (_, i) => i);
  const labels = classesInTurn(config.network, batch) ?? undefined;
  return {
    images: batch,
    run: () => generator.generate({ seeds, labels, steps }),
    finish: () => device.finish(),
    free: () => generator.free(),
  };
}

/** What sampling a batch takes, known without a device. */
export function describeSampling({ network, train }: TrainConfig, batch: number): PlanSummary {
  const built = atPrecision(train.precision, () => createNetwork(network));
  return summarize(compile(samplingProgram(built, batch)));
}

/** A class for each image, or null where the network has none. */
function classesInTurn(network: NetworkConfig, images: number): number[] | null {
  const classes = "labelDim" in network ? network.labelDim : 0;
  return classes > 0 ? Array.from({ length: images }, (_, i) => i % classes) : null;
}
