/** `imm sample`. @module */

import type { Device } from "../lib/device/device.ts";
import { openDevice } from "../lib/device/open.ts";
import { environmentVariable } from "../lib/environment.ts";
import { UsageError } from "../lib/errors.ts";
import { imageGrid } from "../lib/format/grid.ts";
import type { Image } from "../lib/format/pixels.ts";
import { colourDepth, renderImage } from "../lib/format/terminal.ts";
import { findModel, loadModel, type Model } from "../lib/models/model_file.ts";
import type { Network } from "../lib/models/network.ts";
import { createNetwork } from "../lib/models/registry.ts";
import { type GeneratedBatch, type GenerateOptions, Generator } from "../lib/sample/generator.ts";
import type { ClassChoice } from "../lib/sample/labels.ts";
import { latentScale, readLatents } from "../lib/sample/latents_file.ts";
import {
  arePictures,
  checkOutput,
  OUTPUT_FORMATS,
  type OutputFormat,
  outputFormat,
  type SampleSet,
  toPictures,
  writeSamples,
} from "../lib/sample/output.ts";
import { formatDuration, formatRanges } from "../lib/units.ts";
import { interruptible } from "./interrupt.ts";
import { choice, flag, integer, number, type Parsed, ranges, text } from "./options.ts";
import { planSampling, samplingOptions } from "./sampling.ts";
import type { Terminal } from "./terminal.ts";
import { defineVerb } from "./verb.ts";

const SEEDS = Array.from({ length: 64 }, (_, i) => i);
/** The most images of a grid in a terminal. */
const SHOWN = 64;

const options = {
  checkpoint: text({
    help: "a model file, or the folder of a training run",
    value: "RUN|FILE",
    required: true,
  }),
  out: text({
    help: "NAME.png for a grid, NAME.npz, NAME.zip or NAME.safetensors, or a folder of pictures",
    value: "PATH",
  }),
  format: choice(OUTPUT_FORMATS, { help: "what to write, whatever the name" }),
  show: flag({ help: `draw the first ${SHOWN} images in the terminal` }),
  ...samplingOptions,
  seeds: ranges({ help: "one image for each (default 0-63, or as many as --latents has)" }),
  latents: text({
    help: "start from the noise in an .npz or .safetensors file, N x C x H x W or N x H x W x C",
    value: "FILE",
  }),
  latentsScale: number({
    help: "multiply the latents by this: sigma_d, if they are unit normal",
    default: 1,
  }),
  batch: integer({ help: "images at a time; does not change them", default: 64, min: 1 }),
  columns: integer({ help: "images in a row of a grid (default: about square)", min: 1 }),
  device: choice(["auto", "webgpu", "wasm"], { help: "where to compute", default: "auto" }),
};

type Args = Parsed<typeof options>;

/** The verb. */
export const verb = defineVerb({
  name: "sample",
  summary: "generate images with a model",
  usage: "imm sample --checkpoint RUN|FILE --out PATH [options]",
  examples: [
    {
      command: "imm sample --checkpoint runs/digits --out digits.png --show",
      does: "a grid of 64 images in two steps, also in the terminal",
    },
    {
      command: "imm sample --checkpoint runs/digits --steps 1 --seeds 0-49999 --out samples/",
      does: "50,000 images in one step, one file each",
    },
    {
      command: "imm sample --checkpoint RUN --schedule eta:1.4 --classes 3 --out threes.npz",
      does: "images of one class with the paper's two-step schedule",
    },
  ],
  options,
  async run(args, terminal) {
    const job = await prepareJob(args, terminal);
    const device = await openDevice({ device: args.device });
    try {
      terminal.detail(`device: ${device.description}`);
      const summary = await interruptible(
        terminal,
        (signal) => generateAndWrite(job, device, terminal, signal),
        "Stopped; pictures that were complete are kept, and no other file was written.",
      );
      terminal.result(
        summary,
        () =>
          job.out === undefined
            ? ""
            : `${summary.images} images in ${summary.steps} ${plural(summary.steps, "step")}, ` +
              `${formatDuration(summary.seconds)}: ${job.out.path}`,
      );
    } finally {
      device.close();
    }
  },
});

/** Everything that the arguments ask for, checked. */
interface Job {
  readonly model: Model;
  readonly source: string;
  readonly set: SampleSet;
  readonly generate: Omit<GenerateOptions, "signal">;
  readonly batch: number;
  readonly sampler: string;
  /** The rule, in the words of the option. */
  readonly classes: string;
  readonly times: readonly number[];
  readonly out: { readonly path: string; readonly format: OutputFormat } | undefined;
  readonly show: boolean;
}

/** Reads and checks all that does not need a device; writes nothing. */
async function prepareJob(args: Args, terminal: Terminal): Promise<Job> {
  if (args.out === undefined && !args.show) {
    throw new UsageError("imm sample needs --out PATH, or --show to see the images only.");
  }
  const format = args.out === undefined ? undefined : args.format ?? await outputFormat(args.out);

  const source = await findModel(args.checkpoint);
  const model = await loadModel(source);
  const network = createNetwork(model.network);
  const latents = args.latents === undefined
    ? null
    : await scaledLatents(args.latents, args.latentsScale, network, model, terminal);
  const seeds = checkSeeds(args.seeds, latents?.images);
  const classes = network.conditioning.labels?.classes ?? 0;
  const plan = planSampling(args, model.imm, seeds, classes);
  const set = {
    shape: network.sampleShape,
    seeds,
    labels: plan.labels,
    columns: args.columns ?? classColumns(plan.classes, classes),
  };
  if (args.show && !arePictures(set.shape)) {
    throw new UsageError("--show needs a model of grey or colour pictures.");
  }
  const out = args.out === undefined ? undefined : { path: args.out, format: format! };
  if (out) await checkOutput(out.path, out.format, set);
  return {
    model,
    source,
    set,
    generate: {
      seeds,
      labels: plan.labels,
      steps: plan.steps,
      guidance: plan.guidance,
      latents: latents?.values,
    },
    batch: Math.min(args.batch, seeds.length),
    sampler: args.sampler,
    classes: args.classes ?? (classes > 0 ? "all" : "none"),
    times: plan.times,
    out,
    show: args.show,
  };
}

/** The part that takes time. */
async function generateAndWrite(
  job: Job,
  device: Device,
  terminal: Terminal,
  signal: AbortSignal,
) {
  const { set, generate, out, source, model } = job;
  const started = performance.now();
  const generator = await Generator.create(device, model, { batch: job.batch, source });
  const ready = performance.now();
  const images = set.seeds.length;
  const progress = terminal.progress("sampling", images, "images");
  const steps = generate.steps.length;
  const shown: Image[] = [];
  const watch = async function* (): AsyncGenerator<GeneratedBatch> {
    const batches = generator.batches({
      ...generate,
      signal,
      onStep: (step, _, first) => {
        const count = Math.min(job.batch, images - first);
        progress.update(Math.floor(first + count * (step + 1) / steps));
      },
    });
    for await (const batch of batches) {
      if (job.show && shown.length < SHOWN) shown.push(...toPictures(batch.samples, set.shape));
      yield batch;
    }
  };
  let files = 0;
  try {
    if (out) files = await writeSamples(out.path, out.format, set, watch());
    else for await (const _ of watch()) if (shown.length >= SHOWN) break;
  } finally {
    progress.finish();
    generator.free();
  }
  if (job.show) show(shown.slice(0, SHOWN), set, terminal);
  const seconds = (performance.now() - started) / 1000;
  return {
    out: out?.path ?? null,
    format: out?.format ?? null,
    files,
    images,
    checkpoint: source,
    device: { kind: device.kind, description: device.description },
    sampler: job.sampler,
    steps,
    times: job.times,
    guidance: generate.guidance,
    seeds: formatRanges(set.seeds),
    classes: job.classes,
    batch: job.batch,
    seconds,
    compileSeconds: (ready - started) / 1000,
  };
}

/** Draws a grid for people, so on standard error: standard output may be read by a program. */
function show(pictures: readonly Image[], set: SampleSet, terminal: Terminal): void {
  const columns = set.columns ?? Math.max(4, Math.min(16, Math.floor(79 / (set.shape[1] + 1))));
  const grid = imageGrid(pictures, { columns, padding: 1 });
  const depth = colourDepth({ isTerminal: terminal.colors, get: environmentVariable });
  terminal.say(renderImage(grid, { depth }));
}

async function scaledLatents(
  path: string,
  scale: number,
  network: Network,
  { imm: { sigmaData } }: Model,
  terminal: Terminal,
) {
  const { images, values } = await readLatents(path, network.sampleShape);
  if (scale !== 1) values.forEach((value, i) => values[i] = value * scale);
  const found = latentScale(values);
  // Far beyond what chance does to the few hundred numbers of a single tiny image.
  if (!(Math.abs(found / sigmaData - 1) < 0.25)) {
    terminal.warn(
      `the latents have the standard deviation ${found.toPrecision(3)}, but the model expects ` +
        `noise of ${sigmaData}; --latents-scale multiplies them.`,
    );
  }
  return { images, values };
}

/** Seeds are names of pictures: each may be given once. */
function checkSeeds(given: readonly number[] | undefined, latents?: number): readonly number[] {
  const seeds = given ??
    (latents === undefined ? SEEDS : Array.from({ length: latents }, (_, i) => i));
  if (latents !== undefined && seeds.length !== latents) {
    throw new UsageError(
      `--latents has noise for ${latents} images, but --seeds names ${seeds.length}; leave it out.`,
    );
  }
  const seen = new Set<number>();
  for (const seed of seeds) {
    if (seen.has(seed)) throw new UsageError(`--seeds names ${seed} twice.`);
    seen.add(seed);
  }
  return seeds;
}

/** Classes in turn make columns of a grid, if they are few. */
function classColumns(rule: ClassChoice, classes: number): number | undefined {
  if (rule.kind !== "cycle") return undefined;
  const different = rule.classes?.length ?? classes;
  return different > 1 && different <= 16 ? different : undefined;
}

function plural(count: number, noun: string): string {
  return count === 1 ? noun : `${noun}s`;
}
