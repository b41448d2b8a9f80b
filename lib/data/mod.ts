/**
 * Data sets and the stream of training images.
 *
 * @module
 */

export * from "./dataset.ts";
export { DATASET_NAMES } from "./spec.ts";
export type { Split } from "./splits.ts";
export { countLabels, describeClasses, labelNotes } from "./labels.ts";
export * from "./open.ts";
export * from "./loader.ts";
export type { LoaderOptions, StreamItem } from "./stream_order.ts";
export {
  BaseLatents,
  isLatents,
  LATENT_MOMENTS,
  type LatentDataset,
  type LatentMoments,
} from "./latents.ts";
export {
  type ChannelStatistics,
  LATENT_STATISTICS,
  LatentLoader,
  type LatentRule,
  latentRule,
  type LatentSettings,
  type LatentStatisticsName,
} from "./latent_loader.ts";
export { type LatentNormalization, latentNote, parseLatentNote } from "./latent_note.ts";
export {
  type EncodedLatent,
  ENCODER_OUTPUTS,
  type EncoderOutput,
  LatentEncoder,
} from "./latent_encoder.ts";
export { describeLatents, type LatentDescription } from "./describe_latents.ts";
export type { FolderOptions, PictureCare } from "./folder_dataset.ts";
export * from "./describe.ts";
export { type Prepared, prepareDataset, type PrepareOptions } from "./prepare.ts";
export type { Crop } from "./fit.ts";
export type { ResizeFilter } from "../format/resize.ts";
export {
  type DataFingerprint,
  type Digest,
  fingerprint,
  fingerprintDifferences,
  type FingerprintEffort,
} from "./fingerprint.ts";
export { AugmentedStream } from "./augmented_stream.ts";
export { type ItemStream, type ItemWork, PrefetchingStream } from "./prefetch.ts";
export type { AugmentTask, ItemTask, LatentTask, PictureTask } from "./make_items.ts";
export type { PictureFormat, PicturePlace } from "./decode_picture.ts";
export type { FilePlace } from "./file_tree.ts";
