/**
 * Evaluation of a set of samples: extract features, compute the metrics, say what was compared.
 *
 * @module
 */

import { ImmError, UsageError } from "../errors.ts";
import { didYouMean } from "../suggest.ts";
import { VERSION } from "../version.ts";
import type { FeatureExtractor } from "./extractor.ts";
import { frechetDistance } from "./frechet.ts";
import type { ImageSource } from "./images.ts";
import { inceptionScore } from "./inception_score.ts";
import { kernelDistance } from "./kernel_distance.ts";
import { manifoldMetrics, nearestLabelAccuracy } from "./manifold.ts";
import { RandomState } from "./random_state.ts";
import { checkReference, type Provenance, type Reference } from "./references.ts";
import { type Features, FeatureStatistics } from "./statistics.ts";

/** What a metric needs and how its values read. */
interface MetricDefinition {
  readonly title: string;
  /** The values it reports, and in which direction they are good (null: it is a spread). */
  readonly values: Readonly<Record<string, "lower" | "higher" | null>>;
  /** `statistics`: any reference; `images`: the reference's images, not only their statistics. */
  readonly needs: readonly ("statistics" | "images" | "logits" | "labels")[];
}

/** The metrics by name; their values are the keys of {@link Evaluation.values}. */
export const METRICS = {
  fd: { title: "Fréchet distance", values: { fd: "lower" }, needs: ["statistics"] },
  kd: { title: "Kernel distance", values: { kd: "lower", kd_std: null }, needs: ["images"] },
  is: { title: "Inception Score", values: { is: "higher", is_std: null }, needs: ["logits"] },
  pr: {
    title: "Precision and recall, k = 3",
    values: { precision: "higher", recall: "higher" },
    needs: ["images"],
  },
  dc: {
    title: "Density and coverage, k = 5",
    values: { density: "higher", coverage: "higher" },
    needs: ["images"],
  },
  nn: {
    title: "Label of the nearest reference image is the condition",
    values: { nn_accuracy: "higher" },
    needs: ["images", "labels"],
  },
  class: {
    title: "Predicted class is the condition",
    values: { class_accuracy: "higher" },
    needs: ["logits", "labels"],
  },
} as const satisfies Record<string, MetricDefinition>;

/** Name of a metric. */
export type Metric = keyof typeof METRICS;

/** Neighbour metrics cost time quadratic in the images; ADM and the papers use as many. */
const MANIFOLD_IMAGES = 10_000;

/** Fewer images make halves that the metrics refuse: ten for the parts of an Inception Score. */
const MIN_BASELINE = 20;

/** How far the work is: images of one set, then of the other, then metrics. */
export interface EvaluationProgress {
  /** What is being worked on. */
  readonly part: "samples" | "reference" | "metrics";
  /** Images or metrics so far. */
  readonly done: number;
  /** All of them, where their number is known before. */
  readonly total?: number;
}

/** What to evaluate. */
export interface EvaluateOptions {
  /** The images to judge. */
  readonly samples: ImageSource;
  /** Real images, or statistics of them. Not needed by metrics of the samples alone. */
  readonly reference?: ImageSource | Reference;
  /** What turns images into the vectors that are compared. */
  readonly extractor: FeatureExtractor;
  /** Default: `fd`. */
  readonly metrics?: readonly Metric[];
  /**
   * Also compare one random half of the reference images with the other: what a perfect generator
   * of as many images would score. Needs reference images, and keeps their features in memory.
   */
  readonly baseline?: boolean;
  /** Seed of random subsets (kernel distance, baseline). Default 2020, as in torch-fidelity. */
  readonly seed?: number;
  /** Compare with statistics of another extractor of the same dimension. */
  readonly force?: boolean;
  /** Is given the statistics of reference images, to be written with `writeReference`. */
  readonly onReference?: (reference: MadeReference) => void;
  /** Is told after every batch and every metric. */
  readonly progress?: (progress: EvaluationProgress) => void;
  /** Ends the evaluation between two batches. */
  readonly signal?: AbortSignal;
}

/** The outcome, with all that is needed to compute it again. Plain data: JSON as it is. */
export interface Evaluation {
  /** Version of this record. */
  readonly version: 1;
  /** Metric values by name, in the order of {@link METRICS}. */
  readonly values: Record<string, number>;
  /** The same of one half of the reference images against the other, where that was asked for. */
  readonly baseline: Record<string, number> | null;
  /** What was judged. */
  readonly samples: { readonly name: string; readonly count: number };
  /** What it was compared with; null where the metrics are of the samples alone. */
  readonly reference: {
    readonly name: string;
    readonly count: number | null;
    readonly provenance: Provenance | null;
  } | null;
  /** Name, SHA-256 and length of the vectors. */
  readonly extractor: {
    readonly id: string;
    readonly hash: string;
    readonly dimension: number;
  };
  /** Of random subsets. */
  readonly seed: number;
  /** Sentences that whoever quotes the values must know. */
  readonly warnings: readonly string[];
  /** Wall time in seconds. */
  readonly seconds: { readonly features: number; readonly metrics: number };
  /** The programs that computed it. */
  readonly versions: { readonly imm: string; readonly deno: string };
}

/**
 * Evaluates samples.
 *
 * @throws {UsageError} when a metric needs what there is not: a reference, its images, labels,
 * or an extractor that classifies; before any features are extracted where that is possible
 */
export async function evaluate(options: EvaluateOptions): Promise<Evaluation> {
  const { samples, reference, extractor, force, seed = 2020 } = options;
  const metrics = checkedMetrics(options.metrics ?? ["fd"]);
  checkNeeds(metrics, options);
  const warnings = isReference(reference) ? checkReference(reference, extractor, { force }) : [];

  const start = performance.now();
  const keep = metrics.some((metric) => needs(metric, "images"));
  const fake = await collect("samples", samples, keep, options);
  const real = reference && !isReference(reference)
    ? await collect("reference", reference, keep || options.baseline === true, options)
    : null;
  if (real) options.onReference?.(madeReference(real, extractor));
  const extracted = performance.now();
  const halves = options.baseline && real && real.statistics.count >= MIN_BASELINE
    ? split(real, seed)
    : null;
  for (const set of [fake, ...(real ? [real] : []), ...(halves ? [halves[0]] : [])]) {
    if (metrics.includes("fd") && set.statistics.count <= extractor.dimension) {
      warnings.push(
        `${set.name} has ${set.statistics.count} images for ${extractor.dimension} features; the ` +
          `Fréchet distance of so few is too large and cannot be compared with that of more.`,
      );
    }
  }
  const statistics = isReference(reference) ? reference : real?.statistics;
  const total = metrics.length * (halves ? 2 : 1);
  let done = 0;
  const computeAll = (sets: Parameters<typeof compute>[1]): Record<string, number> =>
    Object.assign(
      {},
      ...metrics.map((metric) => {
        const found = compute(metric, sets);
        options.progress?.({ part: "metrics", done: ++done, total });
        return found;
      }),
    );
  const values = computeAll({ fake, real, statistics, seed });
  const baseline = halves &&
    computeAll({ fake: halves[0], real: halves[1], statistics: halves[1].statistics, seed });
  const finished = performance.now();

  const { id, hash, dimension } = extractor;
  return {
    version: 1,
    values,
    baseline,
    samples: { name: samples.name, count: fake.statistics.count },
    reference: reference && statistics
      ? {
        name: reference.name,
        count: statistics.count ?? null,
        provenance: isReference(reference) ? reference.provenance ?? null : null,
      }
      : null,
    extractor: { id, hash, dimension },
    seed,
    warnings,
    seconds: { features: (extracted - start) / 1000, metrics: (finished - extracted) / 1000 },
    versions: { imm: VERSION, deno: Deno.version.deno },
  };
}

/** Statistics that were computed here, so that it is known of what. */
export type MadeReference = Reference & { readonly provenance: Provenance };

/** Statistics of a set of real images, to be written with `writeReference`. */
export async function computeReference(
  images: ImageSource,
  extractor: FeatureExtractor,
  options: Pick<EvaluateOptions, "progress" | "signal"> = {},
): Promise<MadeReference> {
  const set = await collect("reference", images, false, { ...options, extractor });
  return madeReference(set, extractor);
}

function madeReference(
  { name, statistics }: Collected,
  { id, hash }: FeatureExtractor,
): MadeReference {
  const { count } = statistics;
  return {
    ...statistics.moments(),
    name,
    provenance: { version: 1, extractor: { id, hash }, count, images: name },
  };
}

/** A set of images after extraction. */
interface Collected {
  readonly name: string;
  readonly statistics: FeatureStatistics;
  /** All vectors, when a metric needs them. */
  readonly features: Features | null;
  readonly logits: { readonly data: Float32Array; readonly classes: number } | null;
  readonly labels: Int32Array | null;
}

async function collect(
  part: EvaluationProgress["part"],
  source: ImageSource,
  keep: boolean,
  { extractor, progress, signal }: Pick<EvaluateOptions, "extractor" | "progress" | "signal">,
): Promise<Collected> {
  const statistics = new FeatureStatistics(extractor.dimension);
  const features: Float32Array[] = [];
  const logits: Float32Array[] = [];
  const labels: Int32Array[] = [];
  for await (const batch of source.batches(extractor.batch)) {
    signal?.throwIfAborted();
    const extracted = await extractor.extract(batch);
    statistics.add(extracted.features);
    if (keep) features.push(extracted.features);
    if (extracted.logits) logits.push(extracted.logits);
    if (batch.labels) labels.push(batch.labels);
    progress?.({ part, done: statistics.count, total: source.count });
  }
  const rows = statistics.count;
  if (source.count !== undefined && rows !== source.count) {
    throw new ImmError(
      `${source.name} ended after ${rows} of ${source.count} images; check where they come from.`,
    );
  }
  const { dimension, classes } = extractor;
  const allLabels = Int32Array.from(labels.flatMap((part) => [...part]));
  return {
    name: source.name,
    statistics,
    features: keep ? { rows, dimension, data: joined(features) } : null,
    logits: classes ? { data: joined(logits), classes } : null,
    labels: allLabels.length === rows ? allLabels : null,
  };
}

/** Two random halves of a set; the first has the odd one. */
function split(set: Collected, seed: number): [Collected, Collected] {
  const rows = set.statistics.count;
  const order = new RandomState(seed).permutation(rows);
  const middle = Math.ceil(rows / 2);
  return [order.subarray(0, middle), order.subarray(middle)].map((indices): Collected => {
    const { dimension, data } = set.features!;
    const chosen = gather(data, dimension, indices);
    const statistics = new FeatureStatistics(dimension);
    statistics.add(chosen);
    return {
      name: `half of ${set.name}`,
      statistics,
      features: { rows: indices.length, dimension, data: chosen },
      logits: set.logits && {
        data: gather(set.logits.data, set.logits.classes, indices),
        classes: set.logits.classes,
      },
      labels: set.labels && Int32Array.from(indices, (i) => set.labels![i]),
    };
  }) as [Collected, Collected];
}

/** The given rows of a row-major matrix. */
function gather(data: Float32Array, columns: number, rows: Uint32Array): Float32Array {
  const result = new Float32Array(rows.length * columns);
  rows.forEach((row, i) =>
    result.set(data.subarray(row * columns, (row + 1) * columns), i * columns)
  );
  return result;
}

function compute(metric: Metric, { fake, real, statistics, seed }: {
  fake: Collected;
  real: Collected | null;
  statistics?: FeatureStatistics | Reference;
  seed: number;
}): Record<string, number> {
  const features = (set: Collected | null): Features => present(set?.features, metric, "images");
  switch (metric) {
    case "fd":
      return { fd: frechetDistance(fake.statistics, present(statistics, metric, "statistics")) };
    case "kd": {
      const { mean, std } = kernelDistance(features(fake), features(real), { seed });
      return { kd: mean, kd_std: std };
    }
    case "is": {
      const { data, classes } = present(fake.logits, metric, "logits");
      const { mean, std } = inceptionScore(data, classes);
      return { is: mean, is_std: std };
    }
    case "pr": {
      const [a, b] = [first(features(real)), first(features(fake))];
      const { precision, recall } = manifoldMetrics(a, b, 3);
      return { precision, recall };
    }
    case "dc": {
      const [a, b] = [first(features(real)), first(features(fake))];
      const { density, coverage } = manifoldMetrics(a, b, 5);
      return { density, coverage };
    }
    case "nn": {
      const labels = [fake, real].map((set) => present(set?.labels, metric, "labels"));
      const [a, b] = [features(fake), features(real)];
      return { nn_accuracy: nearestLabelAccuracy(a, labels[0], b, labels[1]) };
    }
    case "class": {
      const { data, classes } = present(fake.logits, metric, "logits");
      const labels = present(fake.labels, metric, "labels");
      const hits = labels.reduce((sum, label, i) => {
        const row = data.subarray(i * classes, (i + 1) * classes);
        return sum + Number(row.indexOf(Math.max(...row)) === label);
      }, 0);
      return { class_accuracy: hits / labels.length };
    }
  }
}

/**
 * Metrics without doubles, in the order of the table.
 *
 * @throws {UsageError} when there is none, or one that is not in the table
 */
export function checkedMetrics(metrics: readonly string[]): Metric[] {
  const unknown = metrics.find((metric) => !Object.hasOwn(METRICS, metric));
  if (unknown !== undefined || metrics.length === 0) {
    const names = Object.keys(METRICS);
    const hint = didYouMean(unknown ?? "", names) || ".";
    throw new UsageError(`Metrics are ${names.join(", ")}; found ${unknown ?? "none"}${hint}`);
  }
  return (Object.keys(METRICS) as Metric[]).filter((metric) => metrics.includes(metric));
}

function needs(metric: Metric, need: MetricDefinition["needs"][number]): boolean {
  return (METRICS[metric] as MetricDefinition).needs.includes(need);
}

/** Fails early: extracting features can take hours. */
function checkNeeds(metrics: Metric[], { reference, extractor }: EvaluateOptions): void {
  for (const metric of metrics) {
    if (needs(metric, "statistics")) present(reference, metric, "statistics");
    if (needs(metric, "images")) {
      present(isReference(reference) ? null : reference, metric, "images");
    }
    if (needs(metric, "logits")) present(extractor.classes, metric, "logits");
  }
}

const MISSING = {
  statistics: "a reference; give reference statistics or images",
  images: "reference images; statistics alone are not enough",
  logits: "an extractor that classifies; use one with logits",
  labels: "a label for every image; use labelled images and class-conditional samples",
} as const;

function present<T>(value: T | null | undefined, metric: Metric, what: keyof typeof MISSING): T {
  if (value === null || value === undefined) {
    throw new UsageError(`The metric ${metric} needs ${MISSING[what]}.`);
  }
  return value;
}

function isReference(reference: ImageSource | Reference | undefined): reference is Reference {
  return reference !== undefined && "covariance" in reference;
}

function first({ rows, dimension, data }: Features): Features {
  const count = Math.min(rows, MANIFOLD_IMAGES);
  return { rows: count, dimension, data: data.subarray(0, count * dimension) };
}

function joined(parts: Float32Array[]): Float32Array {
  const result = new Float32Array(parts.reduce((sum, part) => sum + part.length, 0));
  let offset = 0;
  for (const part of parts) {
    result.set(part, offset);
    offset += part.length;
  }
  return result;
}
