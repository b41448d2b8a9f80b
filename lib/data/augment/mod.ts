/**
 * Augmentation of training images: what is drawn (transforms.ts), how images are moved (warp.ts),
 * and both for a stream (augment.ts).
 *
 * @module
 */

export * from "./transforms.ts";
export * from "./warp.ts";
export * from "./augment.ts";
