/**
 * What can be trained on: pictures of a data set, latents of an autoencoder, or points.
 *
 * @module
 */

import { AugmentedStream } from "../../data/stream/augmented.ts";
import type { Dataset, LabelledSet } from "../../data/dataset.ts";
import { checkNormalization } from "../../data/latents/describe.ts";
import {
  type DataFingerprint,
  fingerprint,
  type FingerprintEffort,
} from "../../data/fingerprint.ts";
import { describeClasses, labelNotes } from "../../data/folders/labels.ts";
import type { PictureCare } from "../../data/images/folder.ts";
import { LatentLoader, latentRule } from "../../data/latents/loader.ts";
import { isLatents, type LatentDataset } from "../../data/latents/dataset.ts";
import { Loader } from "../../data/stream/loader.ts";
import { openImagesOrLatents } from "../../data/open.ts";
import { defaultWorkers, type ItemStream, PrefetchingStream } from "../../data/stream/prefetch.ts";
import { FormatError, UsageError } from "../../base/errors.ts";
import type { DataSettings, DataShape } from "../config/config.ts";
import { EightGaussians } from "../points.ts";
import type { BatchSource } from "../../objectives/objective.ts";

/** A stream that may have threads. */
export interface ClosableSource extends BatchSource {
  /** Ends the threads. */
  close(): void;
}

/** Training data, which their owner closes. */
export interface TrainingData {
  /** What messages call them. */
  readonly name: string;
  /** What the network has to know of them. */
  readonly shape: DataShape;
  /** Height and width that pictures were padded to; 0 where they were not. */
  readonly padTo: number;
  /** The pictures; null for latents and points. */
  readonly dataset: Dataset | null;
  /** Names of the classes, where the data have some. */
  readonly classNames: readonly string[] | null;
  /** What tells them from other data; null for points, which are made. */
  readonly fingerprint: ((effort?: FingerprintEffort) => DataFingerprint) | null;
  /** What looks odd about them, in sentences. */
  readonly warnings: readonly string[];
  /** What they are, in a line: number, size, and the classes as they were understood. */
  readonly summary: string;
  /**
   * The endless stream of a seed, which its owner closes.
   *
   * @param workers threads that make its items beforehand; 0 for none, by default as many as are
   * worth it. They change no bit.
   */
  stream(seed: number, workers?: number): ClosableSource;
  /** Releases files. */
  close(): void;
}

/** How training data are opened. */
export interface DataOptions extends PictureCare {
  /** See {@link openTrainingData}. */
  readonly mayPad?: boolean;
}

/** Name of the points that need no files. */
export const POINTS = "toy2d";

/**
 * Opens the data of a configuration.
 *
 * @param options with `mayPad`, pictures are padded only where that is little: not where they are
 * larger already, or at most half of it
 * @throws {FormatError} when they cannot be read, or are no squares
 * @throws {UsageError} when they are not what the settings say
 */
export async function openTrainingData(
  settings: DataSettings,
  { mayPad = false, ...care }: DataOptions = {},
): Promise<TrainingData> {
  if (settings.source === POINTS || settings.source === `dataset:${POINTS}`) {
    return {
      name: POINTS,
      shape: { dimensions: EightGaussians.dimensions },
      padTo: settings.padTo,
      dataset: null,
      classNames: null,
      fingerprint: null,
      warnings: [],
      summary: `${POINTS}: points of the plane, made as they are needed`,
      stream: (seed) => closable(new EightGaussians(seed)),
      close: () => {},
    };
  }
  const dataset = await openImagesOrLatents(settings.source, {
    ...care,
    padTo: settings.padTo,
    padIf: mayPad ? (size) => size > settings.padTo / 2 && size <= settings.padTo : undefined,
  });
  try {
    return isLatents(dataset) ? latentData(dataset, settings) : pictureData(dataset, settings);
  } catch (error) {
    dataset.close();
    throw error;
  }
}

function pictureData(dataset: Dataset, settings: DataSettings): TrainingData {
  const [height, width, channels] = dataset.imageShape;
  if (settings.latents !== null) {
    throw new UsageError(
      `data.latents is set, but ${dataset.name} holds pictures of ${width} x ${height} pixels; ` +
        `give latents of an autoencoder with --data (imm dataset prepare --encoder makes them), or ` +
        `set data.latents=null`,
    );
  }
  if (height !== width) {
    throw new FormatError(
      `${dataset.name} has pictures of ${width} x ${height} pixels; expected squares. ` +
        `Set data.padTo=${Math.max(width, height)} or crop them first`,
    );
  }
  return {
    name: dataset.name,
    shape: { resolution: height, channels, classes: dataset.labelCount },
    padTo: height === settings.padTo ? settings.padTo : 0,
    dataset,
    classNames: dataset.labelNames,
    fingerprint: (effort) => fingerprint(dataset, effort),
    warnings: [...(dataset.notes ?? []), ...(settings.labels ? labelNotes(dataset) : [])],
    summary: summary(dataset, `pictures of ${width} x ${height} x ${channels}`),
    stream: (seed, workers) => {
      const loader = new Loader(dataset, { seed, mirror: settings.mirror });
      const { augment } = settings;
      return prefetched(augment ? new AugmentedStream(loader, augment, seed) : loader, workers);
    },
    close: () => dataset.close(),
  };
}

function latentData(dataset: LatentDataset, settings: DataSettings): TrainingData {
  const { name, storedShape: [height, width, found] } = dataset;
  if (settings.latents === null) {
    throw new UsageError(
      `${name} holds latents of ${width} x ${height} with ${found} channels, but the ` +
        `configuration is for pictures; say how latents are normalised, with data.latents={} as ` +
        `those of ImageNet in the public model`,
    );
  }
  if (settings.mirror && !dataset.hasMirrored) {
    throw new UsageError(
      `data.mirror is set, but ${name} has no latents of the mirrored pictures (as latents_flip ` +
        `or moments_flip); mirrored latents are not the same, so leave it out`,
    );
  }
  const rule = latentRule(dataset, settings.latents);
  const [resolution, , channels] = rule.shape;
  const odd = checkNormalization(dataset, rule.moments, rule.statistics);
  return {
    name,
    shape: { resolution, channels, classes: dataset.labelCount },
    padTo: 0,
    dataset: null,
    classNames: dataset.labelNames,
    fingerprint: (effort) => fingerprint(dataset, effort),
    warnings: [
      ...(dataset.notes ?? []),
      ...(settings.labels ? labelNotes(dataset) : []),
      ...(odd === null ? [] : [odd]),
    ],
    summary: summary(dataset, `latents of ${width} x ${height} x ${channels}`),
    stream: (seed, workers) =>
      prefetched(new LatentLoader(dataset, rule, { seed, mirror: settings.mirror }), workers),
    close: () => dataset.close(),
  };
}

/** `photos: 9 pictures of 32 x 32 x 3; 3 classes from folders: bird 2, cat 3, dog 4`. */
function summary(set: LabelledSet, what: string): string {
  return `${set.name}: ${set.length.toLocaleString("en")} ${what}; ${describeClasses(set)}`;
}

/** The stream with threads where there is something for them to do. */
function prefetched(
  stream: ItemStream,
  workers: number = defaultWorkers(stream),
): ClosableSource {
  if (workers === 0 || stream.itemBytes === 0) return closable(stream);
  return new PrefetchingStream(stream, workers);
}

function closable(source: BatchSource, close = () => {}): ClosableSource {
  return { batch: (position, count) => source.batch(position, count), close };
}
