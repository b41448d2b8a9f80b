/**
 * What a feature extractor is: images in, one vector for each out.
 *
 * @module
 */

import { UsageError } from "../../base/errors.ts";
import type { ImageBatch } from "../images.ts";

/** Vectors of a batch of images. */
export interface Extracted {
  /** Row-major `[count, dimension]`. */
  readonly features: Float32Array;
  /** Row-major `[count, classes]`, before the softmax, where the extractor classifies. */
  readonly logits?: Float32Array;
  /** Features of other layers, row-major, by name: those that were asked for. */
  readonly layers?: Readonly<Record<string, Float32Array>>;
}

/** What a classifier says of some images. */
export interface Logits {
  /** Before the softmax, row-major `[rows, classes]`. */
  readonly data: Float32Array;
  /** How many there are. */
  readonly classes: number;
  /** Names of the classes, where the classifier gives some. */
  readonly names?: readonly string[];
}

/** Turns images into feature vectors. Statistics of different extractors are not comparable. */
export interface FeatureExtractor extends AsyncDisposable {
  /** Short name, for example `pixels` or `inception-2015-tf1`. */
  readonly id: string;
  /** SHA-256, in hex, of what determines the features: weights and preprocessing. */
  readonly hash: string;
  /** The same for features and logits together, where features do not depend on all of it. */
  readonly cacheHash?: string;
  /** Length of a feature vector. */
  readonly dimension: number;
  /** Number of classes of the logits; undefined where there are none. */
  readonly classes?: number;
  /** Names of these classes, where they have some. */
  readonly classNames?: readonly string[];
  /** Lengths of the features of other layers that it can give, by name. */
  readonly layers?: Readonly<Record<string, number>>;
  /**
   * Those of them that cost nothing beside the features: a cache keeps them, too, so that whoever
   * asks for them later finds them.
   */
  readonly keptLayers?: readonly string[];
  /** What else whoever quotes a score should know: pipeline, hash of the weights, runtime. */
  readonly details?: Readonly<Record<string, string | number>>;
  /** How many images it likes to be given at once. */
  readonly batch: number;
  /**
   * The vectors of some images, in their order.
   *
   * @param layers names of the other layers that are wanted; default none
   * @throws {UsageError} when it cannot take images of this size
   */
  extract(images: ImageBatch, layers?: readonly string[]): Promise<Extracted>;
  /**
   * The same of images that differ in size, each a batch of its own. Without it they are given to
   * `extract` by their sizes.
   */
  extractMixed?(images: readonly ImageBatch[], layers?: readonly string[]): Promise<Extracted>;
  /**
   * An image brought to the size that the network takes, to be given to `extractMixed` in its place:
   * large images need not wait in memory for the others of their batch.
   */
  prepare?(image: ImageBatch): ImageBatch;
}

/** @throws {UsageError} when an extractor is asked for vectors that it cannot give */
export function checkLayers(
  { id, layers = {} }: FeatureExtractor,
  wanted: readonly string[],
): void {
  const unknown = wanted.find((layer) => !Object.hasOwn(layers, layer));
  if (unknown === undefined) return;
  throw new UsageError(
    `The extractor ${id} has no output "${unknown}"; it has ${
      Object.keys(layers).join(", ") || "no others than its features"
    }.`,
  );
}
