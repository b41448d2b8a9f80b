/**
 * Networks and the files that hold them. What a network is trained for is in lib/objectives. To be read
 * in this order:
 *
 * 1. network.ts, what a network is; networks/, the four there are;
 * 2. kind.ts and registry.ts, the row that each network has;
 * 3. official.ts, the names and options of the public PyTorch code; infer.ts, a network from shapes;
 * 4. model_file.ts, how models are written and read; public_models.ts, those of the public release.
 *
 * @module
 */

export {
  type Conditioning,
  type ConditioningSpec,
  type ConditioningValues,
  type ForwardOptions,
  Network,
  type NetworkInput,
  type NetworkSettings,
  type RebuildChanges,
  type TimeInputs,
} from "./network.ts";
export {
  createNetwork,
  type NetworkConfig,
  type NetworkConfigInput,
  parseNetworkConfig,
} from "./registry.ts";
export { fromOfficial, toOfficial } from "./official.ts";
export { atPrecision, type Precision, PRECISIONS } from "./precision.ts";
export {
  findModel,
  loadModel,
  type Model,
  type ModelDescription,
  type ModelFile,
  openModel,
  saveModel,
} from "./model_file.ts";
export { PUBLIC_MODELS, type PublicModel, publicModel } from "./public_models.ts";
export type { DhariwalUNetConfig } from "./networks/dhariwal_unet.ts";
export type { DiTConfig } from "./networks/dit.ts";
export type { MlpConfig } from "./networks/mlp.ts";
export type { SongUNetConfig } from "./networks/song_unet.ts";
export type { UNetConfig } from "./networks/unet.ts";
