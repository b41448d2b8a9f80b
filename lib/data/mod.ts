/**
 * Data sets and the stream of training images.
 *
 * @module
 */

export * from "./dataset.ts";
export { DATASET_NAMES } from "./spec.ts";
export type { Split } from "./folders/splits.ts";
export { countLabels, describeClasses, labelNotes } from "./folders/labels.ts";
export * from "./open.ts";
export * from "./stream/loader.ts";
export type { LoaderOptions, StreamItem } from "./stream/order.ts";
export {
  BaseLatents,
  isLatents,
  LATENT_MOMENTS,
  type LatentDataset,
  type LatentMoments,
} from "./latents/dataset.ts";
export {
  type ChannelStatistics,
  LATENT_STATISTICS,
  LatentLoader,
  type LatentRule,
  latentRule,
  type LatentSettings,
  type LatentStatisticsName,
} from "./latents/loader.ts";
export { type LatentNormalization, latentNote, parseLatentNote } from "./latents/note.ts";
export {
  type EncodedLatent,
  ENCODER_OUTPUTS,
  type EncoderOutput,
  LatentEncoder,
} from "./latents/encoder.ts";
export { describeLatents, type LatentDescription } from "./latents/describe.ts";
export type { FolderOptions, PictureCare } from "./images/folder.ts";
export * from "./describe.ts";
export { type Prepared, prepareDataset, type PrepareOptions } from "./prepare/prepare.ts";
export type { Crop } from "./fit.ts";
export type { ResizeFilter } from "../formats/image/resize.ts";
export {
  type DataFingerprint,
  type Digest,
  fingerprint,
  fingerprintDifferences,
  type FingerprintEffort,
} from "./fingerprint.ts";
export { AugmentedStream } from "./stream/augmented.ts";
export { type ItemStream, type ItemWork, PrefetchingStream } from "./stream/prefetch.ts";
export type { AugmentTask, ItemTask, LatentTask, PictureTask } from "./stream/make_items.ts";
export type { PictureFormat, PicturePlace } from "./images/decode_picture.ts";
export type { FilePlace } from "./folders/file_tree.ts";
