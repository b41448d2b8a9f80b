/**
 * Training, from the optimiser's formula (optimizer.ts) through the step on a device (programs.ts,
 * learner.ts) to runs in folders (trainer.ts, run_folder.ts, run.ts).
 *
 * @module
 */

export * from "./config/config.ts";
export * from "./config/presets.ts";
export * from "./config/settings.ts";
export * from "./step/optimizer.ts";
export * from "./step/scaling.ts";
export * from "./step/ema.ts";
export * from "./step/programs.ts";
export * from "./step/norms.ts";
export * from "./step/learner.ts";
export * from "./run/checkpoint.ts";
export * from "./run/checkpoint_files.ts";
export * from "./run/history.ts";
export * from "./run/changes.ts";
export * from "./run/folder.ts";
export * from "./trainer.ts";
export * from "./run/narrative.ts";
export * from "./run/transfer.ts";
export * from "./reports/grids.ts";
export * from "./run/sources.ts";
export * from "./points.ts";
export * from "./config/planner.ts";
export * from "./reports/measure.ts";
export * from "./step/reconstruct.ts";
export * from "./reports/scores.ts";
export * from "./run/resume.ts";
export * from "./run/run.ts";
