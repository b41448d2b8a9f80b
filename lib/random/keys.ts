/**
 * What random numbers are for, so that no two uses share a key by accident. All of them are
 * counter-based: a number depends on seed, purpose, step and its own index, and on nothing that
 * ran before it.
 *
 * @module
 */

import { deriveKey, type Key, threefry2x32 } from "./threefry.ts";

/** Uses of randomness in a training step, all keyed by the step. */
export type TrainingPurpose =
  /** t and s of every group; see `sampleTimes`. */
  | "times"
  /** The noise n of every sample. */
  | "noise"
  /** Which labels are dropped; see `dropLabels`. */
  | "labels"
  /** The dropout masks, the same in the student and the target pass. */
  | "dropout"
  /** Augmentation of the data. */
  | "augmentation";

/** The key of one purpose in one training step. */
export function trainingKey(seed: number, purpose: TrainingPurpose, step: number): Key {
  return deriveKey(seed, "train", purpose, step);
}

/** The key of the initial latent of the image with this seed. */
export function latentKey(seed: number): Key {
  return deriveKey(seed, "sample", "latents");
}

/** The key of the class of the image with this seed, where classes are random. */
export function classKey(seed: number): Key {
  return deriveKey(seed, "sample", "class");
}

/** The key of the noise of restart number `restart` of the image with this seed. */
export function restartKey(seed: number, restart: number): Key {
  return deriveKey(seed, "sample", "restart", restart);
}

/**
 * A number of (0, 1) in float64: an odd multiple of 2^-53, so never 0 and never 1.
 *
 * @param draw which of the numbers that belong to `index`
 */
export function openUniform([k0, k1]: Key, draw: number, index: number): number {
  const [w0, w1] = threefry2x32(k0, k1, draw, index);
  return (w0 * 2 ** 20 + (w1 >>> 12) + 0.5) * 2 ** -52;
}

/** A standard normal number in float64, from two uniform ones (Box and Muller). */
export function openNormal(key: Key, index: number): number {
  const radius = Math.sqrt(-2 * Math.log(openUniform(key, 0, index)));
  return radius * Math.cos(2 * Math.PI * openUniform(key, 1, index));
}
