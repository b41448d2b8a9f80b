/**
 * Inductive Moment Matching (Zhou, Ermon & Song 2025): train, sample and evaluate few-step image
 * generators on any GPU or none.
 *
 * Train a model (here a tiny one, for a moment), draw from it, and compare with real images:
 *
 * ```ts
 * import {
 *   decodeRgb,
 *   FeatureStatistics,
 *   frechetDistance,
 *   Generator,
 *   loadModel,
 *   openDataset,
 *   openDevice,
 *   TrainingRun,
 *   uniformSteps,
 * } from "@imm/imm";
 * import assert from "node:assert/strict";
 *
 * const folder = await Deno.makeTempDir();
 * const device = await openDevice();
 * {
 *   await using run = await TrainingRun.start(device, {
 *     preset: "digits-small",
 *     settings: ["network.modelChannels=8", "network.channelMult=[1]", "train.images=128"],
 *   }, `${folder}/run`);
 *   await run.train({
 *     observer: { report: ({ images, loss }) => console.log(images, loss) },
 *   });
 * }
 * const model = await loadModel(`${folder}/run/model.safetensors`);
 * const generator = await Generator.create(device, model, { batch: 4 });
 * const samples = await generator.generate({
 *   seeds: [0, 1, 2, 3],
 *   labels: [7, 7, 8, 8],
 *   steps: uniformSteps(generator.objective, 2),
 * });
 * const pixels = decodeRgb(samples); // bytes, [4, 8, 8, 1]
 * assert.equal(pixels.length, 4 * 8 * 8);
 * generator.free();
 * device.close();
 *
 * // How far they are from the real digits: statistics of both, and the distance between them.
 * const statistics = (images: Float32Array) => {
 *   const all = new FeatureStatistics(64); // here the pixels themselves are the features
 *   all.add(images);
 *   return all;
 * };
 * const digits = await openDataset("digits");
 * const real = Float32Array.from({ length: 1000 * 64 }, (_, i) =>
 *   digits.image(Math.floor(i / 64))[i % 64] / 127.5 - 1);
 * digits.close();
 * assert.ok(frechetDistance(statistics(samples), statistics(real)) > 0);
 * await Deno.remove(folder, { recursive: true });
 * ```
 *
 * Below all of it lies an engine of its own: build a graph, differentiate it, and run it.
 *
 * ```ts
 * import { compile, grad, input, openDevice, square, sum } from "@imm/imm";
 * import assert from "node:assert/strict";
 *
 * const x = input("x", [3]);
 * const [dx] = grad(sum(square(x)), [x]);
 * const device = await openDevice();
 * const plan = compile({ label: "example", inputs: [x], outputs: { dx }, updates: [] });
 * const executable = await device.prepare(plan, new Map());
 * executable.run({ x: Float32Array.of(1, 2, 3) });
 * const result = await executable.read(["dx"]);
 * assert.deepEqual([...result.dx], [2, 4, 6]);
 * device.close();
 * ```
 *
 * @module
 */

export { VERSION } from "./lib/base/version.ts";

// Errors: each is one sentence that says what was expected, what was found and what to do.
export {
  DeviceError,
  FormatError,
  GateError,
  ImmError,
  InternalError,
  InterruptedError,
  StoppedError,
  UsageError,
  WriteError,
} from "./lib/base/errors.ts";

// Training: from a preset or a file to a run in a folder, or step by step with a Learner.
export {
  type AverageProfile,
  type Beginning,
  type Change,
  chooseMicroBatch,
  type ClosableSource,
  type ConfigSource,
  type DataSettings,
  type DataShape,
  describeRun,
  type EmaSettings,
  type LayerNorms,
  Learner,
  type LearnerConfig,
  type LearnerState,
  type MemoryLimits,
  type MicroBatchChoice,
  type OptimizerConfig,
  type OptimizerName,
  OPTIMIZERS,
  type OptimizerSettings,
  parseTrainConfig,
  type PictureShape,
  type PointShape,
  preset,
  PRESET_NAMES,
  reconstructAverage,
  type Reconstruction,
  type ReportSettings,
  resolveConfig,
  type ResolvedConfig,
  resolveResumed,
  type ResumeChanges,
  type RunDescription,
  type RunStart,
  type ScalingState,
  type ScoreLine,
  type ScoreSettings,
  type StatePart,
  type StatsLine,
  type StepBatch,
  type StepRates,
  type StepSettings,
  type StepSums,
  type TrainConfig,
  type TrainConfigInput,
  type TrainingData,
  TrainingRun,
  type TrainObserver,
  type TrainResult,
} from "./lib/train/mod.ts";

// Augmentation that the network is told about.
export {
  augment,
  AUGMENT_LABELS,
  type AugmentConfig,
  type Augmented,
  EDM_AUGMENT,
} from "./lib/data/augment/mod.ts";

// Data sets, and the stream of training images.
export {
  ArrayDataset,
  AugmentedStream,
  type AugmentTask,
  BaseDataset,
  BaseLatents,
  type Batch,
  type ChannelStatistics,
  type Crop,
  type DataFingerprint,
  type Dataset,
  type DatasetDescription,
  type Decoding,
  describeDataset,
  describeLatents,
  type Digest,
  type EncodedLatent,
  ENCODER_OUTPUTS,
  type EncoderOutput,
  type FilePlace,
  fingerprint,
  fingerprintDifferences,
  type FingerprintEffort,
  type FolderOptions,
  isLatents,
  type ItemStream,
  type ItemTask,
  type ItemWork,
  type LabelledSet,
  LATENT_MOMENTS,
  LATENT_STATISTICS,
  type LatentDataset,
  type LatentDescription,
  LatentEncoder,
  LatentLoader,
  type LatentMoments,
  type LatentNormalization,
  latentNote,
  type LatentRule,
  latentRule,
  type LatentSettings,
  type LatentStatisticsName,
  type LatentTask,
  Loader,
  type LoaderOptions,
  openDataset,
  openImagesOrLatents,
  type OpenOptions,
  parseLatentNote,
  type PictureCare,
  type PictureFormat,
  type PicturePlace,
  type PictureTask,
  PrefetchingStream,
  type Prepared,
  prepareDataset,
  type PrepareOptions,
  type ResizeFilter,
  type StreamItem,
} from "./lib/data/mod.ts";

// Sampling: from seeds to images.
export {
  DECODER_RANGES,
  type DecoderOptions,
  type DecoderRange,
  type DecoderRecord,
  type GeneratedBatch,
  type GenerateOptions,
  Generator,
  LatentDecoder,
  NotFiniteError,
  type SharedModel,
  uniformSteps,
} from "./lib/sample/mod.ts";

// Pictures: samples side by side, and PNG files.
export { type GridOptions, imageGrid, splitImages } from "./lib/formats/image/grid.ts";
export { type Image, type ImageShape } from "./lib/formats/image/pixels.ts";
export type { ZipPlace } from "./lib/formats/archive/zip.ts";
export { encodePng } from "./lib/formats/image/png.ts";

// Model files.
export {
  findModel,
  loadModel,
  type Model,
  type ModelDescription,
  type ModelFile,
  openModel,
  saveModel,
} from "./lib/models/model_file.ts";

// Models of other programs: checkpoints of PyTorch, pickled modules, safetensors, npz.
export {
  type ConvertOptions,
  describeFile,
  type FileDescription,
  findModelIn,
  type ForeignFile,
  type ForeignFormat,
  type ForeignTensor,
  type FoundModel,
  type FoundTensor,
  openForeign,
  type TensorDescription,
  writeConverted,
  type WriteOptions,
  writeStateDict,
} from "./lib/convert/mod.ts";
export { type FloatType, type NumericType } from "./lib/formats/arrays/numeric.ts";
export { PUBLIC_MODELS, type PublicModel, publicModel } from "./lib/models/public_models.ts";
export { toOfficial } from "./lib/models/official.ts";

// Networks, and the tensors that they hold.
export {
  type Conditioning,
  type ConditioningSpec,
  type ConditioningValues,
  createNetwork,
  type DhariwalUNetConfig,
  type DiTConfig,
  type ForwardOptions,
  fromOfficial,
  type MlpConfig,
  Network,
  type NetworkConfig,
  type NetworkConfigInput,
  type NetworkInput,
  type NetworkSettings,
  parseNetworkConfig,
  type Precision,
  PRECISIONS,
  type RebuildChanges,
  type SongUNetConfig,
  type TimeInputs,
  type UNetConfig,
} from "./lib/models/mod.ts";
export {
  type ArenaContents,
  type BufferSpec,
  type HostTensor,
  type Initializer,
  type ParameterSpec,
  ParameterStore,
  type StateDict,
  type StateTensor,
} from "./lib/nn/mod.ts";

// The method, with the paper's names: lib/imm/mod.ts says in which order to read it.
export * from "./lib/imm/mod.ts";

// Training objectives, IMM among them, and their samplers.
export * from "./lib/objectives/mod.ts";
export { trainingKey, type TrainingPurpose } from "./lib/random/keys.ts";
export { decodeRgb, encodeRgb } from "./lib/base/bytes.ts";

// Evaluation: features of images, distances between sets of them, reports and thresholds.
export {
  type Baseline,
  type BaselineOutcome,
  CACHE_LIMIT,
  type CachedFeatures,
  type CacheUsage,
  checkBaseline,
  checkedFormat,
  checkedPipeline,
  checkMoments,
  checkReference,
  checkThresholds,
  type ClassifierOutput,
  type ClassMatch,
  collect,
  type Collected,
  type CollectOptions,
  type Comparison,
  computeMetrics,
  type ComputeOptions,
  computeReference,
  datasetImages,
  type DatasetImagesOptions,
  type DigitReport,
  type DigitSamples,
  type DigitScores,
  evaluate,
  evaluateDigits,
  type EvaluateOptions,
  type Evaluation,
  type EvaluationProgress,
  type Extracted,
  type ExtractorDescription,
  type ExtractorDescriptionInput,
  type ExtractorInput,
  type ExtractorOutput,
  type ExtrapolationOptions,
  FeatureCache,
  type FeatureExtractor,
  type Features,
  FeatureStatistics,
  findInceptionWeights,
  type FindWeightsOptions,
  type FrechetDistance,
  frechetDistance,
  frechetDistanceWithin,
  type Gallery,
  type GalleryImage,
  type GalleryNeighbours,
  type GallerySide,
  gateFailures,
  type GateOutcome,
  gaussianDiscrepancy,
  type GaussianDiscrepancyOptions,
  generatedImages,
  githubAnnotations,
  htmlReport,
  type HtmlReportOptions,
  type ImageBatch,
  type ImageClasses,
  type ImageIdentity,
  imageRange,
  type ImageSource,
  INCEPTION_BACKENDS,
  INCEPTION_WEIGHTS,
  type InceptionBackend,
  type InceptionOptions,
  type InceptionScore,
  inceptionScore,
  type InceptionScoreOptions,
  inceptionWeightsPath,
  type InferredPipeline,
  joinGates,
  jsonReport,
  type Judged,
  junitReport,
  type KernelDistance,
  kernelDistance,
  type KernelDistanceOptions,
  KnownSet,
  type LoadedWeights,
  type Logits,
  type MadeReference,
  makeGallery,
  type ManifoldMetrics,
  manifoldMetrics,
  manifoldMetricsOf,
  markdownReport,
  matchClasses,
  memoryImages,
  mergePartials,
  type Metric,
  type MetricContext,
  type MetricDefinition,
  type MetricInputs,
  type MetricNeed,
  type MetricResults,
  METRICS,
  type MetricSet,
  type MetricSettings,
  type MetricValues,
  type MomentNames,
  type Moments,
  type NamedClasses,
  nearestLabelAccuracy,
  nearestNeighbours,
  type Neighbours,
  OnnxExtractor,
  type OnnxExtractorOptions,
  openDigitClassifier,
  openInception,
  parseBaseline,
  parseThreshold,
  parseTolerances,
  type PartialStatistics,
  type Pipeline,
  type PipelineName,
  PIPELINES,
  PixelExtractor,
  type Provenance,
  readInceptionWeights,
  readPartial,
  readReference,
  type ReadWeightsOptions,
  type Reference,
  REFERENCE_FORMATS,
  type ReferenceFormat,
  referenceOf,
  type Resampling,
  type RoundedValue,
  type Shard,
  StatisticsPool,
  type StatisticsPoolOptions,
  type Sums,
  textReport,
  type Threshold,
  type ThresholdOutcome,
  type Tolerance,
  type Tolerances,
  writeReference,
} from "./lib/eval/mod.ts";
export type { InceptionTensor, InceptionWeights } from "./lib/eval/inception/network.ts";
export type { DownloadOptions, RemoteFile } from "./lib/files/download.ts";

// Devices: where plans run.
export {
  ArenaBuffer,
  arenaMap,
  type Device,
  type DeviceBuffer,
  type DeviceName,
  type Executable,
  type HostArray,
  openDevice,
  type OpenDeviceOptions,
  type Tuning,
  type TuningProgress,
} from "./lib/device/mod.ts";

// Programs and their plans: kernels over buffers, with a memory that is known before they run.
export {
  compile,
  type CompileOptions,
  kernelFlops,
  planFlops,
  type PlanSummary,
  printPlan,
  type Program,
  summarize,
} from "./lib/compile/mod.ts";
export type * from "./lib/compile/plan.ts";

// Symbolic tensors: leaves, state, gradients.
export {
  Arena,
  ARENA_ALIGNMENT,
  type ArenaEntry,
  constant,
  type ConvGeometry,
  customGradient,
  type DType,
  full,
  grad,
  type GradOptions,
  input,
  type MapFn,
  Node,
  type Op,
  type Operand,
  rematerialize,
  sameShape,
  type Shape,
  sizeOf,
  stopGradient,
  type Storage,
  Tensor,
  type Update,
  type Vjp,
  withStorage,
  zeros,
} from "./lib/tensor/mod.ts";

// Operations, element by element, with numpy's broadcasting.
export {
  abs,
  add,
  clamp,
  cos,
  div,
  equal,
  exp,
  expm1,
  floor,
  geluTanh,
  greater,
  greaterEqual,
  less,
  lessEqual,
  log,
  maximum,
  minimum,
  mul,
  neg,
  rsqrt,
  sigmoid,
  silu,
  sin,
  sqrt,
  square,
  sub,
  tanh,
  toF32,
  toI32,
  where,
} from "./lib/tensor/mod.ts";

// Operations on shapes.
export {
  chunk,
  concat,
  expand,
  narrow,
  pad,
  permute,
  reshape,
  slice,
  split,
  squeeze,
  transpose,
  unsqueeze,
  unstack,
} from "./lib/tensor/mod.ts";

// Operations that combine elements.
export {
  attention,
  type AttentionOptions,
  type Axes,
  conv2d,
  type ConvOptions,
  embedding,
  groupNorm,
  layerNorm,
  linear,
  logSumExp,
  matmul,
  type MatmulOptions,
  max,
  mean,
  moments,
  pairwiseSquaredDistance,
  resampleDown,
  type ResampleOptions,
  resampleUp,
  rmsNorm,
  scatterAdd,
  softmax,
  sum,
  sumTo,
} from "./lib/tensor/mod.ts";

// Counter-based randomness: the same numbers on the host and on every device.
export {
  deriveKey,
  dropout,
  hostNormal,
  hostUniform,
  type Key,
  randomNormal,
  randomUniform,
  threefry2x32,
  type Words,
} from "./lib/tensor/mod.ts";
