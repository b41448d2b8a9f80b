/**
 * Sampling from models.
 *
 * @module
 */

export * from "./decoder.ts";
export * from "./finite.ts";
export * from "./generator.ts";
export * from "./schedule.ts";
