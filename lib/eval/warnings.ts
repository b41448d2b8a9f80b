/**
 * Sentences that whoever quotes the values of an evaluation must know.
 *
 * @module
 */

import { classesOfClassifier, matchClasses } from "./classes.ts";
import type { Collected } from "./collect.ts";
import type { FeatureExtractor } from "./extractors/extractor.ts";
import type { FeatureCache } from "./feature_cache.ts";
import type { MetricSet } from "./metrics/metric.ts";
import type { Metric } from "./metrics/registry.ts";
import { comparedClasses } from "./requirements.ts";

/** Samples that papers compare, most of them. */
const PAPERS = 50_000;

/** Of weights that are not the published ones. */
export function weightWarnings({ id }: FeatureExtractor): string[] {
  return /^inception-.*-other$/.test(id)
    ? [
      "These are not Inception's published weights: no score of them can be compared with others.",
    ]
    : [];
}

/** Sentences about sets that are too small for a Fréchet distance to be compared with others. */
export function sizeWarnings(
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

/** Of features that were not kept, or could not be taken from where they were. */
export function cacheWarnings({ problem, damaged, folder }: FeatureCache): string[] {
  return [
    ...(problem ? [`Features could not be kept in ${folder}: ${problem}.`] : []),
    ...(damaged > 0
      ? [
        `${damaged} files of features in ${folder} were damaged; their images were looked at again.`,
      ]
      : []),
  ];
}

/** Of images that were left out. */
export function skipWarnings(set: Collected | null): string[] {
  return set?.unreadable
    ? [`${set.name}: ${set.unreadable} images cannot be read and were left out.`]
    : [];
}

/** What must be said about how classes were matched. */
export function classWarnings(
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
