/**
 * Training, from the optimiser's formula (optimizer.ts) through the step on a device (programs.ts,
 * learner.ts) to runs in folders (trainer.ts, run_folder.ts, run.ts).
 *
 * @module
 */

export * from "./config.ts";
export * from "./presets.ts";
export * from "./settings.ts";
export * from "./optimizer.ts";
export * from "./scaling.ts";
export * from "./ema.ts";
export * from "./programs.ts";
export * from "./norms.ts";
export * from "./learner.ts";
export * from "./checkpoint.ts";
export * from "./checkpoint_files.ts";
export * from "./history.ts";
export * from "./changes.ts";
export * from "./run_folder.ts";
export * from "./trainer.ts";
export * from "./narrative.ts";
export * from "./transfer.ts";
export * from "./grids.ts";
export * from "./sources.ts";
export * from "./points.ts";
export * from "./planner.ts";
export * from "./measure.ts";
export * from "./reconstruct.ts";
export * from "./scores.ts";
export * from "./resume.ts";
export * from "./run.ts";
