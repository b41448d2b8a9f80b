/**
 * How good are generated digits? The scores that the quick start shows, and the same of real digits.
 *
 * @module
 */

import { openDigits } from "../../data/images/digits.ts";
import { UsageError } from "../../base/errors.ts";
import { openDigitClassifier } from "../extractors/digit_classifier.ts";
import { evaluate } from "../evaluate.ts";
import type { FeatureExtractor } from "../extractors/extractor.ts";
import { datasetImages, memoryImages } from "../images.ts";
import type { Metric } from "../metrics/registry.ts";
import { PixelExtractor } from "../extractors/pixels.ts";

/** Size of a digit. */
const SIZE = { height: 8, width: 8, channels: 1 } as const;

/** Digits that were generated for given classes. */
export interface DigitSamples {
  /** `[count, 8, 8, 1]`: bytes 0 to 255, or floats on [-1, 1], which are clamped. */
  readonly images: Uint8Array | Float32Array;
  /** The digit, 0 to 9, that each was generated for. */
  readonly labels: ArrayLike<number>;
}

/** Scores of one set of digits against all 1,797 real ones. */
export interface DigitScores {
  /** Fréchet distance in the 64 pixels, on [-1, 1]. */
  readonly pixelFd: number;
  /** Share whose nearest real image, in pixels, has their label. */
  readonly nearestAccuracy: number;
  /** Fréchet distance in the 64 features of the digit classifier. */
  readonly classifierFd: number;
  /** Share that the digit classifier takes for what their label says. */
  readonly classifierAccuracy: number;
}

/** Scores of sets of digits, and what they are to be compared with. */
export interface DigitReport {
  /** One for each set, in their order. */
  readonly scores: readonly DigitScores[];
  /** The scores of a random half of the real digits against the other half. */
  readonly baseline: DigitScores;
}

/**
 * Scores sets of generated digits, for example one per sampler.
 *
 * @param sets at least one
 * @throws {UsageError} when a set has not a label for each image, or there is no set
 */
export async function evaluateDigits(
  sets: readonly DigitSamples[],
  { signal }: { readonly signal?: AbortSignal } = {},
): Promise<DigitReport> {
  using digits = await openDigits();
  await using pixels = await PixelExtractor.create(SIZE);
  await using classifier = await openDigitClassifier();
  const run = (set: DigitSamples, extractor: FeatureExtractor, metrics: readonly Metric[]) =>
    evaluate({
      samples: memoryImages("generated digits", {
        ...SIZE,
        count: set.images.length / 64,
        data: set.images,
        labels: Int32Array.from(set.labels),
      }),
      reference: datasetImages(digits),
      extractor,
      metrics,
      floor: true,
      signal,
    });
  const scores: DigitScores[] = [];
  let baseline: DigitScores | null = null;
  for (const set of sets) {
    const inPixels = await run(set, pixels, ["fd", "nn"]);
    const inFeatures = await run(set, classifier, ["fd", "class"]);
    const of = (side: "values" | "floor"): DigitScores => ({
      pixelFd: inPixels[side]!.fd,
      nearestAccuracy: inPixels[side]!.nn_accuracy,
      classifierFd: inFeatures[side]!.fd,
      classifierAccuracy: inFeatures[side]!.class_accuracy,
    });
    scores.push(of("values"));
    baseline = of("floor");
  }
  if (!baseline) throw new UsageError("Expected digits to score, found none.");
  return { scores, baseline };
}
