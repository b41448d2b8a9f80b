/** `imm eval`. @module */

import { dirname } from "jsr:@std/path@^1";
import { GateError, UsageError } from "../lib/errors.ts";
import { evaluate } from "../lib/eval/evaluate.ts";
import type { FeatureExtractor } from "../lib/eval/extractor.ts";
import { checkedMetrics, type Metric } from "../lib/eval/metrics.ts";
import { referenceFormat, writeReference } from "../lib/eval/reference_files.ts";
import type { MadeReference } from "../lib/eval/references.ts";
import {
  checkThresholds,
  gateFailures,
  metricOf,
  negated,
  parseThreshold,
  textReport,
  type Threshold,
} from "../lib/eval/report.ts";
import {
  isStatistics,
  openCache,
  openExtractor,
  openGenerated,
  openSide,
  type Side,
  type StatisticsSide,
} from "./eval_inputs.ts";
import {
  checkGeneration,
  generationOptions,
  inputOptions,
  seedsOf,
  withProgress,
} from "./eval_options.ts";
import { interruptible } from "./interrupt.ts";
import { flag, type Parsed, text } from "./options.ts";
import type { Terminal } from "./terminal.ts";
import { defineVerb } from "./verb.ts";

const options = {
  reference: text({
    help: "real images (digits, a folder, .zip, .npz, IDX or CIFAR-10 file), or statistics of them",
    value: "DATA|STATISTICS",
  }),
  metrics: text({
    help: "of fd, sfid, kd, is, pr, dc, nn, class (default fd, and with pixels or digits the " +
      "accuracies nn and class where there are labels)",
    value: "LIST",
  }),
  failIf: text({
    help: 'end with exit code 3 if this holds: "fd>5", "nn_accuracy<0.9"',
    value: "BOUND",
    repeat: true,
  }),
  halves: flag({
    help: "compare half of the real images with the other half, too",
    default: true,
  }),
  saveStats: text({
    help: "write the statistics of the reference images, for --reference another time",
    value: "FILE.npz",
  }),
  force: flag({ help: "compare with statistics that another extractor made" }),
  ...inputOptions,
  ...generationOptions,
};

type Args = Parsed<typeof options>;

/** The verb. */
export const verb = defineVerb({
  name: "eval",
  summary: "compare generated with real images",
  usage: "imm eval SAMPLES --reference DATA [options]\n" +
    "       imm eval --checkpoint RUN|FILE --reference DATA [options]\n" +
    "       imm eval stats DATA --out FILE.npz    (see imm eval stats --help)\n" +
    "       imm eval merge PART... --out FILE.npz (see imm eval merge --help)",
  examples: [
    {
      command: "imm eval --checkpoint runs/digits --steps 1 --reference digits",
      does: "1,000 samples of a model, 100 of each digit, against the real digits",
    },
    {
      command: "imm eval out/ --reference photos.zip --extractor net.onnx --metrics fd,kd",
      does: "a folder of samples against a data set, in the features of a network",
    },
    {
      command: 'imm eval samples.npz --reference stats.npz --fail-if "fd>5" --json',
      does: "a gate for scripts: exit code 3 and a report when the distance is above 5",
    },
  ],
  positionals: {
    value: "SAMPLES",
    help: "images as for --reference, or statistics of them",
    max: 1,
  },
  options,
  async run(args, terminal) {
    const [samples] = args._;
    checkUsage(args, samples);
    const thresholds = args.failIf.map((bound) => negated(parseThreshold(bound)));
    const metrics = args.metrics === undefined
      ? null
      : checkedMetrics(args.metrics.split(",").map((name) => name.trim()));
    if (args.saveStats !== undefined) {
      referenceFormat(args.saveStats);
      await checkFolder(args.saveStats);
    }

    await interruptible(terminal, async (signal) => {
      await using reference = args.reference === undefined
        ? null
        : await openSide(args.reference, { skipCorrupt: args.skipCorrupt });
      if (args.saveStats !== undefined && isStatistics(reference)) {
        throw new UsageError(
          "--save-stats needs the images of the reference, but --reference holds statistics.",
        );
      }
      await using fake = samples !== undefined
        ? await openSide(samples, args)
        : await openGenerated(args.checkpoint!, { ...args, seeds: seedsOf(args), signal });
      await compare(args, { fake, reference, metrics, thresholds }, terminal, signal);
    }, "Stopped; features that were extracted are kept in the cache.");
  },
});

interface Comparison {
  readonly fake: Side | StatisticsSide;
  readonly reference: Side | StatisticsSide | null;
  /** Null: those that fit. */
  readonly metrics: readonly Metric[] | null;
  readonly thresholds: readonly Threshold[];
}

async function compare(
  args: Args,
  { fake, reference, metrics: asked, thresholds }: Comparison,
  terminal: Terminal,
  signal: AbortSignal,
): Promise<void> {
  const sides = reference ? [fake, reference] : [fake];
  await using extractor = await openExtractor(args.extractor, sides);
  const metrics = checkedMetrics([
    ...asked ?? fittingMetrics(fake, reference, extractor),
    ...thresholds.flatMap(({ metric }) => metricOf(metric) ?? []),
  ]);
  const [fakeImages, realImages] = [fake, reference].map(imagesOf);
  if (fakeImages && realImages) checkSizes(fakeImages, realImages);
  checkLabels(metrics, fakeImages, realImages);

  let made: MadeReference | undefined;
  const evaluation = await withProgress(terminal, (progress) =>
    evaluate({
      samples: isStatistics(fake) ? fake.statistics : fake.images,
      reference: isStatistics(reference) ? reference.statistics : reference?.images,
      referenceImages: isStatistics(reference) ? reference.some?.images : undefined,
      extractor,
      metrics,
      halves: args.halves,
      force: args.force,
      cache: openCache(args.cache, extractor),
      onReference: args.saveStats === undefined ? undefined : (statistics) => made = statistics,
      progress,
      signal,
    }));
  if (made) await writeReference(args.saveStats!, made, made.provenance);
  const gate = thresholds.length > 0 ? checkThresholds(evaluation, thresholds) : undefined;
  const inputs = { samples: fake.origin(), reference: reference?.origin() ?? null };
  terminal.result(
    { ...evaluation, inputs, ...(gate ? { gate } : {}) },
    () => textReport(evaluation, gate).trimEnd(),
  );
  if (gate && !gate.passed) throw new GateError(`${gateFailures(gate).join("; ")}.`);
}

/** The images of a side, where there are some. */
function imagesOf(side: Side | StatisticsSide | null): Side | null {
  return isStatistics(side) ? side.some ?? null : side;
}

/** What can be said of the arguments before any file is opened. */
function checkUsage(args: Args, samples: string | undefined): void {
  const given = [samples !== undefined, args.checkpoint !== undefined].filter(Boolean).length;
  if (given === 2) {
    throw new UsageError(
      `imm eval takes either SAMPLES or --checkpoint, but got ${samples} and ${args.checkpoint}.`,
    );
  }
  if (given === 0) {
    throw new UsageError(
      'imm eval needs SAMPLES or --checkpoint RUN|FILE to evaluate; see "imm eval --help".',
    );
  }
  if (args.reference === undefined && (args.saveStats || !args.metrics)) {
    throw new UsageError(
      "imm eval needs --reference DATA, the real images or their statistics; for example " +
        "--reference digits.",
    );
  }
  checkGeneration(args);
}

/** Features take long; where they are to be written should exist before. */
async function checkFolder(path: string): Promise<void> {
  const folder = dirname(path);
  if (!(await Deno.stat(folder).catch(() => null))?.isDirectory) {
    throw new UsageError(`The folder ${folder} of --save-stats does not exist; create it first.`);
  }
}

function checkSizes(fake: Side, real: Side): void {
  if (`${fake.shape}` === `${real.shape}`) return;
  const size = ({ images, shape: [height, width, channels] }: Side) =>
    `${images.name} has images of ${height}x${width} with ${channels} channel${
      channels === 1 ? "" : "s"
    }`;
  throw new UsageError(
    `${size(fake)}, but ${size(real)}; expected images of one size, so convert one of them.`,
  );
}

function checkLabels(metrics: readonly Metric[], fake: Side | null, real: Side | null): void {
  if (fake === null) return; // refused by the evaluation itself
  for (const metric of metrics) {
    if (metric !== "nn" && metric !== "class") continue;
    const without = [fake, ...(metric === "nn" && real ? [real] : [])]
      .find(({ classes }) => classes === 0);
    if (without) {
      throw new UsageError(
        `The metric ${metric} needs a label for every image, but ${without.images.name} has none.`,
      );
    }
  }
}

/** The distance; with cheap features also what labels make possible. */
function fittingMetrics(
  fake: Side | StatisticsSide,
  reference: Side | StatisticsSide | null,
  extractor: FeatureExtractor,
): Metric[] {
  const metrics: Metric[] = ["fd"];
  const quick = extractor.id === "digit-classifier" || extractor.id.startsWith("pixels-");
  if (!quick || isStatistics(fake) || fake.classes === 0) return metrics;
  if (!isStatistics(reference) && reference?.classes === fake.classes) metrics.push("nn");
  if (extractor.classes === fake.classes) metrics.push("class");
  return metrics;
}
