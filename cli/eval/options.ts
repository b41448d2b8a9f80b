/**
 * What `imm eval` and `imm eval stats` have in common: options that say which images, and how they
 * are looked at.
 *
 * @module
 */

import { UsageError } from "../../lib/base/errors.ts";
import type { EvaluationProgress } from "../../lib/eval/collect.ts";
import { CACHE_LIMIT } from "../../lib/eval/feature_cache.ts";
import { decodingOptions } from "../sample/decoding.ts";
import { deviceOptions } from "../base/device_options.ts";
import { strict } from "../base/picture_options.ts";
import { extractorOptions } from "./extractor.ts";
import { flag, flagName, integer, type Parsed, size, text } from "../base/options.ts";
import type { Progress } from "../base/progress.ts";
import { samplingOptions } from "../sample/options.ts";
import type { Terminal } from "../base/terminal.ts";

/** Images of a model when nobody says how many. */
const NUMBER = 1000;

/** Options on the images, and on their features. */
export const inputOptions = {
  ...extractorOptions,
  num: integer({
    help: `images that a model makes (default ${NUMBER}), or that are chosen of the samples, as ` +
      "EDM chooses them (default all)",
    min: 2,
    max: 2 ** 24,
  }),
  seed: integer({
    help: "seed of a model's first image, the others follow; or of the choice (default 0)",
    min: 0,
  }),
  ...deviceOptions,
  skipCorrupt: flag({ help: "leave out images that cannot be read, instead of failing" }),
  strict,
  padTo: integer({
    help: "pad images with black to squares of this size, as data.padTo does in training",
    min: 1,
    max: 16384,
  }),
  cache: text({
    help: "folder where features are kept for another time, or none (default: the user's, for " +
      "networks)",
    value: "DIR|none",
  }),
  cacheLimit: size({
    help: "bytes that the folder may take; what was not used for the longest time is removed",
    default: CACHE_LIMIT,
  }),
};

/** Options that say how a model makes images. */
const modelOptions = {
  ...samplingOptions,
  batch: integer({ help: "images made at a time; does not change them", default: 64, min: 1 }),
  ...decodingOptions,
};

/** The model, and how it makes images. */
export const generationOptions = {
  checkpoint: text({
    help: "evaluate a model: its file, or the folder of a training run",
    value: "RUN|FILE",
  }),
  ...modelOptions,
};

type GenerationArgs = Parsed<typeof generationOptions>;

/** @throws {UsageError} when there are options for a model but no model */
export function checkGeneration(args: Omit<GenerationArgs, "_">): void {
  if (args.checkpoint !== undefined) return;
  for (const [name, { spec }] of Object.entries(modelOptions)) {
    if (args[name as keyof typeof modelOptions] !== spec.default) {
      throw new UsageError(
        `${flagName(name)} says how a model makes images; give the model with --checkpoint.`,
      );
    }
  }
}

/** The seeds of a model's images. */
export function seedsOf(
  { num = NUMBER, seed = 0 }: { readonly num?: number; readonly seed?: number },
): number[] {
  return Array.from({ length: num }, (_, i) => seed + i);
}

/** Pairs of images below which metrics are done at once. */
const MANY_PAIRS = 2e7;

/** Shows how far the reading of each set is, then the metrics. */
export async function withProgress<Value>(
  terminal: Terminal,
  work: (update: (progress: EvaluationProgress) => void) => Promise<Value>,
): Promise<Value> {
  let part: EvaluationProgress["part"] | undefined;
  let shown: Progress | undefined;
  try {
    return await work(({ part: current, done, total = 0, pairs, metric }) => {
      // Metrics of pairs take long, and each about as long as it has pairs.
      const unit = current !== "metrics"
        ? "images"
        : pairs && pairs.total > MANY_PAIRS
        ? "million pairs"
        : "metrics";
      const millions = (pairs: number) => Math.round(pairs / 1e6);
      if (unit === "million pairs") [done, total] = [pairs!.done, pairs!.total].map(millions);
      if (current !== part || !shown) {
        shown?.finish();
        part = current;
        shown = terminal.progress(part, total, unit);
      }
      shown.update(done, metric ?? "");
    });
  } finally {
    shown?.finish();
  }
}
