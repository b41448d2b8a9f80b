/** The feature extractors by name, one row each. @module */

import { UsageError } from "../../base/errors.ts";
import { didYouMean } from "../../base/suggest.ts";
import type { ImageBatch } from "../images.ts";
import { findInceptionWeights, readInceptionWeights } from "../inception/weights.ts";
import { openDigitClassifier } from "./digit_classifier.ts";
import type { FeatureExtractor } from "./extractor.ts";
import { type InceptionOptions, openInception } from "./inception.ts";
import { OnnxExtractor } from "./onnx_extractor.ts";
import { PixelExtractor } from "./pixels.ts";

/** How to open an extractor by its name; all but the size of the images is for Inception. */
export interface OpenExtractorOptions extends InceptionOptions {
  /** Size of the images. */
  readonly size: Pick<ImageBatch, "height" | "width" | "channels">;
  /** File of Inception's weights. Default: the published ones, downloaded once. */
  readonly weights?: string;
  /** Accept other weights than the published ones. Default: they are refused. */
  readonly allowOtherWeights?: boolean;
  /** What messages call the setting that has the name. */
  readonly setting: string;
}

/** An extractor that has a name. */
interface ExtractorKind {
  /** The ids of what it opens. */
  readonly id: RegExp;
  /** Whether it is so quick that keeping its features would take longer. */
  readonly isQuick: boolean;
  readonly open: (options: OpenExtractorOptions) => Promise<FeatureExtractor>;
}

const EXTRACTORS = {
  inception: { id: /^inception-/, isQuick: false, open: openInceptionWeights },
  pixels: { id: /^pixels-/, isQuick: true, open: ({ size }) => PixelExtractor.create(size) },
  digits: { id: /^digit-classifier$/, isQuick: true, open: openDigitClassifier },
} as const satisfies Record<string, ExtractorKind>;

/** Name of an extractor; others are ONNX files. */
export type ExtractorName = keyof typeof EXTRACTORS;

/**
 * The extractor of a name, or of an `.onnx` file.
 *
 * @throws {UsageError} when there is no such one, or it does not take images of this size
 */
export async function openExtractor(
  name: string,
  options: OpenExtractorOptions,
): Promise<FeatureExtractor> {
  if (Object.hasOwn(EXTRACTORS, name)) return await EXTRACTORS[name as ExtractorName].open(options);
  if (name.toLowerCase().endsWith(".onnx")) return await OnnxExtractor.load(name);
  const names = Object.keys(EXTRACTORS);
  throw new UsageError(
    `${options.setting} expects ${names.join(", ")}, or an .onnx file, but got "${name}"${
      didYouMean(name, names) || "."
    }`,
  );
}

/** The name of the extractor that calls itself so; undefined for files. */
export function extractorName(id: string): ExtractorName | undefined {
  const names = Object.keys(EXTRACTORS) as ExtractorName[];
  return names.find((name) => EXTRACTORS[name].id.test(id));
}

/** Whether an extractor is so quick that keeping its features would take longer. */
export function isQuick({ id }: Pick<FeatureExtractor, "id">): boolean {
  const name = extractorName(id);
  return name !== undefined && EXTRACTORS[name].isQuick;
}

async function openInceptionWeights(options: OpenExtractorOptions): Promise<FeatureExtractor> {
  const path = options.weights ?? await findInceptionWeights();
  const weights = await readInceptionWeights(path, { allowOther: options.allowOtherWeights });
  return await openInception(weights, options);
}
