/**
 * How fast a device trains a network: measured with a few steps on nothing.
 *
 * @module
 */

import type { Device } from "../../device/device.ts";
import { sampleTimes, trainingKey } from "../../imm/mod.ts";
import { createNetwork } from "../../models/registry.ts";
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
  const { imm, optimizer, train } = config;
  const network = createNetwork(config.network);
  const learner = await Learner.create(device, network, {
    imm,
    optimizer,
    batch: microBatch,
    microBatch,
    clip: optimizer.clip !== null,
    recompute: train.recompute,
    precision: train.precision,
  });
  try {
    learner.initialize(network.parameters.initial(0));
    const labels = network.conditioning.labels
      ? { student: new Array(microBatch).fill(0), target: new Array(microBatch).fill(0) }
      : undefined;
    const times: number[] = [];
    for (let step = 0; step <= STEPS; step++) {
      const start = performance.now();
      learner.run({
        x: new Float32Array(microBatch * sizeOf(network.sampleShape)),
        times: sampleTimes(imm, trainingKey(0, "times", step), microBatch / imm.M),
        noiseKey: trainingKey(0, "noise", step),
        dropoutKey: trainingKey(0, "dropout", step),
        labels,
      }, { lr: 0, emaDecay: 0.5, maxNorm: 1 });
      await learner.finish();
      if (step > 0) times.push((performance.now() - start) / 1000);
    }
    return { imagesPerSecond: microBatch / Math.min(...times), microBatch };
  } finally {
    learner.free();
  }
}
