/**
 * What features are added up to, and the work on all of them that takes long: moments, nearest
 * neighbours, threads. Nothing here knows a metric. To be read in this order:
 *
 * 1. statistics.ts, features, and the mean and covariance of those that arrive in batches;
 * 2. pool.ts and tasks.ts, how work on pairs of images is cut into tasks for threads (worker.ts);
 * 3. nearest.ts, the nearest rows of one set for those of another;
 * 4. check_moments.ts, whether a covariance from a file can be one;
 * 5. module.ts, the WebAssembly behind it, whose source is `wasm/statistics`.
 *
 * @module
 */

export * from "./statistics.ts";
export { StatisticsPool, type StatisticsPoolOptions } from "./pool.ts";
export * from "./nearest.ts";
export * from "./check_moments.ts";
