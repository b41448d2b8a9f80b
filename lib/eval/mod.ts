/**
 * Evaluation of image generators: two sets of images in, metrics and reports out. Nothing here makes
 * images; samples of a model come as an `ImageSource`, as files do. The way of the data:
 *
 * 1. images.ts, a set of images, and classes.ts, what its labels mean in another set;
 * 2. extractors/, images to features, with the network of the FID in inception/ (pipelines.ts there
 *    says what clean-fid and others do differently);
 * 3. collect.ts, all features of a set, of which feature_cache.ts keeps those that it has seen;
 * 4. statistics/, features to moments, and references/, moments of real images in files;
 * 5. metrics/, two sets to numbers, one row each;
 * 6. evaluate.ts, all of this in order: first requirements.ts, at the end warnings.ts, and floor.ts
 *    for what real images score;
 * 7. gate.ts, what the values must be, and reports/, what is written of them.
 *
 * @module
 */

export { type ClassMatch, type ImageClasses, matchClasses, type NamedClasses } from "./classes.ts";
export {
  collect,
  type Collected,
  type CollectOptions,
  type EvaluationProgress,
} from "./collect.ts";
export { openDigitClassifier } from "./extractors/digit_classifier.ts";
export {
  type DigitReport,
  type DigitSamples,
  type DigitScores,
  evaluateDigits,
} from "./reports/digits.ts";
export { computeReference, evaluate, type EvaluateOptions, type Evaluation } from "./evaluate.ts";
export type { Extracted, FeatureExtractor, Logits } from "./extractors/extractor.ts";
export {
  CACHE_LIMIT,
  type CachedFeatures,
  type CacheUsage,
  FeatureCache,
} from "./feature_cache.ts";
export { OnnxExtractor } from "./extractors/onnx_extractor.ts";
export type { InferredPipeline } from "./references/foreign_origin.ts";
export { frechetDistance } from "./metrics/frechet.ts";
export {
  type ExtrapolationOptions,
  frechetDistanceAtInfinity,
} from "./metrics/frechet_infinity.ts";
export {
  type Gallery,
  type GalleryImage,
  type GalleryNeighbours,
  type GallerySide,
  makeGallery,
} from "./reports/gallery.ts";
export {
  type Baseline,
  type BaselineOutcome,
  checkBaseline,
  checkThresholds,
  gateFailures,
  type GateOutcome,
  joinGates,
  type Judged,
  parseBaseline,
  parseThreshold,
  parseTolerances,
  type Threshold,
  type ThresholdOutcome,
  type Tolerance,
  type Tolerances,
} from "./gate.ts";
export {
  datasetImages,
  type DatasetImagesOptions,
  generatedImages,
  type ImageBatch,
  type ImageIdentity,
  imageRange,
  type ImageSource,
  memoryImages,
} from "./images.ts";
export {
  INCEPTION_BACKENDS,
  type InceptionBackend,
  type InceptionOptions,
  openInception,
} from "./extractors/inception.ts";
export {
  type InceptionScore,
  inceptionScore,
  type InceptionScoreOptions,
} from "./metrics/inception_score.ts";
export {
  findInceptionWeights,
  type FindWeightsOptions,
  INCEPTION_WEIGHTS,
  type LoadedWeights,
  readInceptionWeights,
  type ReadWeightsOptions,
} from "./inception/weights.ts";
export {
  gaussianDiscrepancy,
  type GaussianDiscrepancyOptions,
  type KernelDistance,
  kernelDistance,
  type KernelDistanceOptions,
} from "./metrics/kernel_distance.ts";
export { type ManifoldMetrics, manifoldMetrics } from "./metrics/manifold.ts";
export type { MetricInputs, MetricSet, MetricSettings } from "./metrics/metric.ts";
export type {
  ClassifierOutput,
  ExtractorDescription,
  ExtractorInput,
  ExtractorOutput,
} from "./extractors/onnx_description.ts";
export { type PipelineName, PIPELINES, type Resampling } from "./inception/pipelines.ts";
export { PixelExtractor } from "./extractors/pixels.ts";
export {
  readPartial,
  readReference,
  REFERENCE_FORMATS,
  type ReferenceFormat,
  writeReference,
} from "./references/files.ts";
export {
  type MadeReference,
  mergePartials,
  type PartialStatistics,
  type Provenance,
  type Reference,
  referenceOf,
  type Sums,
} from "./references/reference.ts";
export { jsonReport, textReport } from "./reports/text.ts";
export { githubAnnotations, junitReport, markdownReport } from "./reports/ci.ts";
export { htmlReport, type HtmlReportOptions } from "./reports/html.ts";
export { type Features, FeatureStatistics, type Moments } from "./statistics/statistics.ts";
export { StatisticsPool } from "./statistics/pool.ts";
export type { InceptionTensor, InceptionWeights } from "./inception/network.ts";
export type { DownloadOptions, RemoteFile } from "../files/download.ts";
export { nearestLabelAccuracy } from "./metrics/accuracy.ts";
export { computeMetrics, type ComputeOptions, type MetricResults } from "./metrics/compute.ts";
export { type Metric, METRICS } from "./metrics/registry.ts";
export type { Comparison } from "./requirements.ts";
export type { Shard } from "../base/shard.ts";
