/**
 * The networks.
 *
 * @module
 */

export * from "./kind.ts";
export * from "./network.ts";
export {
  createNetwork,
  type NetworkConfig,
  type NetworkConfigInput,
  parseNetworkConfig,
} from "./registry.ts";
export * from "./official.ts";
export * from "./precision.ts";
export { Mlp, type MlpConfig } from "./networks/mlp.ts";
export { SongUNet, type SongUNetConfig } from "./networks/song_unet.ts";
export { DhariwalUNet, type DhariwalUNetConfig } from "./networks/dhariwal_unet.ts";
export { DiT, type DiTConfig } from "./networks/dit.ts";
export type { UNetConfig } from "./networks/unet.ts";
