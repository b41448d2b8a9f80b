/**
 * What a training objective is: everything of training and sampling that differs between Inductive
 * Moment Matching and the other ways to train a network that turns noise into images. An objective
 * says
 *
 * - which passes through the network a step makes, and which of them are trained;
 * - what the host draws for a step: the images, their times, dropped labels;
 * - the graph from the networks' outputs to the loss;
 * - which samplers belong to what was trained.
 *
 * It does not know how a network is built, what an optimizer does, or where images come from. The
 * rest of the program knows objectives by this interface alone; `registry.ts` lists them.
 *
 * @module
 */

import type { Key } from "../random/threefry.ts";
import type { TrainingPurpose } from "../random/keys.ts";
import type { Tensor } from "../tensor/mod.ts";
import type { SamplerStep } from "./sampler.ts";

/** A pass through the network in a training step. */
export interface PassSpec {
  /** The weights that it uses: those that are trained, or their average. */
  readonly weights: "current" | "ema";
  /** Whether gradients flow through it. With float16 such passes, and no others, store float16. */
  readonly trained: boolean;
}

/** Images as a step takes them. */
export interface TrainingBatch {
  /** [count, ...sample], channels last: images in [-1, 1], latents with the standard deviation sigma_d. */
  readonly images: Float32Array;
  /** Classes; read only where the network has classes. */
  readonly labels: Int32Array;
  /** [count, augmentDim]: how the images were augmented, where they were. */
  readonly augment?: Float32Array;
}

/** Where images come from: a `Loader`, or anything else whose batches follow from `position`. */
export interface BatchSource {
  /** The `count` samples that follow the first `position` of the run, perhaps after a while. */
  batch(position: number, count: number): TrainingBatch | Promise<TrainingBatch>;
}

/** What a step is drawn from. */
export interface DrawContext {
  /** The images. */
  readonly source: BatchSource;
  /** Images of the run before this step. */
  readonly position: number;
  /** Images of this step, a multiple of `groupSize`. */
  readonly batch: number;
  /** Steps of the run before this one. */
  readonly step: number;
  /** Steps of the whole run. */
  readonly steps: number;
  /** Whether the network has classes. */
  readonly hasLabels: boolean;
  /** The key of one use of randomness in this step. */
  readonly key: (purpose: TrainingPurpose) => Key;
}

/** What one pass is conditioned on, for some samples. */
export interface PassConditioning {
  /** c_noise(t), in float64. */
  readonly cNoiseT: ArrayLike<number>;
  /** c_noise of the second time: of s, or of t - s. */
  readonly cNoiseS: ArrayLike<number>;
  /** Class of each sample, null for none; left out where the network has no classes. */
  readonly labels?: readonly (number | null)[];
}

/** One step as the host has drawn it, for the whole batch. */
export interface StepDraw {
  /** [batch, ...sample], channels last. */
  readonly x: Float32Array;
  /** [batch, augmentDim] */
  readonly augment?: Float32Array;
  /** The time of each group, by which the log splits the loss. */
  readonly times: Float64Array;
  /** Values of the inputs that the graph declares, for the samples from `first` to before `end`. */
  values(first: number, end: number): Readonly<Record<string, Float32Array<ArrayBuffer>>>;
  /** What a pass is conditioned on, for the samples from `first` to before `end`. */
  conditioning(pass: string, first: number, end: number): PassConditioning;
}

/** What the graph of a step is made from. */
export interface StepGraph {
  /** Data, [b, ...sample]: a micro-batch. */
  readonly x: Tensor;
  /** N(0, sigma_d^2), of the shape of x. */
  readonly noise: Tensor;
  /** Samples over which the loss is averaged: of all micro-batches together. */
  readonly batch: number;
  /** Declares an input of the graph; {@link StepDraw.values} gives its values. */
  readonly input: (name: string, shape: readonly number[]) => Tensor;
  /** A pass through the network: from c_in x to the raw output F, both of the shape of x. */
  readonly network: (xIn: Tensor, pass: string) => Tensor;
}

/** The loss of a step. */
export interface StepLoss {
  /** What is minimized; the losses of all micro-batches add up to that of the batch. Shape []. */
  readonly loss: Tensor;
  /** What the log shows of each group, [b / groupSize]. */
  readonly lossGroup: Tensor;
  /** What tests may read back, by name. */
  readonly inspect: Readonly<Record<string, Tensor>>;
}

/** A sampler: the steps from noise to images through falling times, see `SamplerStep`. */
export type Sampler = (times: readonly number[]) => SamplerStep[];

/** A training objective with its settings. */
export interface Objective {
  /** Its settings, all of them. */
  readonly config: ObjectiveSettings;
  /** Samples that share what is drawn for them; batches are multiples of it. */
  readonly groupSize: number;
  /** The setting that `groupSize` is, where it is one. */
  readonly groupSetting?: string;
  /** The passes of a training step, by name. */
  readonly passes: Readonly<Record<string, PassSpec>>;
  /** Draws a step. What is drawn follows from the context alone. */
  draw(context: DrawContext): Promise<StepDraw>;
  /** Builds the loss. */
  build(graph: StepGraph): StepLoss;
  /** Samplers by name, the default first. */
  readonly samplers: Readonly<Record<string, Sampler>>;
}

/** The settings that every objective has. */
export interface ObjectiveSettings {
  /** Which objective it is. */
  readonly type: string;
  /** Path between data and noise. */
  readonly interpolant: "fm" | "vp_cosine";
  /** Standard deviation of the data, and of the noise. */
  readonly sigmaData: number;
  /** Largest time: sampling starts there. */
  readonly T: number;
  /** Smallest time: sampling ends there. */
  readonly eps: number;
}

/** A row of the registry: how settings become an objective. */
export interface ObjectiveKind<Config extends ObjectiveSettings> {
  /** As configurations name it. */
  readonly type: Config["type"];
  /** In words, for people. */
  readonly title: string;
  /** The section of a configuration that holds its settings. */
  readonly section: "imm" | "objective";
  /** Names of the settings within the section. */
  readonly settings: readonly string[];
  /** Names of its samplers, the default first. */
  readonly samplers: readonly string[];
  /**
   * Checks settings and fills in defaults.
   *
   * @param settings of its section
   * @param base settings of IMM in the same configuration; those that both have are shared
   * @throws {UsageError} naming the key
   */
  parse(
    settings: Readonly<Record<string, unknown>>,
    base: Readonly<Record<string, unknown>>,
  ): Config;
  /** The objective of checked settings. */
  create(config: Config): Objective;
}

/** Label of a sample that has none, while labels are an array of integers. */
export const NO_LABEL: number = -1;

/** Labels as networks take them. */
export function labelsOf(labels: Int32Array, first: number, end: number): (number | null)[] {
  return Array.from(labels.subarray(first, end), (label) => label === NO_LABEL ? null : label);
}
