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
export { Mlp } from "./networks/mlp.ts";
export { SongUNet } from "./networks/song_unet.ts";
export { DhariwalUNet } from "./networks/dhariwal_unet.ts";
export { DiT } from "./networks/dit.ts";
