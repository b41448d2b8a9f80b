/**
 * Layers and their parameters.
 *
 * @module
 */

export * from "./init.ts";
export * from "./parameters.ts";
export * from "./linear.ts";
export * from "./conv.ts";
export * from "./norm.ts";
export * from "./attention.ts";
export * from "./embedding.ts";
