/**
 * Evaluation of a set of samples: extract features, compute the metrics, say what was compared.
 *
 * @module
 */

import { UsageError } from "../base/errors.ts";
import { VERSION } from "../base/version.ts";
import { matchClasses, type NamedClasses } from "./classes.ts";
import { collect, type Collected, type EvaluationProgress } from "./collect.ts";
import type { FeatureExtractor } from "./extractors/extractor.ts";
import type { FeatureCache } from "./feature_cache.ts";
import type { ImageSource } from "./images.ts";
import {
  checkedMetrics,
  classesOfClassifier,
  computeMetrics,
  fewestImages,
  isInception,
  type Metric,
  type MetricDefinition,
  metricPairs,
  METRICS,
  type MetricSet,
  needs,
  present,
} from "./metrics/metric.ts";
import { RandomState } from "../random/numpy.ts";
import {
  checkReference,
  type MadeReference,
  type Provenance,
  type Reference,
  referenceOf,
} from "./references/reference.ts";
import { FeatureStatistics } from "./statistics/statistics.ts";
import { StatisticsPool } from "./statistics/pool.ts";

/** Two on each side, which a covariance needs. */
const MIN_FLOOR = 4;

/** Samples that papers compare, most of them. */
const PAPERS = 50_000;

/** What to evaluate. */
export interface EvaluateOptions {
  /** The images to judge, or statistics of them. */
  readonly samples: ImageSource | Reference;
  /** Real images, or statistics of them. Not needed by metrics of the samples alone. */
  readonly reference?: ImageSource | Reference;
  /**
   * Real images beside a reference that is statistics, for the metrics that compare images: ADM's
   * reference files hold statistics of all images and 10,000 of them.
   */
  readonly referenceImages?: ImageSource;
  /** What turns images into the vectors that are compared. */
  readonly extractor: FeatureExtractor;
  /** Default: `fd`. */
  readonly metrics?: readonly Metric[];
  /**
   * Also compare as many real images as there are samples, chosen at random and half of the
   * reference at most, with the other real images: what a perfect generator would score at this
   * number. Needs reference images, and keeps their features in memory.
   */
  readonly floor?: boolean;
  /** Seed of random subsets (kernel distance, floor). Default 2020, as in torch-fidelity. */
  readonly seed?: number;
  /** Number and size of the subsets of `kid` and `kd`. Default: 100 of 1000, or of all. */
  readonly subsets?: { readonly subsets?: number; readonly size?: number };
  /** Compute the other metrics when one cannot be computed. Default: fail. */
  readonly keepGoing?: boolean;
  /**
   * Images of each side, the first ones, that the metrics `pr` and `dc` look at, whose cost is
   * quadratic. Default: all.
   */
  readonly manifoldImages?: number;
  /** Threads of the metrics; does not change them. Default: the processors. */
  readonly threads?: number;
  /** Compare with statistics of another extractor of the same dimension. */
  readonly force?: boolean;
  /** Where features are looked up before they are computed, and kept. */
  readonly cache?: FeatureCache;
  /** Is given the statistics of reference images, to be written with `writeReference`. */
  readonly onReference?: (reference: MadeReference) => void;
  /** Is given all that was collected of both sets, their vectors among it. */
  readonly onCollected?: (samples: MetricSet, reference: MetricSet | null) => void;
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
  /** Of values that are computed with rounding, differences that mean nothing, by name. */
  readonly rounding: Record<string, number>;
  /** Why a metric could not be computed, by its name. */
  readonly failed: Record<string, string>;
  /**
   * The values of some real images against the others, where that was asked for: as many as there
   * are samples, half of them at most.
   */
  readonly floor: Record<string, number> | null;
  /** How many real images were compared with how many others. */
  readonly floorCounts: readonly [number, number] | null;
  /** What was judged. */
  readonly samples: {
    readonly name: string;
    readonly count: number | null;
    /** Images that were left out because they cannot be read. */
    readonly skipped: number;
  };
  /** What it was compared with; null where the metrics are of the samples alone. */
  readonly reference: {
    readonly name: string;
    readonly count: number | null;
    readonly skipped: number;
    readonly provenance: Provenance | null;
  } | null;
  /** Name, SHA-256 and length of the vectors, and whatever else the extractor tells. */
  readonly extractor: {
    readonly id: string;
    readonly hash: string;
    readonly dimension: number;
    readonly details?: Readonly<Record<string, string | number>>;
  };
  /** Of random subsets. */
  readonly seed: number;
  /** Sentences that whoever quotes the values must know. */
  readonly warnings: readonly string[];
  /** Wall time in seconds. */
  readonly seconds: { readonly features: number; readonly metrics: number };
  /** Images whose features were in the cache already. */
  readonly cached: number;
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
  const {
    samples,
    reference,
    referenceImages,
    extractor,
    cache,
    force,
    seed = 2020,
    manifoldImages,
  } = options;
  const metrics = checkedMetrics(options.metrics ?? ["fd"]);
  checkNeeds(metrics, options);
  const warnings = [samples, reference].flatMap((side) =>
    isReference(side) ? checkReference(side, extractor, { force }) : []
  );
  if (/^inception-.*-other$/.test(extractor.id)) {
    warnings.push(
      "These are not Inception's published weights: no score of them can be compared with others.",
    );
  }
  checkCounts(metrics, options);
  checkClasses(metrics, options);

  let pairs = 0;
  let onPairs = () => {};
  using pool = new StatisticsPool({
    threads: options.threads,
    signal: options.signal,
    progress(more) {
      pairs += more;
      if (more > 0) onPairs();
    },
  });
  const start = performance.now();
  const found = cache?.hits ?? 0;
  const keep = metrics.some((metric) => needs(metric, "images")) || !!options.onCollected;
  const keepSamples = keep || metrics.some((metric) => needs(metric, "samples"));
  const taps = tapsOf(metrics);
  const collectSide = (part: "samples" | "reference", source: ImageSource, keep: boolean) =>
    collect(part, source, { ...options, taps, keep, pool });
  const collected = {
    samples: isReference(samples) ? null : await collectSide("samples", samples, keepSamples),
    reference: reference && !isReference(reference)
      ? await collectSide("reference", reference, keep || options.floor === true)
      : null,
    images: referenceImages && keep ? await collectSide("reference", referenceImages, true) : null,
  };
  if (collected.reference) options.onReference?.(madeReference(collected.reference, extractor));
  const fake = isReference(samples) ? metricSet(samples, null) : collected.samples!;
  const real = isReference(reference)
    ? metricSet(reference, collected.images)
    : collected.reference;
  options.onCollected?.(fake, real);
  const extracted = performance.now();
  const fakeCount = fake.statistics.count ?? Infinity;
  const parts = options.floor && collected.reference &&
      collected.reference.statistics.count >= MIN_FLOOR && fakeCount >= 2
    ? split(collected.reference, fakeCount, seed)
    : null;
  warnings.push(...sizeWarnings(metrics, [fake, ...(real ? [real] : [])], extractor));
  if (cache?.problem) {
    warnings.push(`Features could not be kept in ${cache.folder}: ${cache.problem}.`);
  }
  if (cache && cache.damaged > 0) {
    warnings.push(
      `${cache.damaged} files of features in ${cache.folder} were damaged; their images were ` +
        `looked at again.`,
    );
  }
  warnings.push(...[collected.samples, collected.reference].flatMap((set) => skipWarning(set)));
  warnings.push(...classWarnings(metrics, fake, real));

  // Of the other vectors only sums are kept, which cannot be divided.
  // They have too few images to be extrapolated from.
  const divided = parts
    ? metrics.filter((metric) => tapsOf([metric]).length === 0 && !needs(metric, "samples"))
    : [];
  const { subsets, keepGoing } = options;
  const inputs = { fake, real, seed, manifoldImages, subsets, pool };
  const floorInputs = parts && { ...inputs, fake: parts[0], real: parts[1], subsets: undefined };
  const total = metrics.length + divided.length;
  const allPairs = metricPairs(metrics, inputs) +
    (floorInputs ? metricPairs(divided, floorInputs) : 0);
  let begun = 0;
  let metric: Metric | undefined;
  const report = () =>
    options.progress?.({
      part: "metrics",
      done: Math.max(0, begun - 1),
      total,
      metric,
      ...(allPairs > 0 ? { pairs: { done: Math.min(pairs, allPairs), total: allPairs } } : {}),
    });
  onPairs = report;
  const begin = (next: Metric) => {
    begun++;
    metric = next;
    report();
  };
  const { values, rounding, failed } = await computeMetrics(metrics, inputs, {
    onMetric: begin,
    keepGoing,
  });
  // A part may be too small for what the whole allows.
  const floor = floorInputs &&
    await computeMetrics(divided, floorInputs, { onMetric: begin, keepGoing: true });
  [begun, metric] = [begun + 1, undefined];
  report();
  const finished = performance.now();

  const { id, hash, dimension, details } = extractor;
  const skipped = (set: Collected | null) => set?.unreadable ?? 0;
  return {
    version: 1,
    values,
    rounding,
    failed,
    floor: floor && floor.values,
    floorCounts: parts && [parts[0].statistics.count, parts[1].statistics.count],
    samples: {
      name: samples.name,
      count: fake.statistics.count ?? null,
      skipped: skipped(collected.samples),
    },
    reference: reference && real
      ? {
        name: reference.name,
        count: real.statistics.count ?? null,
        skipped: skipped(collected.reference),
        provenance: isReference(reference) ? reference.provenance ?? null : null,
      }
      : null,
    extractor: { id, hash, dimension, ...(details ? { details } : {}) },
    seed,
    warnings: [...new Set(warnings)],
    seconds: { features: (extracted - start) / 1000, metrics: (finished - extracted) / 1000 },
    cached: (cache?.hits ?? 0) - found,
    versions: { imm: VERSION, deno: Deno.version.deno },
  };
}

/**
 * Statistics of a set of images, to be written with `writeReference`.
 *
 * @param options.taps other vectors whose statistics are wanted, too
 */
export async function computeReference(
  images: ImageSource,
  extractor: FeatureExtractor,
  options: Pick<EvaluateOptions, "cache" | "progress" | "signal" | "threads"> & {
    readonly taps?: readonly string[];
  } = {},
): Promise<MadeReference> {
  using pool = new StatisticsPool({ threads: options.threads, signal: options.signal });
  const collected = await collect("reference", images, { ...options, extractor, pool });
  return madeReference(collected, extractor);
}

function madeReference(
  { name, statistics, taps, unreadable }: Collected,
  { id, hash, details }: FeatureExtractor,
): MadeReference {
  const provenance: Provenance = {
    version: 1,
    extractor: { id, hash, ...(details ? { details } : {}) },
    count: statistics.count,
    images: name,
    ...(unreadable > 0 ? { skipped: unreadable } : {}),
  };
  return referenceOf({ name, statistics, taps, provenance });
}

/** What a file of statistics lets be computed, with the vectors of images beside it. */
function metricSet(reference: Reference, images: Collected | null): MetricSet {
  return {
    name: reference.name,
    statistics: reference.sums?.statistics ?? reference,
    taps: reference.sums?.taps ?? reference.taps ?? {},
    features: images?.features ?? reference.features ?? null,
    logits: images?.logits ?? null,
    labels: images?.labels ?? null,
    classes: images?.classes,
    skipped: images?.skipped,
  };
}

function skipWarning(set: Collected | null): string[] {
  return set?.unreadable
    ? [`${set.name}: ${set.unreadable} images cannot be read and were left out.`]
    : [];
}

/** Sentences about sets that are too small for a Fréchet distance to be compared with others. */
function sizeWarnings(
  metrics: readonly Metric[],
  [fake, ...real]: readonly MetricSet[],
  { dimension }: FeatureExtractor,
): string[] {
  if (!metrics.includes("fd") && !metrics.includes("fid")) return [];
  const warnings = [fake, ...real].flatMap(({ name, statistics: { count = Infinity } }) =>
    count > dimension ? [] : [
      `${name} has ${count} images for ${dimension} features; the Fréchet distance of so few is ` +
      `too large and cannot be compared with that of more.`,
    ]
  );
  const { count = Infinity } = fake.statistics;
  if (metrics.includes("fid") && count > dimension && count < PAPERS) {
    warnings.push(
      `FID falls with the number of samples: papers compare ${PAPERS} of them, so that of ` +
        `${count} cannot be compared with theirs.`,
    );
  }
  return warnings;
}

/**
 * Two random parts of a set: of a given size, half of the set at most, and the rest; the first half
 * has the odd one.
 */
function split(set: Collected, size: number, seed: number): [Collected, Collected] {
  const rows = set.statistics.count;
  const order = new RandomState(seed).permutation(rows);
  const middle = Math.min(size, Math.ceil(rows / 2));
  return [order.subarray(0, middle), order.subarray(middle)].map((indices): Collected => {
    const { dimension, data } = set.features!;
    const chosen = gather(data, dimension, indices);
    const statistics = new FeatureStatistics(dimension);
    statistics.add(chosen);
    return {
      name: `part of ${set.name}`,
      statistics,
      features: { rows: indices.length, dimension, data: chosen },
      logits: set.logits && {
        ...set.logits,
        data: gather(set.logits.data, set.logits.classes, indices),
      },
      taps: {},
      labels: set.labels && Int32Array.from(indices, (i) => set.labels![i]),
      classes: set.classes,
      skipped: [],
      unreadable: 0,
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

/** Other vectors that metrics are computed of. */
function tapsOf(metrics: readonly Metric[]): string[] {
  return metrics.flatMap((metric) => (METRICS[metric] as MetricDefinition).tap ?? []);
}

/** Fails early: extracting features can take hours. */
function checkNeeds(metrics: Metric[], options: EvaluateOptions): void {
  const { samples, reference, referenceImages, extractor } = options;
  for (const metric of metrics) {
    if (needs(metric, "statistics")) present(reference, metric, "statistics");
    if (needs(metric, "images")) {
      const images = isReference(reference) ? referenceImages ?? reference.features : reference;
      present(images, metric, "images");
    }
    if (needs(metric, "labels")) {
      // Files of features have no labels.
      const sides = needs(metric, "images") ? [samples, reference] : [samples];
      const without = sides.some((side) =>
        isReference(side) && side.features && !(side === reference && referenceImages)
      );
      present(without ? null : true, metric, "labels");
    }
    if (needs(metric, "logits")) present(extractor.classes, metric, "logits");
    if (needs(metric, "inception")) present(isInception(extractor) || null, metric, "inception");
    const { tap } = METRICS[metric] as MetricDefinition;
    if (tap !== undefined) {
      present(extractor.taps?.[tap], metric, "taps");
      if (isReference(reference)) present(reference.taps?.[tap], metric, "taps");
    }
    const hasFeatures = isReference(samples) && samples.features !== undefined;
    const needsSamples = !hasFeatures && (needs(metric, "images") || needs(metric, "samples")) ||
      needs(metric, "logits") ||
      (isReference(samples) && tap !== undefined && !samples.taps?.[tap]);
    if (isReference(samples) && needsSamples) {
      throw new UsageError(
        `The metric ${metric} needs the images of the samples, but ${samples.name} holds ` +
          `statistics only.`,
      );
    }
  }
}

/** Also early: metrics that need more images than there can be. */
function checkCounts(metrics: readonly Metric[], options: EvaluateOptions): void {
  const { samples, reference, referenceImages, subsets, manifoldImages = Infinity } = options;
  const images = isReference(reference) ? referenceImages ?? reference : reference;
  const counted = (side: ImageSource | Reference | undefined) => {
    if (side === undefined) return [];
    return isReference(side) && side.count === undefined
      ? []
      : [{ name: side.name, count: side.count! }];
  };
  for (const metric of metrics) {
    const { fewest, of } = fewestImages(metric, subsets?.size);
    const sides = of === "samples"
      ? counted(samples)
      : [...counted(samples), ...counted(needs(metric, "images") ? images : reference)];
    const small = sides.find(({ count }) => count < fewest);
    if (small) {
      throw new UsageError(
        `The metric ${metric} needs ${fewest} images at least of ${
          of === "samples" ? "the samples" : "each side"
        }, but ${small.name} has ${small.count}; give more, or leave it out.`,
      );
    }
    if ((metric === "pr" || metric === "dc") && manifoldImages < fewest) {
      throw new UsageError(
        `The metric ${metric} needs ${fewest} images at least, but is to look at ` +
          `${manifoldImages} only.`,
      );
    }
  }
}

/** The metrics that go by classes, and what their samples' classes are looked for in. */
function comparedClasses(
  metrics: readonly Metric[],
  fake: NamedClasses,
  real: NamedClasses | null,
  classifier: NamedClasses | null,
): (readonly [NamedClasses, NamedClasses])[] {
  return [
    ...(metrics.includes("nn") && real ? [[fake, real] as const] : []),
    ...(metrics.includes("class") && classifier ? [[fake, classifier] as const] : []),
  ];
}

/** @throws {UsageError} when classes of the samples are not among those that they are compared with */
function checkClasses(metrics: readonly Metric[], options: EvaluateOptions): void {
  const { samples, reference, referenceImages, extractor } = options;
  const known = (side: ImageSource | Reference | undefined): NamedClasses | null =>
    side && !isReference(side) && side.classes ? { set: side.name, classes: side.classes } : null;
  const fake = known(samples);
  if (!fake) return;
  const real = known(isReference(reference) ? referenceImages : reference);
  const classifier = extractor.classes === undefined
    ? null
    : classesOfClassifier(extractor.classes, extractor.classNames);
  for (const [a, b] of comparedClasses(metrics, fake, real, classifier)) matchClasses(a, b);
}

/** What must be said about how classes were matched. */
function classWarnings(
  metrics: readonly Metric[],
  fake: MetricSet,
  real: MetricSet | null,
): string[] {
  const of = (set: MetricSet | null) =>
    set?.classes ? { set: set.name, classes: set.classes } : null;
  const { logits } = fake;
  const classifier = logits && classesOfClassifier(logits.classes, logits.names);
  const own = of(fake);
  if (!own) return [];
  const pairs = comparedClasses(metrics, own, of(real), classifier);
  return [...new Set(pairs.flatMap(([a, b]) => matchClasses(a, b).warnings))];
}

function isReference(side: ImageSource | Reference | undefined): side is Reference {
  return side !== undefined && "covariance" in side;
}
