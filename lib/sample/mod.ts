/**
 * Sampling from models.
 *
 * @module
 */

export * from "./generator.ts";
