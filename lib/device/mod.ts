/**
 * Devices that run plans.
 *
 * @module
 */

export * from "./device.ts";
export * from "./open.ts";
export * from "./arena_buffer.ts";
export * from "./float16.ts";
export type { Tuning, TuningProgress } from "./webgpu/tuning/tuner.ts";
