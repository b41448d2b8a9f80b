/**
 * Randomness that depends on a position, never on a state: threefry.ts makes numbers of a key and a
 * counter, the same here and on every device; keys.ts says which key is for what, so that no two
 * uses share numbers. numpy.ts is NumPy's RandomState, for results that others made with it.
 *
 * @module
 */

export {
  classKey,
  latentKey,
  openNormal,
  openUniform,
  restartKey,
  trainingKey,
  type TrainingPurpose,
} from "./keys.ts";
export { RandomState } from "./numpy.ts";
export {
  deriveKey,
  hostNormal,
  hostUniform,
  type Key,
  normalFromBits,
  STREAM_FACTOR,
  threefry2x32,
  uniformFromBits,
  type Words,
} from "./threefry.ts";
