/**
 * The features that `imm eval` compares in: which extractor, and where its features are kept.
 *
 * @module
 */

import { join } from "jsr:@std/path@1.0.8";
import type { DeviceName } from "../../lib/device/open.ts";
import { InternalError, UsageError } from "../../lib/base/errors.ts";
import type { FeatureExtractor } from "../../lib/eval/extractors/extractor.ts";
import { INCEPTION_BACKENDS, type InceptionBackend } from "../../lib/eval/extractors/inception.ts";
import { extractorName, isQuick, openExtractor } from "../../lib/eval/extractors/open.ts";
import { FeatureCache } from "../../lib/eval/feature_cache.ts";
import { INCEPTION_FEATURES } from "../../lib/eval/inception/network.ts";
import { findInceptionWeights, INCEPTION_WEIGHTS } from "../../lib/eval/inception/weights.ts";
import {
  checkedPipeline,
  type PipelineName,
  PIPELINES,
} from "../../lib/eval/inception/pipelines.ts";
import { refuseTilde } from "../../lib/files/outputs.ts";
import { userCacheFolder } from "../../lib/base/user_cache.ts";
import { isStatistics, type Side, type StatisticsSide } from "./inputs.ts";
import { choice, flag, flagName, text } from "../base/options.ts";
import type { Terminal } from "../base/terminal.ts";

/** Options on the features. */
export const extractorOptions = {
  extractor: text({
    help: "features to compare in: inception (FID), pixels, digits (a classifier), or a network " +
      "(default: what made the statistics; digits for the digits; pixels up to 16 x 16; inception)",
    value: "inception|pixels|digits|FILE.onnx",
  }),
  pipeline: choice(Object.keys(PIPELINES) as PipelineName[], {
    help: "how images are prepared for Inception (default: as for the statistics, else fid, as " +
      "torch-fidelity, EDM and ADM do it)",
  }),
  weights: text({
    help: `Inception's weights (default: ${INCEPTION_WEIGHTS.name}, downloaded once)`,
    value: "FILE",
  }),
  allowOtherWeights: flag({
    help: "take weights that are not the published ones; no score of them can be compared",
  }),
  backend: choice(INCEPTION_BACKENDS, {
    help: "what runs Inception: this program or onnxruntime-web (default imm)",
  }),
};

/** What was asked for. */
export interface ExtractorArgs {
  readonly extractor?: string;
  readonly pipeline?: PipelineName;
  readonly weights?: string;
  readonly allowOtherWeights?: boolean;
  readonly backend?: InceptionBackend;
  readonly device?: DeviceName;
  readonly threads?: number;
}

/** Larger images need a network to say what is on them. */
const LARGEST_PIXELS = 16;

/**
 * The extractor that `--extractor` names, or the one that fits what is compared.
 *
 * @throws {UsageError} when there is no obvious one, or no such one
 */
export async function openFittingExtractor(
  args: ExtractorArgs,
  sides: readonly (Side | StatisticsSide)[],
  terminal: Terminal,
  signal?: AbortSignal,
): Promise<FeatureExtractor> {
  const images = sides.find((side) => !isStatistics(side)) as Side | undefined;
  if (!images) return recordedExtractor(sides.filter(isStatistics));
  const [height, width, channels] = images.shape;
  const name = args.extractor ?? fittingExtractor(args, sides, height, width);
  const forInception = inceptionOption(args);
  if (forInception && name !== "inception") {
    throw new UsageError(
      `${forInception} is for Inception's features; use --extractor inception instead of ${name}.`,
    );
  }
  const counts = sides.flatMap((side) =>
    isStatistics(side) ? side.some?.images.count ?? [] : side.images.count
  );
  const isInception = name === "inception";
  const { allowOtherWeights, backend, device, threads } = args;
  return await openExtractor(name, {
    setting: "--extractor",
    size: { height, width, channels },
    pipeline: isInception ? pipelineOf(args, sides) : undefined,
    weights: isInception ? args.weights ?? await downloadedWeights(terminal, signal) : undefined,
    ...{ allowOtherWeights, backend, device, threads },
    // Not --batch, which says how many images a model makes at a time.
    most: Math.max(...counts),
  });
}

/** Inception's weights, which are fetched when they are needed for the first time. */
async function downloadedWeights(terminal: Terminal, signal?: AbortSignal): Promise<string> {
  let shown: ReturnType<Terminal["progress"]> | undefined;
  const megabytes = (bytes: number) => Math.round(bytes / 1e6);
  try {
    return await findInceptionWeights({
      signal,
      progress(bytes) {
        shown ??= terminal.progress("weights", megabytes(INCEPTION_WEIGHTS.bytes), "MB");
        shown.update(megabytes(bytes));
      },
    });
  } finally {
    shown?.finish();
  }
}

/** The pipeline that was asked for, or that of the statistics. */
function pipelineOf(
  args: ExtractorArgs,
  sides: readonly (Side | StatisticsSide)[],
): PipelineName {
  return args.pipeline ?? recordedPipeline(sides) ?? inferredPipeline(sides) ?? "fid";
}

/** The first option that only Inception understands. */
function inceptionOption(args: ExtractorArgs): string | undefined {
  const name = (["pipeline", "weights", "backend"] as const)
    .find((name) => args[name] !== undefined);
  return name && flagName(name);
}

/** The pipeline of statistics that say so. */
function recordedPipeline(sides: readonly (Side | StatisticsSide)[]): PipelineName | undefined {
  for (const side of sides) {
    if (!isStatistics(side)) continue;
    const pipeline = side.statistics.provenance?.extractor.details?.pipeline;
    if (typeof pipeline === "string") return checkedPipeline(pipeline);
  }
  return undefined;
}

/**
 * The pipeline of statistics of other programs, as far as it can be inferred.
 *
 * @throws {UsageError} where nothing tells it: a wrong one gives a wrong score
 */
function inferredPipeline(sides: readonly (Side | StatisticsSide)[]): PipelineName | undefined {
  for (const { statistics: { name, inferred, provenance } } of sides.filter(isStatistics)) {
    if (provenance) continue;
    if (inferred) return inferred.pipeline;
    throw new UsageError(
      `Nothing in ${name} tells how its images were prepared; say it with --pipeline ` +
        `${Object.keys(PIPELINES).join(", ")} (what each is comparable with: imm eval --help).`,
    );
  }
  return undefined;
}

/** Name of an extractor that nothing says. */
const UNKNOWN = "unknown";

/** What made statistics, as far as they say; where only statistics are compared nothing is run. */
function recordedExtractor(sides: readonly StatisticsSide[]): FeatureExtractor {
  const recorded = sides.find(({ statistics }) => statistics.provenance);
  const inferred = sides.find(({ statistics }) => statistics.inferred)?.statistics.inferred;
  const { id, hash, details } = recorded?.statistics.provenance?.extractor ??
    { id: UNKNOWN, hash: UNKNOWN, details: inferred && { pipeline: inferred.pipeline } };
  const { dimension, layers = {} } = (recorded ?? sides[0]).statistics;
  return {
    id,
    hash,
    details,
    dimension,
    layers: Object.fromEntries(
      Object.entries(layers).map(([layer, { dimension }]) => [layer, dimension]),
    ),
    batch: 1,
    extract: () => Promise.reject(new InternalError("statistics have no images to extract from")),
    async [Symbol.asyncDispose]() {},
  };
}

function fittingExtractor(
  args: ExtractorArgs,
  sides: readonly (Side | StatisticsSide)[],
  height: number,
  width: number,
): string {
  if (inceptionOption(args)) return "inception";
  const statistics = sides.find(isStatistics)?.statistics;
  if (statistics) {
    const { name, provenance } = statistics;
    const made = provenance?.extractor.id;
    const named = made === undefined ? undefined : extractorName(made);
    if (named) return named;
    // Files of other programs do not say it, but nearly all with this length are Inception's.
    if (made === undefined && statistics.dimension === INCEPTION_FEATURES) return "inception";
    throw new UsageError(
      made === undefined
        ? `${name} does not say which extractor made it; give that one with --extractor FILE.onnx.`
        : `${name} was made by the extractor ${made}; give it with --extractor FILE.onnx.`,
    );
  }
  const last = sides.at(-1);
  if (last && !isStatistics(last) && last.images.name === "digits") return "digits";
  return height <= LARGEST_PIXELS && width <= LARGEST_PIXELS ? "pixels" : "inception";
}

/**
 * Where features are kept: in the folder that was asked for, or with the user's other caches.
 *
 * @param args `--cache`, a folder or `none`, and `--cache-limit`
 */
export function openCache(
  { cache, cacheLimit }: { readonly cache?: string; readonly cacheLimit: number },
  extractor: FeatureExtractor,
): FeatureCache | undefined {
  if (
    cache === "none" || (cache === undefined && (isQuick(extractor) || extractor.id === UNKNOWN))
  ) return undefined;
  if (cache !== undefined) refuseTilde(cache, "--cache");
  return new FeatureCache(cache ?? userFeatureFolder(), cacheLimit);
}

/** Where features are kept unless `--cache` says something else. */
export function userFeatureFolder(): string {
  return join(userCacheFolder(), "features");
}
