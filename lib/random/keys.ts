/**
 * What random numbers are for, so that no two uses share a key by accident. All of them are
 * counter-based: a number depends on seed, purpose, step and its own index, and on nothing that
 * ran before it.
 *
 * @module
 */

import { deriveKey, type Key } from "./threefry.ts";

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
