/**
 * Training objectives: what is drawn for a step, the graph of its loss, and the samplers of what was
 * trained. The method of the paper itself is lib/imm; networks are lib/models; loops and optimizers
 * are lib/train. To be read in this order:
 *
 * 1. objective.ts, what an objective is;
 * 2. imm.ts, the first, and flow.ts, flow matching, the second;
 * 3. sampler.ts, how a list of steps is walked;
 * 4. registry.ts, all of them by name.
 *
 * @module
 */

export type {
  BatchSource,
  DrawContext,
  Objective,
  ObjectiveSettings,
  PassConditioning,
  PassSpec,
  Sampler,
  StepDraw,
  StepGraph,
  StepLoss,
  TrainingBatch,
} from "./objective.ts";
export { type ImmBatch, immDraw, type ImmObjectiveConfig } from "./imm.ts";
export { type FlowBatch, type FlowConfig, flowDraw, flowTimes, velocityFactors } from "./flow.ts";
export {
  type Denoise,
  latents,
  restartNoise,
  sample,
  type SampleOptions,
  type SamplerStep,
  stepCount,
} from "./sampler.ts";
export {
  createObjective,
  OBJECTIVE_SETTINGS,
  type ObjectiveConfig,
  type ObjectiveInput,
  objectiveOf,
  type ObjectiveSections,
  objectiveSections,
  objectiveTitle,
  type OtherObjective,
  parseObjective,
  SAMPLER_NAMES,
  sectionsOf,
} from "./registry.ts";
