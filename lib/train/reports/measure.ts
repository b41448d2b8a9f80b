/**
 * How fast a device trains a network: measured with a few steps on nothing.
 *
 * @module
 */

import type { Device } from "../../device/device.ts";
import { createNetwork } from "../../models/registry.ts";
import type { BatchSource } from "../../objectives/objective.ts";
import { objectiveOf } from "../../objectives/registry.ts";
import { trainingKey, type TrainingPurpose } from "../../random/keys.ts";
import { sizeOf } from "../../tensor/tensor.ts";
import type { TrainConfig } from "../config/config.ts";
import { Learner } from "../step/learner.ts";

/** A measured speed. */
export interface MeasuredSpeed {
  /** Images of training per second. */
  readonly imagesPerSecond: number;
  /** Images per pass in the measurement. */
  readonly microBatch: number;
}

/** Steps after the first, which also warms up. */
const STEPS = 3;

/**
 * Runs a few steps of `microBatch` images and takes the fastest. Each updates the weights: with
 * micro-batches, training is a little faster.
 */
export async function measureSpeed(
  device: Device,
  config: TrainConfig,
  microBatch: number,
): Promise<MeasuredSpeed> {
  const { optimizer, train } = config;
  const objective = objectiveOf(config);
  const network = createNetwork(config.network);
  const learner = await Learner.create(device, network, {
    objective,
    optimizer,
    batch: microBatch,
    microBatch,
    clip: optimizer.clip !== null,
    recompute: train.recompute,
    precision: train.precision,
  });
  try {
    learner.initialize(network.parameters.initial(0));
    const source: BatchSource = {
      batch: (_position, count) => ({
        images: new Float32Array(count * sizeOf(network.sampleShape)),
        labels: new Int32Array(count),
      }),
    };
    const times: number[] = [];
    for (let step = 0; step <= STEPS; step++) {
      const start = performance.now();
      const key = (purpose: TrainingPurpose) => trainingKey(0, purpose, step);
      const draw = await objective.draw({
        source,
        position: step * microBatch,
        batch: microBatch,
        step,
        steps: STEPS + 1,
        hasLabels: network.conditioning.labels !== null,
        key,
      });
      const keys = { noiseKey: key("noise"), dropoutKey: key("dropout") };
      learner.run({ draw, ...keys }, { lr: 0, emaDecay: 0.5, maxNorm: 1 });
      await learner.finish();
      if (step > 0) times.push((performance.now() - start) / 1000);
    }
    return { imagesPerSecond: microBatch / Math.min(...times), microBatch };
  } finally {
    learner.free();
  }
}
