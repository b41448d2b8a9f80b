/**
 * Training, from the formula of an optimizer to a run in a folder. What is trained for is in
 * lib/objectives. To be read in this order:
 *
 * 1. config/, the settings of a run, presets, and what they will need;
 * 2. step/, one step on a device: programs.ts builds it, learner.ts runs it;
 * 3. trainer.ts, the loop;
 * 4. run/, the folder of a run: checkpoints, log, how it is begun and resumed; reports/.
 *
 * @module
 */

export {
  type DataSettings,
  type DataShape,
  type EmaSettings,
  type OptimizerSettings,
  parseTrainConfig,
  type PictureShape,
  type PointShape,
  type ReportSettings,
  type ScoreSettings,
  type StepSettings,
  type TrainConfig,
  type TrainConfigInput,
} from "./config/config.ts";
export { preset, PRESET_NAMES } from "./config/presets.ts";
export type { OptimizerConfig, OptimizerName, OPTIMIZERS } from "./step/optimizer.ts";
export type { ScalingState } from "./step/scaling.ts";
export type { AverageProfile } from "./step/ema.ts";
export type { LayerNorms } from "./step/norms.ts";
export {
  Learner,
  type LearnerConfig,
  type LearnerState,
  type StatePart,
  type StepBatch,
  type StepRates,
  type StepSums,
} from "./step/learner.ts";
export type { Beginning } from "./run/history.ts";
export type { Change } from "./run/changes.ts";
export type { ScoreLine, StatsLine } from "./run/folder.ts";
export type { TrainObserver, TrainResult } from "./trainer.ts";
export type { RunStart } from "./run/narrative.ts";
export type { GridLayout } from "./reports/grids.ts";
export type { ClosableSource, TrainingData } from "./run/sources.ts";
export {
  chooseMicroBatch,
  describeRun,
  type MemoryLimits,
  type MicroBatchChoice,
  type RunDescription,
} from "./config/planner.ts";
export type { MeasuredSpeed } from "./reports/measure.ts";
export { reconstructAverage, type Reconstruction } from "./step/reconstruct.ts";
export type { ResumeChanges } from "./run/resume.ts";
export {
  type ConfigSource,
  resolveConfig,
  type ResolvedConfig,
  resolveResumed,
  TrainingRun,
} from "./run/run.ts";
