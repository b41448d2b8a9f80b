/**
 * Inductive Moment Matching (Zhou, Ermon & Song 2025): train, sample and evaluate few-step image
 * generators on any GPU or none.
 *
 * This module has what a program needs that trains, samples, converts and evaluates. The rooms below
 * have entry points of their own, named after their folders in lib/:
 *
 * | entry point           | what it is for                                                    |
 * | --------------------- | ----------------------------------------------------------------- |
 * | `@imm/imm/tensor`     | symbolic tensors, their operations and gradients                  |
 * | `@imm/imm/compile`    | from a graph to a plan of kernels                                 |
 * | `@imm/imm/device`     | WebGPU and WebAssembly, which run plans                           |
 * | `@imm/imm/random`     | counter-based random numbers                                      |
 * | `@imm/imm/nn`         | layers and parameters                                             |
 * | `@imm/imm/models`     | networks and model files                                          |
 * | `@imm/imm/imm`        | the paper's method, function by function                          |
 * | `@imm/imm/objectives` | training objectives and their samplers: IMM and flow matching     |
 * | `@imm/imm/data`       | data sets, latents, the stream of training images                 |
 * | `@imm/imm/train`      | runs, step by step; presets and configurations                    |
 * | `@imm/imm/sample`     | from seeds to images                                              |
 * | `@imm/imm/convert`    | checkpoints of other programs                                     |
 * | `@imm/imm/eval`       | extractors, statistics, metrics, reports                          |
 * | `@imm/imm/formats`    | image, archive and array files                                    |
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
 * Below all of it lies an engine: build a graph, differentiate it, and run it.
 *
 * ```ts
 * import { compile } from "@imm/imm/compile";
 * import { openDevice } from "@imm/imm/device";
 * import { grad, input, square, sum } from "@imm/imm/tensor";
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

// Errors: one sentence each, of what was expected, what was found and what to do.
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

// Devices.
export {
  type Device,
  type DeviceName,
  openDevice,
  type OpenDeviceOptions,
} from "./lib/device/mod.ts";

// Training runs.
export {
  type ConfigSource,
  describeRun,
  parseTrainConfig,
  preset,
  PRESET_NAMES,
  reconstructAverage,
  resolveConfig,
  type ResolvedConfig,
  type StatsLine,
  type TrainConfig,
  type TrainConfigInput,
  TrainingRun,
  type TrainObserver,
  type TrainResult,
} from "./lib/train/mod.ts";

// Data sets.
export {
  ArrayDataset,
  type Dataset,
  describeDataset,
  LatentEncoder,
  Loader,
  openDataset,
  openImagesOrLatents,
  type OpenOptions,
  prepareDataset,
  type PrepareOptions,
} from "./lib/data/mod.ts";

// Sampling.
export {
  type GeneratedBatch,
  type GenerateOptions,
  Generator,
  LatentDecoder,
  NotFiniteError,
  uniformSteps,
} from "./lib/sample/mod.ts";
export { decodeRgb, encodeRgb } from "./lib/base/bytes.ts";
export { encodePng, imageGrid } from "./lib/formats/mod.ts";

// Model files and networks.
export {
  createNetwork,
  findModel,
  loadModel,
  type Model,
  type ModelFile,
  Network,
  type NetworkConfig,
  openModel,
  PUBLIC_MODELS,
  publicModel,
  saveModel,
} from "./lib/models/mod.ts";

// Checkpoints of other programs.
export {
  describeFile,
  findModelIn,
  openForeign,
  writeConverted,
  writeStateDict,
} from "./lib/convert/mod.ts";

// Evaluation.
export {
  checkThresholds,
  computeMetrics,
  computeReference,
  datasetImages,
  evaluate,
  type EvaluateOptions,
  type Evaluation,
  type FeatureExtractor,
  FeatureStatistics,
  frechetDistance,
  generatedImages,
  htmlReport,
  type ImageSource,
  inceptionScore,
  jsonReport,
  junitReport,
  kernelDistance,
  manifoldMetrics,
  markdownReport,
  memoryImages,
  type Metric,
  METRICS,
  OnnxExtractor,
  openDigitClassifier,
  openInception,
  parseThreshold,
  PixelExtractor,
  readReference,
  type Reference,
  textReport,
  writeReference,
} from "./lib/eval/mod.ts";
