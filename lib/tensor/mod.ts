/**
 * Symbolic tensors and everything that can be done with them.
 *
 * @module
 */

export * from "./tensor.ts";
export * from "./state.ts";
export * from "./fill.ts";
export * from "./elementwise.ts";
export * from "./view.ts";
export * from "./reduce.ts";
export * from "./matmul.ts";
export * from "./conv.ts";
export * from "./resample.ts";
export * from "./norm.ts";
export * from "./softmax.ts";
export * from "./attention.ts";
export * from "./embedding.ts";
export * from "./random.ts";
export * from "../random/threefry.ts";
export * from "./pairwise.ts";
export * from "./grad.ts";
export * from "./rematerialize.ts";
