/**
 * Data sets and the stream of training images. Nothing here knows of networks or devices. To be read in
 * this order:
 *
 * 1. dataset.ts, what a data set is; open.ts, how one is found by its name or path;
 * 2. images/, folders/ and latents/, the kinds there are;
 * 3. stream/, the endless shuffled stream of a training run, prepared by threads; augment/;
 * 4. prepare/, the data sets that `imm dataset` writes; fingerprint.ts, how a run knows its data again.
 *
 * @module
 */

export {
  ArrayDataset,
  BaseDataset,
  type Dataset,
  type Decoding,
  type LabelledSet,
} from "./dataset.ts";
export { openDataset, openImagesOrLatents, type OpenOptions } from "./open.ts";
export { type Batch, Loader } from "./stream/loader.ts";
export type { StreamItem } from "./stream/order.ts";
export {
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
export { type EncodedLatent, ENCODER_OUTPUTS, LatentEncoder } from "./latents/encoder.ts";
export { describeLatents, type LatentDescription } from "./latents/describe.ts";
export type { FolderOptions, PictureCare } from "./images/folder.ts";
export { type DatasetDescription, describeDataset } from "./describe.ts";
export { type Prepared, prepareDataset, type PrepareOptions } from "./prepare/prepare.ts";
export type { Crop } from "./fit.ts";
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
export type { AugmentConfig } from "./augment/transforms.ts";
