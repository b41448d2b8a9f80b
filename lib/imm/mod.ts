/**
 * Inductive Moment Matching (Zhou, Ermon, Song, 2025, arXiv 2503.07565): the method, without
 * networks, optimizers or data. To be read with the paper beside, in this order:
 *
 * 1. interpolant.ts, the path x_t between data and noise;
 * 2. parameterization.ts, f_{s,t}: how a network's output becomes a sample at time s;
 * 3. mapping.ts and weighting.ts, r(s,t), w(s,t) and w~(s,t);
 * 4. kernel.ts and objective.ts, the MMD between f_{s,t}(x_t) and f_{s,r}(x_r), with times.ts for
 *    what the host computes per step;
 * 5. schedule.ts and sampler.ts, from noise to samples in a few steps.
 *
 * @module
 */

export { IMM_DEFAULTS, type ImmConfig, immConfig } from "./config.ts";
export { type Interpolant, interpolant, type InterpolantName } from "./interpolant.ts";
export {
  type CallCoefficients,
  callCoefficients,
  cIn,
  cNoise,
  cNoiseSecond,
  cOut,
  cSkip,
  type ParameterizationName,
  type PrecondConfig,
  type TimeConditioning,
} from "./parameterization.ts";
export { Mapping, type MappingName } from "./mapping.ts";
export { kernelWeight, weight, type WeightingConfig } from "./weighting.ts";
export { kernel, type KernelConfig, type KernelName, mmdSquared } from "./kernel.ts";
export {
  type CoefficientName,
  COEFFICIENTS,
  dropLabels,
  groupCoefficients,
  type GroupTimes,
  type NoiseLabels,
  noiseLabels,
  packCoefficients,
  sampleTimes,
  withTargets,
} from "./times.ts";
export {
  groupLosses,
  type ImmLoss,
  objective,
  type ObjectiveInputs,
  type Pass,
} from "./objective.ts";
export { guide } from "./guidance.ts";
export { explicitTime, type Schedule, type ScheduleConfig, scheduleTimes } from "./schedule.ts";
export { type ImmStep, pushforwardSteps, restartSteps } from "./sampler.ts";
