/** `imm eval`. @module */

import { dirname } from "jsr:@std/path@^1";
import { GateError, UsageError } from "../lib/errors.ts";
import {
  checkedMetrics,
  computeReference,
  evaluate,
  type EvaluationProgress,
  type MadeReference,
  type Metric,
} from "../lib/eval/evaluate.ts";
import type { FeatureExtractor } from "../lib/eval/extractor.ts";
import { writeReference } from "../lib/eval/references.ts";
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
  openExtractor,
  openGenerated,
  openImages,
  openReference,
  type Side,
  type StatisticsSide,
} from "./eval_inputs.ts";
import { interruptible } from "./interrupt.ts";
import { choice, flag, flagName, integer, type Parsed, text } from "./options.ts";
import type { Progress } from "./progress.ts";
import { samplingOptions } from "./sampling.ts";
import type { Terminal } from "./terminal.ts";
import { defineVerb } from "./verb.ts";

/** Images of a model when nobody says how many. */
const NUMBER = 1000;

/** Options that say how a model makes images. */
const generation = {
  checkpoint: text({
    help: "evaluate a model: its file, or the folder of a training run",
    value: "RUN|FILE",
  }),
  num: integer({ help: `images that the model makes (default ${NUMBER})`, min: 2, max: 2 ** 24 }),
  seed: integer({ help: "seed of the first image, the others follow (default 0)", min: 0 }),
  ...samplingOptions,
  batch: integer({ help: "images made at a time; does not change them", default: 64, min: 1 }),
  device: choice(["auto", "webgpu", "wasm"], { help: "where to compute", default: "auto" }),
};

const options = {
  reference: text({
    help: "real images (digits, a folder, .zip, .npz or IDX file), or statistics of them (.npz)",
    value: "DATA|FILE.npz",
  }),
  extractor: text({
    help: "features to compare in: pixels, digits (a classifier), or a network (default: what " +
      "made the statistics; digits for the digits; pixels up to 16 x 16)",
    value: "pixels|digits|FILE.onnx",
  }),
  metrics: text({
    help:
      "of fd, kd, is, pr, dc, nn, class (default fd, and with pixels or digits the accuracies " +
      "nn and class where there are labels)",
    value: "LIST",
  }),
  failIf: text({
    help: 'end with exit code 3 if this holds: "fd>5", "nn_accuracy<0.9"',
    value: "BOUND",
    repeat: true,
  }),
  baseline: flag({
    help: "compare half of the real images with the other half, too",
    default: true,
  }),
  saveStats: text({
    help: "write the statistics of the reference images, for --reference another time",
    value: "FILE.npz",
  }),
  force: flag({ help: "compare with statistics that another extractor made" }),
  ...generation,
};

type Args = Parsed<typeof options>;

/** The verb. */
export const verb = defineVerb({
  name: "eval",
  summary: "compare generated with real images",
  usage: "imm eval SAMPLES --reference DATA [options]\n" +
    "       imm eval --checkpoint RUN|FILE --reference DATA [options]\n" +
    "       imm eval --reference DATA --save-stats FILE.npz",
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
    help: "a folder, .zip, .npz or IDX file of images, or digits",
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
    if (args.saveStats !== undefined) await checkFolder(args.saveStats);

    await interruptible(terminal, async (signal) => {
      const reference = args.reference === undefined ? null : await openReference(args.reference);
      await using _reference = reference && "images" in reference ? reference : null;
      if (args.saveStats !== undefined && (!reference || !("images" in reference))) {
        throw new UsageError(
          "--save-stats needs the images of the reference, but --reference holds statistics.",
        );
      }
      if (samples === undefined && args.checkpoint === undefined) {
        return await saveStatistics(args, reference as Side, terminal, signal);
      }
      await using fake = samples !== undefined
        ? await openImages(samples)
        : await openGenerated(args.checkpoint!, {
          ...args,
          seeds: seedsOf(args),
          signal,
        });
      await compare(args, { fake, reference, metrics, thresholds }, terminal, signal);
    }, "Stopped; nothing was written.");
  },
});

interface Comparison {
  readonly fake: Side;
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
  const real = reference && "images" in reference ? reference : null;
  if (real) checkSizes(fake, real);
  await using extractor = await openExtractor(args.extractor, reference, fake.shape);
  const metrics = checkedMetrics([
    ...asked ?? fittingMetrics(fake, reference, extractor),
    ...thresholds.flatMap(({ metric }) => metricOf(metric) ?? []),
  ]);
  checkLabels(metrics, fake, real);

  let made: MadeReference | undefined;
  const evaluation = await withProgress(terminal, (progress) =>
    evaluate({
      samples: fake.images,
      reference: reference
        ? "images" in reference ? reference.images : reference.statistics
        : undefined,
      extractor,
      metrics,
      baseline: args.baseline,
      force: args.force,
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

/** `--save-stats` without anything to compare. */
async function saveStatistics(
  args: Args,
  reference: Side,
  terminal: Terminal,
  signal: AbortSignal,
): Promise<void> {
  await using extractor = await openExtractor(args.extractor, reference, reference.shape);
  const made = await withProgress(
    terminal,
    (progress) => computeReference(reference.images, extractor, { progress, signal }),
  );
  const path = args.saveStats!;
  await writeReference(path, made, made.provenance);
  terminal.result(
    { path, ...made.provenance, inputs: { reference: reference.origin() } },
    () =>
      `statistics of ${made.provenance.count} images in the ${made.dimension} features of ` +
      `${extractor.id}: ${path}`,
  );
}

/** What can be said of the arguments before any file is opened. */
function checkUsage(args: Args, samples: string | undefined): void {
  const given = [samples !== undefined, args.checkpoint !== undefined].filter(Boolean).length;
  if (given === 2) {
    throw new UsageError(
      `imm eval takes either SAMPLES or --checkpoint, but got ${samples} and ${args.checkpoint}.`,
    );
  }
  if (given === 0 && args.saveStats === undefined) {
    throw new UsageError(
      'imm eval needs SAMPLES or --checkpoint RUN|FILE to evaluate; see "imm eval --help".',
    );
  }
  if (args.reference === undefined && (given === 0 || args.saveStats || !args.metrics)) {
    throw new UsageError(
      "imm eval needs --reference DATA, the real images or their statistics; for example " +
        "--reference digits.",
    );
  }
  if (args.checkpoint !== undefined) return;
  for (const [name, { spec }] of Object.entries(generation)) {
    if (args[name as keyof typeof generation] !== spec.default) {
      throw new UsageError(
        `${flagName(name)} says how a model makes images; give the model with --checkpoint.`,
      );
    }
  }
}

function seedsOf({ num = NUMBER, seed = 0 }: Args): number[] {
  return Array.from({ length: num }, (_, i) => seed + i);
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

function checkLabels(metrics: readonly Metric[], fake: Side, real: Side | null): void {
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
  fake: Side,
  reference: Side | StatisticsSide | null,
  extractor: FeatureExtractor,
): Metric[] {
  const real = reference && "images" in reference ? reference : null;
  const metrics: Metric[] = ["fd"];
  if (extractor.id !== "digit-classifier" && !extractor.id.startsWith("pixels-")) return metrics;
  if (fake.classes > 0 && real?.classes === fake.classes) metrics.push("nn");
  if (fake.classes > 0 && extractor.classes === fake.classes) metrics.push("class");
  return metrics;
}

/** Shows how far the reading of each set is, then the metrics. */
async function withProgress<Value>(
  terminal: Terminal,
  work: (update: (progress: EvaluationProgress) => void) => Promise<Value>,
): Promise<Value> {
  let part: EvaluationProgress["part"] | undefined;
  let shown: Progress | undefined;
  try {
    return await work(({ part: current, done, total = 0 }) => {
      if (current !== part || !shown) {
        shown?.finish();
        part = current;
        shown = terminal.progress(part, total, part === "metrics" ? "metrics" : "images");
      }
      shown.update(done);
    });
  } finally {
    shown?.finish();
  }
}
