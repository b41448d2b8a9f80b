/**
 * What can be said before any features are extracted, which can take hours: whether there is what
 * the metrics need.
 *
 * @module
 */

import { UsageError } from "../base/errors.ts";
import { classesOfClassifier, matchClasses, type NamedClasses } from "./classes.ts";
import type { FeatureExtractor } from "./extractors/extractor.ts";
import type { ImageSource } from "./images.ts";
import { INCEPTION_FEATURES } from "./inception/network.ts";
import { type MetricSettings, present } from "./metrics/metric.ts";
import { type Metric, metricDefinition, needs } from "./metrics/registry.ts";
import { isReference, type Reference } from "./references/reference.ts";

/** What is compared, and in which features. */
export interface Comparison extends MetricSettings {
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
}

/**
 * Whether the metrics can be computed, as far as that is known without looking at the images.
 *
 * @throws {UsageError} when one needs what there is not: a reference, its images, labels, an extractor
 * that classifies, more images, or classes that are on both sides
 */
export function checkRequirements(metrics: readonly Metric[], comparison: Comparison): void {
  checkNeeds(metrics, comparison);
  checkCounts(metrics, comparison);
  checkClasses(metrics, comparison);
}

/**
 * Whether features are Inception's, of which metrics have their names. Statistics that do not say
 * what they are of are taken at their length.
 */
export function isInception(
  { id, details, dimension }: Pick<FeatureExtractor, "id" | "details" | "dimension">,
): boolean {
  return details?.pipeline !== undefined || (id === "unknown" && dimension === INCEPTION_FEATURES);
}

function checkNeeds(metrics: readonly Metric[], comparison: Comparison): void {
  const { samples, reference, referenceImages, extractor } = comparison;
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
    const { layer } = metricDefinition(metric);
    if (layer !== undefined) {
      present(extractor.layers?.[layer], metric, "layers");
      if (isReference(reference)) present(reference.layers?.[layer], metric, "layers");
    }
    const hasFeatures = isReference(samples) && samples.features !== undefined;
    const needsSamples = !hasFeatures && (needs(metric, "images") || needs(metric, "samples")) ||
      needs(metric, "logits") ||
      (isReference(samples) && layer !== undefined && !samples.layers?.[layer]);
    if (isReference(samples) && needsSamples) {
      throw new UsageError(
        `The metric ${metric} needs the images of the samples, but ${samples.name} holds ` +
          `statistics only.`,
      );
    }
  }
}

function checkCounts(metrics: readonly Metric[], comparison: Comparison): void {
  const { samples, reference, referenceImages, subsets, manifoldImages = Infinity } = comparison;
  const images = isReference(reference) ? referenceImages ?? reference : reference;
  const counted = (side: ImageSource | Reference | undefined) => {
    if (side === undefined) return [];
    return isReference(side) && side.count === undefined
      ? []
      : [{ name: side.name, count: side.count! }];
  };
  for (const metric of metrics) {
    const { fewest: { count, of }, setting } = metricDefinition(metric);
    const fewest = Math.max(count, setting === "subsets" ? subsets?.size ?? 0 : 0);
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
    if (setting === "manifoldImages" && manifoldImages < fewest) {
      throw new UsageError(
        `The metric ${metric} needs ${fewest} images at least, but is to look at ` +
          `${manifoldImages} only.`,
      );
    }
  }
}

function checkClasses(metrics: readonly Metric[], comparison: Comparison): void {
  const { samples, reference, referenceImages, extractor } = comparison;
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

/** The metrics that go by classes, and what their samples' classes are looked for in. */
export function comparedClasses(
  metrics: readonly Metric[],
  fake: NamedClasses,
  real: NamedClasses | null,
  classifier: NamedClasses | null,
): (readonly [NamedClasses, NamedClasses])[] {
  return metrics.filter((metric) => needs(metric, "labels")).flatMap((metric) => {
    const other = needs(metric, "images") ? real : classifier;
    return other ? [[fake, other] as const] : [];
  });
}
