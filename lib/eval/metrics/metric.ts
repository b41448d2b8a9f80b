/**
 * What a metric is: the sets that it compares, what it needs of them, and how it is computed.
 *
 * @module
 */

import { UsageError } from "../../base/errors.ts";
import type { ImageClasses, NamedClasses } from "../classes.ts";
import { presentClasses } from "../classes.ts";
import type { Logits } from "../extractors/extractor.ts";
import type { StatisticsPool } from "../statistics/pool.ts";
import type { Features, FeatureStatistics, Moments } from "../statistics/statistics.ts";

/** A metric: a row of {@link METRICS}. */
export interface MetricDefinition {
  /** What it is, for reports. */
  readonly title: string;
  /** The values it reports, and in which direction they are good (null: it is a spread). */
  readonly values: Readonly<Record<string, "lower" | "higher" | null>>;
  /** What must be there. Checked before any features are extracted. */
  readonly needs: readonly MetricNeed[];
  /** The other layer of the extractor whose features it compares. */
  readonly layer?: string;
  /** How many images it needs, of the samples alone or of each side. */
  readonly fewest: { readonly count: number; readonly of: "samples" | "sides" };
  /** The setting that says how many images it looks at, at a time or in all. */
  readonly setting?: "subsets" | "manifoldImages";
  /**
   * About how many pairs of images it compares, which its time is proportional to. Metrics that
   * compare the same pairs, once, have the same function.
   */
  readonly pairs?: (fakes: number, reals: number, settings: MetricSettings) => number;
  /** Its values by name. One may be left out where there is no such number. */
  readonly compute: (inputs: MetricContext) => MetricValues | Promise<MetricValues>;
}

/**
 * What a metric needs. `statistics`: any reference; `images`: the reference's images, not only their
 * statistics; `samples`: all vectors of the samples; `logits` and `labels`: of each image;
 * `inception`: the features that the metric has its name from.
 */
export type MetricNeed =
  | "statistics"
  | "images"
  | "samples"
  | "logits"
  | "labels"
  | "inception";

/** Values of a metric by name. */
export type MetricValues = Readonly<Record<string, number | RoundedValue>>;

/** A value that is computed with rounding. */
export interface RoundedValue {
  /** The value. */
  readonly value: number;
  /** How much of it may be rounding: values that differ by less are equal. */
  readonly rounding: number;
}

/** One of the two sets of a comparison, as far as it is known. */
export interface MetricSet {
  /** What reports call it. */
  readonly name: string;
  /** Mean and covariance. */
  readonly statistics: FeatureStatistics | Moments;
  /** The same of other layers, by name. */
  readonly layers: Readonly<Record<string, FeatureStatistics | Moments>>;
  /** All vectors, where they were kept. */
  readonly features: Features | null;
  /** Of an extractor that classifies. */
  readonly logits: Logits | null;
  /** Class of each image, where all have one. */
  readonly labels: Int32Array | null;
  /** What the labels are of. Default: classes without names. */
  readonly classes?: ImageClasses;
  /** Numbers of the images that were left out because they cannot be read. */
  readonly skipped?: readonly number[];
}

/** How metrics are computed; each says which setting it follows. */
export interface MetricSettings {
  /** Images of each side, the first ones, that `pr` and `dc` look at. Default: all. */
  readonly manifoldImages?: number;
  /** Number and size of the subsets of `kid` and `kd`. Default: as of kernelDistance. */
  readonly subsets?: { readonly subsets?: number; readonly size?: number };
}

/** What metrics are computed of, and how. */
export interface MetricInputs extends MetricSettings {
  /** What is judged. */
  readonly fake: MetricSet;
  /** What it is compared with. */
  readonly real: MetricSet | null;
  /** Of random subsets. */
  readonly seed: number;
  /** Threads. Default: one pool for each metric. */
  readonly pool?: StatisticsPool;
}

/** What one metric is given. */
export interface MetricContext extends Omit<MetricInputs, "fake" | "real"> {
  /** What is judged. */
  readonly fake: KnownSet;
  /** What it is compared with. */
  readonly real: KnownSet;
  /** All metrics that are computed. */
  readonly asked: readonly string[];
  /** The result of some work that other metrics may need, too: it is done once. */
  once<T>(work: (inputs: MetricContext) => Promise<T>): Promise<T>;
}

/** A set whose parts are there, or the metric fails with a sentence about what it needs. */
export class KnownSet {
  readonly #set: MetricSet | null;
  readonly #metric: string;
  readonly #vectors: "samples" | "images";

  /** Its parts for a metric. @param vectors what to say that the metric needs where there are no vectors */
  constructor(set: MetricSet | null, metric: string, vectors: "samples" | "images") {
    [this.#set, this.#metric, this.#vectors] = [set, metric, vectors];
  }

  /** Mean and covariance. */
  get statistics(): FeatureStatistics | Moments {
    return present(this.#set?.statistics, this.#metric, "statistics");
  }

  /** The same of another layer. */
  layer(name: string): FeatureStatistics | Moments {
    return present(this.#set?.layers[name], this.#metric, "layers");
  }

  /** All vectors. */
  get features(): Features {
    return present(this.#set?.features, this.#metric, this.#vectors);
  }

  /** What the classifier says. */
  get logits(): Logits {
    return present(this.#set?.logits, this.#metric, "logits");
  }

  /** Class of each image. */
  get labels(): Int32Array {
    return present(this.#set?.labels, this.#metric, "labels");
  }

  /** The classes: what is known of them, or what the labels say. */
  get classes(): NamedClasses {
    const present = presentClasses(this.labels);
    const { count = (present.at(-1) ?? -1) + 1, names = null } = this.#set?.classes ?? {};
    return { set: this.#set!.name, classes: { count, names, present } };
  }
}

const MISSING = {
  statistics: "a reference; give reference statistics or images",
  samples: "the images of the samples; statistics alone are not enough",
  images: "reference images; statistics alone are not enough",
  logits: "an extractor that classifies; use one with logits, or weights of Inception with the " +
    "classifier's fc.weight",
  layers: "features of another layer on both sides; use an extractor and statistics that have them",
  inception:
    "Inception's features; use --extractor inception, or the metrics fd and kd with others",
  labels: "a label for every image; use labelled images and class-conditional samples",
} as const satisfies Record<MetricNeed | "layers", string>;

/** @throws {UsageError} with a sentence about what a metric needs when it is not there */
export function present<T>(
  value: T | null | undefined,
  metric: string,
  what: keyof typeof MISSING,
): T {
  if (value === null || value === undefined) {
    throw new UsageError(`The metric ${metric} needs ${MISSING[what]}.`);
  }
  return value;
}
