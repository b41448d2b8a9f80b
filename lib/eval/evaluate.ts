/**
 * Evaluation of a set of samples: extract features, compute the metrics, say what was compared.
 *
 * @module
 */

import { VERSION } from "../base/version.ts";
import { collect, type Collected, type EvaluationProgress } from "./collect.ts";
import type { FeatureExtractor } from "./extractors/extractor.ts";
import type { FeatureCache } from "./feature_cache.ts";
import { floorMetrics, splitSet } from "./floor.ts";
import type { ImageSource } from "./images.ts";
import { computeMetrics, metricPairs } from "./metrics/compute.ts";
import type { MetricSet } from "./metrics/metric.ts";
import { checkedMetrics, type Metric, metricDefinition, needs } from "./metrics/registry.ts";
import {
  checkReference,
  isReference,
  type MadeReference,
  type Provenance,
  type Reference,
  referenceOf,
} from "./references/reference.ts";
import { checkRequirements, type Comparison } from "./requirements.ts";
import { StatisticsPool } from "./statistics/pool.ts";
import {
  cacheWarnings,
  classWarnings,
  sizeWarnings,
  skipWarnings,
  weightWarnings,
} from "./warnings.ts";

/** What to evaluate. */
export interface EvaluateOptions extends Comparison {
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
  /** Compute the other metrics when one cannot be computed. Default: fail. */
  readonly keepGoing?: boolean;
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
  const { samples, reference, extractor, cache, seed = 2020 } = options;
  const metrics = checkedMetrics(options.metrics ?? ["fd"]);
  checkRequirements(metrics, options);
  const warnings = [
    ...[samples, reference].flatMap((side) =>
      isReference(side) ? checkReference(side, extractor, options) : []
    ),
    ...weightWarnings(extractor),
  ];
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
  const hits = cache?.hits ?? 0;
  const { collected, fake, real } = await collectSides(metrics, options, pool);
  if (collected.reference) options.onReference?.(madeReference(collected.reference, extractor));
  options.onCollected?.(fake, real);
  const extracted = performance.now();
  warnings.push(
    ...sizeWarnings(metrics, [fake, ...(real ? [real] : [])], extractor),
    ...(cache ? cacheWarnings(cache) : []),
    ...[collected.samples, collected.reference].flatMap(skipWarnings),
    ...classWarnings(metrics, fake, real),
  );

  const inputs = { ...options, fake, real, seed, pool };
  const parts = options.floor && collected.reference
    ? splitSet(collected.reference, fake.statistics.count ?? Infinity, seed)
    : null;
  const ofFloor = parts ? floorMetrics(metrics) : [];
  const floorInputs = parts && { ...inputs, fake: parts[0], real: parts[1], subsets: undefined };
  const total = metrics.length + ofFloor.length;
  const allPairs = metricPairs(metrics, inputs) +
    (floorInputs ? metricPairs(ofFloor, floorInputs) : 0);
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
  const onMetric = (next?: Metric) => {
    begun++;
    metric = next;
    report();
  };
  const { keepGoing } = options;
  const { values, rounding, failed } = await computeMetrics(metrics, inputs, {
    onMetric,
    keepGoing,
  });
  // A part may be too small for what the whole allows.
  const floor = floorInputs &&
    await computeMetrics(ofFloor, floorInputs, { onMetric, keepGoing: true });
  onMetric();
  const finished = performance.now();

  const { id, hash, dimension, details } = extractor;
  const side = ({ name }: { readonly name: string }, set: MetricSet, read: Collected | null) => ({
    name,
    count: set.statistics.count ?? null,
    skipped: read?.unreadable ?? 0,
  });
  return {
    version: 1,
    values,
    rounding,
    failed,
    floor: floor && floor.values,
    floorCounts: parts && [parts[0].statistics.count, parts[1].statistics.count],
    samples: side(samples, fake, collected.samples),
    reference: reference && real
      ? {
        ...side(reference, real, collected.reference),
        provenance: isReference(reference) ? reference.provenance ?? null : null,
      }
      : null,
    extractor: { id, hash, dimension, ...(details ? { details } : {}) },
    seed,
    warnings: [...new Set(warnings)],
    seconds: { features: (extracted - start) / 1000, metrics: (finished - extracted) / 1000 },
    cached: (cache?.hits ?? 0) - hits,
    versions: { imm: VERSION, deno: Deno.version.deno },
  };
}

/** Both sets with all that the metrics need, and which of it was extracted here. */
async function collectSides(
  metrics: readonly Metric[],
  options: EvaluateOptions,
  pool: StatisticsPool,
) {
  const { samples, reference, referenceImages } = options;
  const keep = metrics.some((metric) => needs(metric, "images")) || !!options.onCollected;
  const keepSamples = keep || metrics.some((metric) => needs(metric, "samples"));
  const layers = metrics.flatMap((metric) => metricDefinition(metric).layer ?? []);
  const collectSide = (part: "samples" | "reference", source: ImageSource, keep: boolean) =>
    collect(part, source, { ...options, layers, keep, pool });
  const collected = {
    samples: isReference(samples) ? null : await collectSide("samples", samples, keepSamples),
    reference: reference && !isReference(reference)
      ? await collectSide("reference", reference, keep || options.floor === true)
      : null,
  };
  const images = referenceImages && keep
    ? await collectSide("reference", referenceImages, true)
    : null;
  const fake = isReference(samples) ? metricSet(samples, null) : collected.samples!;
  const real = isReference(reference) ? metricSet(reference, images) : collected.reference;
  return { collected, fake, real };
}

/**
 * Statistics of a set of images, to be written with `writeReference`.
 *
 * @param options.layers other layers whose statistics are wanted, too
 */
export async function computeReference(
  images: ImageSource,
  extractor: FeatureExtractor,
  options: Pick<EvaluateOptions, "cache" | "progress" | "signal" | "threads"> & {
    readonly layers?: readonly string[];
  } = {},
): Promise<MadeReference> {
  using pool = new StatisticsPool({ threads: options.threads, signal: options.signal });
  const collected = await collect("reference", images, { ...options, extractor, pool });
  return madeReference(collected, extractor);
}

function madeReference(
  { name, statistics, layers, unreadable }: Collected,
  { id, hash, details }: FeatureExtractor,
): MadeReference {
  const provenance: Provenance = {
    version: 1,
    extractor: { id, hash, ...(details ? { details } : {}) },
    count: statistics.count,
    images: name,
    ...(unreadable > 0 ? { skipped: unreadable } : {}),
  };
  return referenceOf({ name, statistics, layers, provenance });
}

/** What a file of statistics lets be computed, with the vectors of images beside it. */
function metricSet(reference: Reference, images: Collected | null): MetricSet {
  return {
    name: reference.name,
    statistics: reference.sums?.statistics ?? reference,
    layers: reference.sums?.layers ?? reference.layers ?? {},
    features: images?.features ?? reference.features ?? null,
    logits: images?.logits ?? null,
    labels: images?.labels ?? null,
    classes: images?.classes,
    skipped: images?.skipped,
  };
}
