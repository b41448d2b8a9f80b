/**
 * From the arguments of `imm sample` to a job: everything that can be read and checked before a
 * device is needed.
 *
 * @module
 */

import { UsageError } from "../../lib/base/errors.ts";
import { fileSha256 } from "../../lib/files/download.ts";
import { findModel, type ModelDescription, openModel } from "../../lib/models/model_file.ts";
import { createNetwork } from "../../lib/models/registry.ts";
import { LATENT_NOTE } from "../../lib/data/latents/note.ts";
import type { LatentDecoder } from "../../lib/sample/decoder.ts";
import type { GenerateOptions } from "../../lib/sample/generator.ts";
import { interpolatedLatents, type SeedPair } from "../../lib/sample/interpolation.ts";
import type { ClassChoice } from "../../lib/sample/labels.ts";
import { latentScale, readLatents } from "../../lib/sample/latents_file.ts";
import { claimOutputs } from "../../lib/files/outputs.ts";
import { fileRecord, mayReplace } from "../../lib/sample/output/file_record.ts";
import { checkFolder, type FolderContent, PictureFolder } from "../../lib/sample/output/folder.ts";
import {
  checkOutput,
  isFolderFormat,
  type OutputFormat,
  outputFormat,
} from "../../lib/sample/output/open.ts";
import { classGridName } from "../../lib/sample/output/picture.ts";
import { partPath } from "../../lib/sample/output/parts.ts";
import {
  arePictures,
  optionsOf,
  pictureName,
  type SampleSet,
  subset,
} from "../../lib/sample/output/sample_set.ts";
import { numbersHash, type SampleSettings } from "../../lib/sample/settings.ts";
import { framesOf } from "../../lib/sample/trajectory.ts";
import { parseShard, shardOf } from "../../lib/base/shard.ts";
import type { Shape } from "../../lib/tensor/tensor.ts";
import { formatRanges } from "../../lib/base/units.ts";
import { openDecoder } from "./decoding.ts";
import type { Parsed } from "../base/options.ts";
import type { options } from "./sample.ts";
import { planSampling } from "./options.ts";
import type { Terminal } from "../base/terminal.ts";
import { objectiveOf } from "../../lib/objectives/registry.ts";

/** Images in a row of an interpolation when `--frames` is not given. */
export const FRAMES = 8;

/** Seeds when neither `--seeds` nor `--latents` is given. */
export const DEFAULT_SEEDS: readonly number[] = Array.from({ length: 64 }, (_, i) => i);

/** The parsed arguments. */
export type SampleArgs = Parsed<typeof options>;

/** Everything that the arguments ask for, checked. */
export interface Job {
  readonly source: string;
  /** The images that are to be made, without those that are there already. */
  readonly set: SampleSet;
  readonly generate: Omit<GenerateOptions, "signal">;
  /** Images that are there already. */
  readonly kept: number;
  readonly batch: number;
  /** Shape of what the network makes: of a picture, unless it is decoded. */
  readonly sampleShape: Shape;
  /** What makes pictures of latents; null for none. */
  readonly decoder: LatentDecoder | null;
  /** Samples that each image becomes: more than one where its steps are shown. */
  readonly frames: number;
  readonly sampler: string;
  readonly schedule: string;
  readonly times: readonly number[];
  /** The rule, in the words of the option. */
  readonly classRule: string;
  readonly settings: SampleSettings;
  readonly out: JobOutput | undefined;
  readonly show: boolean;
  readonly overwrite: boolean;
}

/** Where the images go. */
export interface JobOutput {
  readonly path: string;
  readonly format: OutputFormat;
  /**
   * Takes the file, or the folder, for this program alone, or with others that make parts of the same
   * set. Asked as the last thing before the work: much may have happened since the job was prepared.
   * With `--overwrite` pictures of another set go; `removed` says how many.
   *
   * @throws {UsageError} when something is there that is not to be replaced
   */
  claim(): Promise<Disposable & { readonly removed?: number }>;
}

/** What to make, before anything is known of files. */
interface Wanted {
  readonly set: SampleSet;
  readonly generate: Omit<GenerateOptions, "signal" | "steps" | "guidance">;
  /** What else than seeds and settings determines the images; see SampleSettings. */
  readonly variation: string | null;
}

/** Reads and checks all that does not need a device; writes nothing. Whoever has it closes it. */
export async function prepareJob(args: SampleArgs, terminal: Terminal): Promise<Job> {
  if (args.out === undefined && !args.show && !args.dryRun) {
    throw new UsageError("imm sample needs --out PATH, or --show to see the images only.");
  }
  const shard = args.shard === undefined ? undefined : parseShard(args.shard);
  const format = args.out === undefined ? undefined : args.format ?? await outputFormat(args.out);
  checkTogether(args, format);

  const source = await findModel(args.checkpoint);
  const model = await describe(source);
  const decoder = await openDecoder(args, model, source);
  try {
    return await jobOf(args, { source, model, decoder, format, shard }, terminal);
  } catch (error) {
    await decoder?.[Symbol.asyncDispose]();
    throw error;
  }
}

/** The same with what is open. */
async function jobOf(
  args: SampleArgs,
  { source, model, decoder, format, shard }: {
    readonly source: string;
    readonly model: ModelDescription;
    readonly decoder: LatentDecoder | null;
    readonly format: OutputFormat | undefined;
    readonly shard: ReturnType<typeof parseShard> | undefined;
  },
  terminal: Terminal,
): Promise<Job> {
  const { sampleShape, conditioning } = createNetwork(model.network);
  const shape = decoder?.shape ?? sampleShape;
  const objective = objectiveOf(model);
  const latents = args.latents === undefined ? undefined : await scaledLatents(
    args.latents,
    args.latentsScale,
    sampleShape,
    objective.config.sigmaData,
    terminal,
  );
  const pairs = args.interpolate.map(parsePair);
  const frameCount = args.frames ?? FRAMES;
  const seeds = pairs.length > 0
    ? pairs.flatMap(([from]) => new Array<number>(frameCount).fill(from))
    : checkSeeds(args.seeds, latents?.images);
  const classes = conditioning.labels?.classes ?? 0;
  const plan = planSampling(args, objective, seeds, classes, model.classNames);
  if (args.show && !arePictures(shape)) {
    throw new UsageError(
      "--show needs a model of grey or colour pictures; of latents, --decoder FILE.onnx makes them.",
    );
  }
  if (decoder === null && LATENT_NOTE in model.notes && format !== "safetensors") {
    checkLatents(source, sampleShape, format);
  }

  const columns = args.columns ?? classColumns(plan.classes, classes);
  let { set, generate, variation }: Wanted = pairs.length > 0
    ? between(pairs, frameCount, sampleShape, objective.config.sigmaData, plan.labels)
    : {
      set: { shape, seeds, labels: plan.labels, columns },
      generate: { seeds, labels: plan.labels, latents: latents?.values },
      variation: null,
    };
  const settings: SampleSettings = {
    version: 1,
    model: await fileSha256(source),
    sampler: plan.sampler,
    times: plan.times,
    guidance: plan.guidance,
    classes: plan.classes,
    latents: latents ? numbersHash(latents.values) : null,
    variation,
    precision: args.precision === "float32" ? undefined : args.precision,
    decoder: decoder?.record,
    classNames: model.classNames,
  };
  set = { ...set, shape, classNames: model.classNames };
  const wholeSeeds = set.seeds;
  const only = (numbers: readonly number[]) => {
    generate = optionsOf({ ...generate, steps: plan.steps }, sampleShape, numbers);
    set = subset(set, numbers);
  };
  let out = args.out === undefined ? undefined : { path: args.out, format: format! };
  if (shard) {
    const part = shardOf(set.seeds.map((_, n) => n), shard);
    if (part.length === 0) {
      throw new UsageError(
        `--shard ${args.shard} is empty: there are ${set.seeds.length} images; use fewer parts.`,
      );
    }
    only(part);
    if (out && out.format !== "folder") out = { ...out, path: partPath(out.path, shard) };
  }
  const frames = args.trajectory ? framesOf(plan.stepCount) : 1;
  const images = set.seeds.length;
  let output: JobOutput | undefined;
  if (out) {
    const { path, format } = out;
    const overwrite = args.overwrite ?? false;
    await checkOutput(path, format, withFrames(set, frames));
    if (isFolderFormat(format)) {
      const content: FolderContent = format === "folder"
        ? { record: settings, names: set.seeds.map((_, n) => pictureName(set, n)), overwrite }
        : {
          record: { ...settings, grids: { seeds: formatRanges(seeds), columns: args.columns } },
          names: [...new Set(set.labels)].map((label) => classGridName(label, model.classNames)),
          overwrite,
        };
      const { finished } = await checkFolder(path, content);
      if (format === "folder") {
        only(content.names.flatMap((name, n) => finished.has(name) ? [] : [n]));
      }
      output = { path, format, claim: () => PictureFolder.open(path, content) };
    } else {
      const record = fileRecord(settings, {
        seeds: wholeSeeds,
        shard: shard && `${shard.index}/${shard.of}`,
        columns: format === "grid" ? args.columns : undefined,
        frames: args.trajectory ? frames : undefined,
      });
      set = { ...set, record };
      const replace = overwrite || ((path: string) => mayReplace(path, format, record));
      const file = { option: "--out", path, replace };
      const inputs = [source, args.latents, args.decoder];
      output = { path, format, claim: () => claimOutputs([file], inputs) };
      using _checked = await output.claim();
    }
  }
  return {
    source,
    set: withFrames(set, frames),
    generate: { ...generate, steps: plan.steps, guidance: plan.guidance },
    kept: images - set.seeds.length,
    batch: Math.min(args.batch, Math.max(set.seeds.length, 1)),
    sampleShape,
    decoder,
    frames,
    sampler: plan.sampler,
    schedule: plan.schedule,
    times: plan.times,
    classRule: plan.classRule,
    settings,
    out: output,
    show: args.show,
    overwrite: args.overwrite ?? false,
  };
}

/** @throws {UsageError} where latents would be taken for pictures because of their channels */
function checkLatents(source: string, shape: Shape, format: OutputFormat | undefined): void {
  if (!arePictures(shape)) return; // refused by what is written, if it must be
  throw new UsageError(
    `${source} makes latents with ${shape[2]} channels, which are not colours; give --decoder ` +
      `FILE.onnx to ${format === undefined ? "see" : "write"} pictures, or write .safetensors.`,
  );
}

/** @throws {UsageError} for options that exclude each other */
function checkTogether(args: SampleArgs, format: OutputFormat | undefined): void {
  const excludes = (option: string, given: boolean, others: Record<string, unknown>) => {
    if (!given) return;
    for (const [name, value] of Object.entries(others)) {
      if (value !== undefined && value !== false) {
        throw new UsageError(`${option} and ${name} do not go together; leave one of them out.`);
      }
    }
  };
  const { seeds, latents, shard } = args;
  excludes("--interpolate", args.interpolate.length > 0, {
    "--seeds": seeds,
    "--latents": latents,
    "--shard": shard,
    "--trajectory": args.trajectory,
  });
  excludes("--trajectory", args.trajectory, { "--shard": shard });
  if (args.trajectory && format && !["grid", "npz", "safetensors"].includes(format)) {
    throw new UsageError(
      `--trajectory makes rows of images: write a grid (.png), .npz or .safetensors, not ${format}.`,
    );
  }
  const needs = (option: string, given: boolean, other: string, has: boolean) => {
    if (given && !has) {
      throw new UsageError(`${option} has no effect without ${other}; leave it out.`);
    }
  };
  needs("--frames", args.frames !== undefined, "--interpolate", args.interpolate.length > 0);
  needs("--latents-scale", args.latentsScale !== 1, "--latents", latents !== undefined);
  const hasGrid = args.show || format === "grid" || format === "class-grids";
  needs("--columns", args.columns !== undefined, "a grid (.png) or --show", Boolean(hasGrid));
  if (shard !== undefined && (format === "grid" || format === "class-grids")) {
    throw new UsageError(
      `--shard cannot make parts of a picture; write a folder, .npz, .zip or .safetensors.`,
    );
  }
}

async function describe(source: string): Promise<ModelDescription> {
  using file = await openModel(source);
  return file;
}

/** Rows of frames between pairs of seeds; all frames of a row have the class of the first seed. */
function between(
  pairs: readonly SeedPair[],
  frames: number,
  shape: Shape,
  sigmaData: number,
  labels: readonly (number | null)[],
): Wanted {
  const from = pairs.flatMap(([seed]) => new Array<number>(frames).fill(seed));
  return {
    // Pictures are named by their numbers, since no seed has them.
    set: { shape, seeds: from.map((_, i) => i), labels, columns: frames },
    generate: {
      seeds: from,
      labels,
      latents: interpolatedLatents(pairs, frames, shape, sigmaData),
    },
    variation: `${frames} frames from ${pairs.map((pair) => pair.join(" to ")).join(", ")}`,
  };
}

function parsePair(text: string): SeedPair {
  const match = /^(\d+),(\d+)$/.exec(text);
  const pair = [Number(match?.[1]), Number(match?.[2])] as const;
  if (!match || !pair.every(Number.isSafeInteger)) {
    throw new UsageError(`--interpolate expects two seeds as in 3,17, but got "${text}".`);
  }
  return pair;
}

/** The set in which every image is a row of frames. */
function withFrames(set: SampleSet, frames: number): SampleSet {
  if (frames === 1) return set;
  const repeated = <T>(all: readonly T[]) => all.flatMap((v) => new Array<T>(frames).fill(v));
  return { ...set, seeds: repeated(set.seeds), labels: repeated(set.labels), columns: frames };
}

async function scaledLatents(
  path: string,
  scale: number,
  shape: Shape,
  sigmaData: number,
  terminal: Terminal,
) {
  const { images, values } = await readLatents(path, shape);
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
    (latents === undefined ? DEFAULT_SEEDS : Array.from({ length: latents }, (_, i) => i));
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
