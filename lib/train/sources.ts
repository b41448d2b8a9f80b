/**
 * What can be trained on: pictures of a data set, or points.
 *
 * @module
 */

import { augment, type AugmentConfig } from "../augment/mod.ts";
import type { Dataset } from "../data/dataset.ts";
import { Loader } from "../data/loader.ts";
import { openDataset } from "../data/open.ts";
import { FormatError } from "../errors.ts";
import type { DataSettings, DataShape } from "./config.ts";
import { EightGaussians } from "./points.ts";
import type { BatchSource } from "./trainer.ts";

/** Training data, which their owner closes. */
export interface TrainingData {
  /** What messages call them. */
  readonly name: string;
  /** What the network has to know of them. */
  readonly shape: DataShape;
  /** The pictures; null for points. */
  readonly dataset: Dataset | null;
  /** The endless stream of a seed. */
  stream(seed: number): BatchSource;
  /** Releases files. */
  close(): void;
}

/** A stream whose images are changed at random; image n is the same however it is asked for. */
export class AugmentedSource implements BatchSource {
  /** Changes the images of another stream, all of one shape. */
  constructor(
    private readonly source: BatchSource,
    private readonly config: AugmentConfig,
    private readonly seed: number,
    private readonly shape: readonly [height: number, width: number, channels: number],
  ) {}

  /** The same images and labels, changed, and what the network is told of it. */
  batch(position: number, count: number): ReturnType<BatchSource["batch"]> {
    const { images, labels } = this.source.batch(position, count);
    const changed = augment(this.config, this.seed, images, this.shape, position);
    return { images: changed.images, labels, augment: changed.labels };
  }
}

/** Name of the points that need no files. */
const POINTS = "toy2d";

/**
 * Opens the data of a configuration.
 *
 * @throws {FormatError} when they cannot be read, or are no squares
 */
export async function openTrainingData(settings: DataSettings): Promise<TrainingData> {
  if (settings.source === POINTS) {
    return {
      name: POINTS,
      shape: { dimensions: EightGaussians.dimensions },
      dataset: null,
      stream: (seed) => new EightGaussians(seed),
      close: () => {},
    };
  }
  const dataset = await openDataset(settings.source, { padTo: settings.padTo });
  const [height, width, channels] = dataset.imageShape;
  if (height !== width) {
    dataset.close();
    throw new FormatError(
      `${dataset.name} has pictures of ${width} x ${height} pixels; expected squares. ` +
        `Set data.padTo=${Math.max(width, height)} or crop them first`,
    );
  }
  return {
    name: dataset.name,
    shape: { resolution: height, channels, classes: dataset.labelCount },
    dataset,
    stream: (seed) => {
      const loader = new Loader(dataset, { seed, mirror: settings.mirror });
      return settings.augment
        ? new AugmentedSource(loader, settings.augment, seed, dataset.imageShape)
        : loader;
    },
    close: () => dataset.close(),
  };
}
