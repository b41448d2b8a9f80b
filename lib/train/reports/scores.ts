/**
 * Scores while training: samples of the averaged weights against the training images, so that the
 * best weights can be kept.
 *
 * @module
 */

import type { Dataset } from "../../data/dataset.ts";
import type { Device } from "../../device/device.ts";
import { computeReference, evaluate } from "../../eval/evaluate.ts";
import type { FeatureExtractor } from "../../eval/extractors/extractor.ts";
import { datasetImages, type ImageSource, memoryImages } from "../../eval/images.ts";
import { openExtractor } from "../../eval/extractors/open.ts";
import type { MadeReference } from "../../eval/references/reference.ts";
import { objectiveOf } from "../../objectives/registry.ts";
import { uniformSteps } from "../../sample/schedule.ts";
import { Generator } from "../../sample/generator.ts";
import type { ScoreSettings, TrainConfig } from "../config/config.ts";
import type { Learner } from "../step/learner.ts";

/** Values by name: `fd`, `kd`, `kd_std`. */
export type Scores = Readonly<Record<string, number>>;

/** Scores a run again and again; what it needs is made the first time and kept. */
export class Scorer {
  #extractor: FeatureExtractor | null = null;
  #reference: MadeReference | null = null;
  #generator: Generator | null = null;

  /** Scores against `dataset`, which must stay open. */
  constructor(
    private readonly device: Device,
    private readonly config: TrainConfig,
    private readonly dataset: Dataset,
  ) {}

  /** Scores the averaged weights as they are now. */
  readonly score = async (learner: Learner, signal?: AbortSignal): Promise<Scores> => {
    const { scores, grid } = this.config.report;
    const images = datasetImages(this.dataset);
    const [height, width, channels] = this.dataset.imageShape;
    const extractor = this.#extractor ??= await openExtractor(scores.extractor, {
      setting: "report.scores.extractor",
      size: { height, width, channels },
      weights: scores.weights ?? undefined,
      // A run is compared with itself, so a file that was named may hold any weights.
      allowOtherWeights: scores.weights !== null,
    });
    const onlyFd = scores.metrics.every((metric) => metric === "fd");
    if (onlyFd) this.#reference ??= await computeReference(images, extractor);
    this.#generator ??= await Generator.create(this.device, {
      network: learner.network,
      objective: objectiveOf(this.config),
      ...learner.averaged,
    }, { batch: Math.min(grid, scores.samples) });
    const { values } = await evaluate({
      samples: await this.#samples(this.#generator, scores, signal),
      reference: this.#reference ?? images,
      extractor,
      metrics: scores.metrics,
      signal,
    });
    return values;
  };

  /** Gives back what it holds. */
  async free(): Promise<void> {
    this.#generator?.free();
    await this.#extractor?.[Symbol.asyncDispose]();
    this.#generator = this.#extractor = null;
  }

  /** The same seeds every time, and classes in turn. */
  async #samples(
    generator: Generator,
    scores: ScoreSettings,
    signal?: AbortSignal,
  ): Promise<ImageSource> {
    const classes = generator.network.conditioning.labels?.classes ?? 0;
    const seeds = Array.from({ length: scores.samples }, (_, i) => i);
    const labels = classes > 0 ? seeds.map((i) => i % classes) : undefined;
    const data = await generator.generate({
      seeds,
      labels,
      steps: uniformSteps(generator.objective, scores.steps),
      signal,
    });
    const [height, width, channels] = generator.network.sampleShape;
    const images = memoryImages("samples", {
      count: seeds.length,
      height,
      width,
      channels,
      data,
      labels: labels && Int32Array.from(labels),
    });
    // The network's classes are those of its data.
    const names = classes === this.dataset.labelCount ? this.dataset.labelNames : null;
    return labels ? { ...images, classes: { count: classes, names } } : images;
  }
}
