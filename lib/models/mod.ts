/**
 * The networks.
 *
 * @module
 */

export * from "./config.ts";
export * from "./network.ts";
export * from "./registry.ts";
export * from "./official.ts";
export * from "./precision.ts";
export { Mlp } from "./mlp.ts";
export { SongUNet } from "./song_unet.ts";
export { DhariwalUNet } from "./dhariwal_unet.ts";
export { DiT } from "./dit.ts";
