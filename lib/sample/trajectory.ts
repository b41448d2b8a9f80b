/**
 * The way of an image: its noise, and what the network makes of it step by step.
 *
 * @module
 */

import { latents, stepCount } from "../objectives/sampler.ts";
import { sizeOf } from "../tensor/tensor.ts";
import type { GeneratedBatch, GenerateOptions, Generator } from "./generator.ts";

/** Samples that an image with so many steps becomes: the noise, and one after every step. */
export function framesOf(steps: number): number {
  return steps + 1;
}

/**
 * As {@link Generator.batches}, with {@link framesOf} samples in place of each image, those of one
 * image side by side. Of the restart sampler they are the images before fresh noise is added.
 */
export async function* trajectories(
  generator: Generator,
  options: GenerateOptions,
): AsyncGenerator<GeneratedBatch> {
  const size = sizeOf(generator.network.sampleShape);
  const frames = framesOf(stepCount(options.steps));
  // States of the batch at work, by step; a batch is complete before the next one begins.
  let states: Float32Array[] = [];
  const batches = generator.batches({
    ...options,
    onStep: (step, x, first) => {
      states[step] = Float32Array.from(x);
      options.onStep?.(step, x, first);
    },
  });
  for await (const { first, count } of batches) {
    const noise = options.latents
      ? options.latents.subarray(first * size, (first + count) * size)
      : latents(
        options.seeds.slice(first, first + count),
        size,
        generator.objective.config.sigmaData,
      );
    const samples = new Float32Array(count * frames * size);
    [noise, ...states].forEach((state, frame) => {
      for (let i = 0; i < count; i++) {
        samples.set(state.subarray(i * size, (i + 1) * size), (i * frames + frame) * size);
      }
    });
    states = [];
    yield { first: first * frames, count: count * frames, samples };
  }
}
