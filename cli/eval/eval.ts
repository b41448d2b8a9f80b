/** `imm eval`. @module */

import { knownName } from "../../lib/data/spec.ts";
import { parseSplit } from "../../lib/data/folders/splits.ts";
import { GateError, ImmError, UsageError } from "../../lib/base/errors.ts";
import { classesOfClassifier, matchClasses, type NamedClasses } from "../../lib/eval/classes.ts";
import { evaluate, type Evaluation } from "../../lib/eval/evaluate.ts";
import type { FeatureExtractor } from "../../lib/eval/extractors/extractor.ts";
import { isQuick } from "../../lib/eval/extractors/open.ts";
import { makeGallery } from "../../lib/eval/reports/gallery.ts";
import {
  type Baseline,
  checkBaseline,
  checkBaselineOrigin,
  checkThresholds,
  gateFailures,
  type GateOutcome,
  joinGates,
  negated,
  parseBaseline,
  parseThreshold,
  parseTolerances,
  type Threshold,
  type Tolerances,
} from "../../lib/eval/gate.ts";
import type { MetricSet } from "../../lib/eval/metrics/metric.ts";
import {
  checkedMetrics,
  type Metric,
  metricOf,
  METRICS,
  needs,
} from "../../lib/eval/metrics/registry.ts";
import { isInception } from "../../lib/eval/requirements.ts";
import { referenceFormat, writeReference } from "../../lib/eval/references/files.ts";
import type { MadeReference } from "../../lib/eval/references/reference.ts";
import { textReport } from "../../lib/eval/reports/text.ts";
import { readFileBytes } from "../../lib/formats/source.ts";
import { openCache, openFittingExtractor } from "./extractor.ts";
import {
  filesRead,
  isStatistics,
  openGenerated,
  openSide,
  type Side,
  type StatisticsSide,
} from "./inputs.ts";
import {
  checkGeneration,
  generationOptions,
  inputOptions,
  seedsOf,
  withProgress,
} from "./options.ts";
import { claimReports, reportingFailure, reportOptions, writeReports } from "./reports.ts";
import { savingSide } from "./saving.ts";
import { interruptible } from "../base/interrupt.ts";
import { flag, integer, type Parsed, text } from "../base/options.ts";
import type { Terminal } from "../base/terminal.ts";
import { outputOptions } from "../base/output_options.ts";
import { defineVerb } from "../base/verb.ts";

const options = {
  reference: text({
    help: "real images (digits, a folder, .zip, .npz, IDX or CIFAR-10 file), or statistics of them",
    value: "DATA|STATISTICS",
  }),
  metrics: text({
    help: `of ${Object.keys(METRICS).join(", ")} (default fid with Inception, else fd; with ` +
      "pixels or digits also the accuracies nn and class where there are labels)",
    value: "LIST",
  }),
  failIf: text({
    help: 'end with exit code 3 if this holds: "fd>5", "nn_accuracy<0.9"',
    value: "BOUND",
    repeat: true,
  }),
  baseline: text({
    help: "end with exit code 3 if a value is worse than in this earlier result of --json",
    value: "FILE.json",
  }),
  tolerance: text({
    help: "how much worse than the baseline: fd=2%, fd=0.1, or 2% for all (default 0)",
    value: "[NAME=]X[%]",
    repeat: true,
  }),
  ...reportOptions,
  floor: flag({
    help: "compare as many real images as samples (half of them at most) with the others, too",
    default: true,
  }),
  kidSubsetSize: integer({
    help:
      "images of each side in a subset of kid and kd (default 1000, or all where they are fewer)",
    min: 2,
  }),
  kidSubsets: integer({ help: "subsets of kid and kd (default 100)", min: 1, max: 100_000 }),
  manifoldImages: integer({
    help: "images of each side, the first ones, that pr and dc look at (default all)",
    min: 6,
  }),
  saveStats: text({
    help: "write the statistics of the reference images, for --reference another time",
    value: "FILE.npz",
  }),
  saveSamples: text({
    help: "keep the images that the model of --checkpoint makes, which are else kept nowhere",
    value: "FILE.npz",
  }),
  force: flag({
    help: "compare with statistics of another extractor, or with a baseline of other images",
  }),
  ...outputOptions,
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
    "       imm eval merge PART... --out FILE.npz (see imm eval merge --help)\n" +
    "       imm eval cache [--clear]              (see imm eval cache --help)",
  examples: [
    {
      command: "imm eval --checkpoint runs/digits --steps 1 --reference digits",
      does: "1,000 samples of a model, 100 of each digit, against the real digits",
    },
    {
      command: "imm eval out/ --reference cifar10-32x32.npz",
      does: "FID against EDM's statistics, as torch-fidelity and EDM compute it",
    },
    {
      command: "imm eval out/ --reference photos/ --pipeline clean-fid --metrics fid,kid,is,pr",
      does: "Inception's metrics of two folders, prepared as clean-fid does",
    },
    {
      command: "imm eval out/ --reference photos.zip --extractor net.onnx --metrics fd,kd",
      does: "a folder of samples against a data set, in the features of a network",
    },
    {
      command: 'imm eval samples.npz --reference stats.npz --fail-if "fd>5" --json',
      does: "a gate for scripts: exit code 3 and a report when the distance is above 5",
    },
    {
      command: "imm eval samples.npz --reference photos.zip --baseline old.json --tolerance 2%",
      does: "a gate that lets no value become worse by more than 2%",
    },
  ],
  positionals: {
    value: "SAMPLES",
    help: "images as for --reference, or statistics of them",
    max: 1,
  },
  options,
  async run(args, terminal) {
    const { saveStats, saveSamples } = args;
    const files = { saveStats, saveSamples };
    const claim = async () => await claimReports(args, files, await filesRead(args));
    await reportingFailure(args, terminal, claim, () => run(args, terminal));
  },
});

async function run(args: Args, terminal: Terminal): Promise<void> {
  const [samples] = args._;
  checkUsage(args, samples);
  const requirements: Requirements = {
    thresholds: args.failIf.map((bound) => negated(parseThreshold(bound))),
    tolerances: parseTolerances(args.tolerance),
    baseline: args.baseline === undefined ? null : await readBaseline(args.baseline),
  };
  const metrics = args.metrics === undefined
    ? null
    : checkedMetrics(args.metrics.split(",").map((name) => name.trim()));
  const { saveStats } = args;
  if (saveStats !== undefined) referenceFormat(saveStats);
  await interruptible(
    terminal,
    async (signal) => {
      const told = new Set<string>(); // both sides may be of one data set
      const onNote = (note: string) => {
        if (!told.has(note)) terminal.warn(note);
        told.add(note);
      };
      const { skipCorrupt, strict, padTo } = args;
      await using reference = args.reference === undefined
        ? null
        : await openSide(args.reference, { skipCorrupt, strict, padTo, onNote });
      if (saveStats !== undefined && isStatistics(reference)) {
        throw new UsageError(
          "--save-stats needs the images of the reference, but --reference holds statistics.",
        );
      }
      await using fake = samples !== undefined
        ? await openSide(samples, { ...args, onNote })
        : await openModel(args, signal);
      await compare(args, { fake, reference, metrics, requirements }, terminal, signal);
    },
    "Stopped; features that were extracted are kept in the cache.",
    "done",
  );
}

/** The model, whose images are kept where that was asked for. */
async function openModel(
  args: Args,
  signal: AbortSignal,
): Promise<Side & { save?: (path: string) => Promise<void> }> {
  const side = await openGenerated(args.checkpoint!, { ...args, seeds: seedsOf(args), signal });
  return args.saveSamples === undefined ? side : savingSide(side);
}

interface Comparison {
  readonly fake: (Side & { save?: (path: string) => Promise<void> }) | StatisticsSide;
  readonly reference: Side | StatisticsSide | null;
  /** Null: those that fit. */
  readonly metrics: readonly Metric[] | null;
  readonly requirements: Requirements;
}

/** What must hold for exit code 0. */
interface Requirements {
  readonly thresholds: readonly Threshold[];
  readonly baseline: Baseline | null;
  readonly tolerances: Tolerances;
}

async function compare(
  args: Args,
  { fake, reference, metrics: asked, requirements }: Comparison,
  terminal: Terminal,
  signal: AbortSignal,
): Promise<void> {
  const sides = reference ? [fake, reference] : [fake];
  await using extractor = await openFittingExtractor(args, sides, terminal, signal);
  const required = [
    ...requirements.thresholds.map(({ metric }) => metric),
    ...[...requirements.tolerances.keys()].filter((name) => name !== null),
  ];
  const fitting = asked ? null : fittingMetrics(fake, reference, extractor);
  const metrics = checkedMetrics([
    ...asked ?? fitting!.metrics,
    ...required.flatMap((name) => metricOf(name) ?? []),
  ]);
  const [fakeImages, realImages] = [fake, reference].map(imagesOf);
  // Inception is given images of any size; everything else sees them as they are.
  if (fakeImages && realImages && extractor.details?.pipeline === undefined) {
    checkSizes(fakeImages, realImages, extractor);
  }
  checkLabels(metrics, fakeImages, realImages);

  let made: MadeReference | undefined;
  let sets: readonly [MetricSet, MetricSet | null] | undefined;
  const computed = await withProgress(terminal, (progress) =>
    evaluate({
      samples: isStatistics(fake) ? fake.statistics : fake.images,
      reference: isStatistics(reference) ? reference.statistics : reference?.images,
      referenceImages: isStatistics(reference) ? reference.some?.images : undefined,
      extractor,
      metrics,
      floor: args.floor,
      subsets: { size: args.kidSubsetSize, subsets: args.kidSubsets },
      keepGoing: true,
      manifoldImages: args.manifoldImages,
      threads: args.threads,
      force: args.force,
      cache: openCache(args, extractor),
      onReference: args.saveStats === undefined ? undefined : (statistics) => made = statistics,
      onCollected: args.html === undefined ? undefined : (...both) => sets = both,
      progress,
      signal,
    }));
  if (made) await writeReference(args.saveStats!, made, made.provenance);
  if (args.saveSamples !== undefined && "save" in fake) await fake.save?.(args.saveSamples);
  const inputs = { samples: fake.origin(), reference: reference?.origin() ?? null };
  const { gate, warnings } = checkRequirements(computed, requirements, {
    reference: inputs.reference?.sha256,
    force: args.force,
  });
  const evaluation = {
    ...computed,
    warnings: [
      ...new Set([
        ...computed.warnings,
        ...sameImages(args, inputs),
        ...fitting?.warnings ?? [],
        ...warnings,
      ]),
    ],
  };
  terminal.result(
    { ...evaluation, inputs, ...(gate ? { gate } : {}) },
    () => textReport(evaluation, gate).trimEnd().split("\n"),
  );
  const gallery = sets && fakeImages
    ? await makeGallery(
      { source: fakeImages.images, set: sets[0] },
      realImages && sets[1] ? { source: realImages.images, set: sets[1] } : null,
    )
    : undefined;
  await writeReports(args, terminal, { evaluation, gate, gallery });
  const failed = Object.entries(evaluation.failed);
  if (failed.length > 0) {
    throw new ImmError(
      `${failed.map(([metric]) => metric).join(", ")} could not be computed: ` +
        failed.map(([, why]) => why).join(" "),
    );
  }
  if (gate && !gate.passed) throw new GateError(`${gateFailures(gate).join("; ")}.`);
}

/** What must be said where real images are compared with themselves: such a score passes any gate. */
function sameImages(
  { _: [samples], reference, num }: Args,
  { samples: one, reference: other }: Readonly<Record<string, Record<string, unknown> | null>>,
): string[] {
  const isWhole = samples !== undefined && reference !== undefined && num === undefined;
  const isSame = isWhole && (samples === reference ||
    (knownName(samples) !== null && knownName(samples) === knownName(reference) &&
      parseSplit(samples).split === parseSplit(reference).split) ||
    (typeof one?.sha256 === "string" && one.sha256 === other?.sha256));
  return isSame
    ? [
      `${samples} and ${reference} are the same images: this is how a set differs from itself, ` +
      `and says nothing of any samples`,
    ]
    : [];
}

/** The gate, where something is required, and what must be said about it. */
function checkRequirements(
  evaluation: Evaluation,
  { thresholds, baseline, tolerances }: Requirements,
  { reference, force }: { readonly reference: unknown; readonly force: boolean },
): { gate?: GateOutcome; warnings: readonly string[] } {
  const gates: GateOutcome[] = [];
  const warnings: string[] = [];
  if (thresholds.length > 0) gates.push(checkThresholds(evaluation, thresholds));
  if (baseline) {
    const hash = typeof reference === "string" ? reference : null;
    warnings.push(...checkBaselineOrigin(evaluation, hash, baseline, { force }));
    gates.push(checkBaseline(evaluation, baseline, tolerances));
  }
  return { gate: gates.length > 0 ? joinGates(...gates) : undefined, warnings };
}

async function readBaseline(path: string): Promise<Baseline> {
  const bytes = await readFileBytes(path, MAX_BASELINE_BYTES);
  return parseBaseline(new TextDecoder().decode(bytes), path);
}

/** A result is a few kilobytes. */
const MAX_BASELINE_BYTES = 2 ** 24;

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
  if (args.saveSamples !== undefined && args.checkpoint === undefined) {
    throw new UsageError("--save-samples keeps what a model makes; give it with --checkpoint.");
  }
  if (args.saveSamples !== undefined && !args.saveSamples.toLowerCase().endsWith(".npz")) {
    throw new UsageError(`--save-samples writes .npz files, but got ${args.saveSamples}.`);
  }
  if (args.tolerance.length > 0 && args.baseline === undefined) {
    throw new UsageError(
      "--tolerance says how much worse than a baseline a value may be; give it with --baseline FILE.",
    );
  }
  checkGeneration(args);
}

function checkSizes(fake: Side, real: Side, extractor: FeatureExtractor): void {
  const mixed = [fake, real].find(({ images }) => images.mixed);
  if (mixed && isQuick(extractor)) {
    throw new UsageError(
      `${mixed.images.name} has images of different sizes, of which ${extractor.id} takes one ` +
        `only; use --extractor inception, or imm dataset prepare to bring them to one size.`,
    );
  }
  if (fake.images.mixed || real.images.mixed || `${fake.shape}` === `${real.shape}`) return;
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
    if (!needs(metric, "labels")) continue;
    const without = [fake, ...(needs(metric, "images") && real ? [real] : [])]
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
): { readonly metrics: Metric[]; readonly warnings: string[] } {
  const metrics: Metric[] = [isInception(extractor) ? "fid" : "fd"];
  const warnings: string[] = [];
  const own = isStatistics(fake) ? undefined : fake.images.classes;
  if (!isQuick(extractor) || !own) return { metrics, warnings };
  const addWhereTheyMatch = (metric: Metric, other: NamedClasses) => {
    try {
      matchClasses({ set: (fake as Side).images.name, classes: own }, other);
      metrics.push(metric);
    } catch (error) {
      if (!(error instanceof UsageError)) throw error;
      warnings.push(`${metric} was left out: ${error.message}`);
    }
  };
  const others = isStatistics(reference) ? undefined : reference?.images;
  if (others?.classes) addWhereTheyMatch("nn", { set: others.name, classes: others.classes });
  if (extractor.classes !== undefined) {
    addWhereTheyMatch("class", classesOfClassifier(extractor.classes, extractor.classNames));
  }
  return { metrics, warnings };
}
