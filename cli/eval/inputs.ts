/**
 * What `imm eval` compares: images from files or from a model, statistics of images, and the
 * features to look at them through.
 *
 * @module
 */

import { sha256 } from "../../lib/base/hash.ts";
import type { Shard } from "../../lib/base/shard.ts";
import { ContentHasher, type Dataset } from "../../lib/data/dataset.ts";
import { LATENT_NOTE } from "../../lib/data/latents/note.ts";
import { pathRead } from "../../lib/data/spec.ts";
import { openDataset } from "../../lib/data/open.ts";
import { type DeviceName, openDevice } from "../../lib/device/open.ts";
import { fileSha256 } from "../../lib/files/download.ts";
import { FormatError, UsageError } from "../../lib/base/errors.ts";
import { presentClasses } from "../../lib/eval/classes.ts";
import { CHUNK } from "../../lib/eval/feature_cache.ts";
import {
  datasetImages,
  edmSubset,
  generatedImages,
  imageRange,
  type ImageSource,
} from "../../lib/eval/images.ts";
import { holdsStatistics, readReference } from "../../lib/eval/references/files.ts";
import type { Reference } from "../../lib/eval/references/reference.ts";
import { NpzFile } from "../../lib/formats/arrays/npz.ts";
import { findModel, loadModel, type Model } from "../../lib/models/model_file.ts";
import { createNetwork } from "../../lib/models/registry.ts";
import type { LatentDecoder } from "../../lib/sample/decoder.ts";
import { Generator } from "../../lib/sample/generator.ts";
import { arePictures } from "../../lib/sample/output/sample_set.ts";
import { formatRanges } from "../../lib/base/units.ts";
import { VERSION } from "../../lib/base/version.ts";
import { type DecodingArgs, openDecoder } from "../sample/decoding.ts";
import { planSampling, type SamplingArgs } from "../sample/options.ts";
import { objectiveOf } from "../../lib/objectives/registry.ts";

/** Every file that an evaluation reads, for `claimOutputs`; also what is no path. */
export async function filesRead(
  { _: [samples], checkpoint, reference, baseline, extractor, weights, decoder }: {
    readonly _: readonly string[];
    readonly checkpoint?: string;
    readonly reference?: string;
    readonly baseline?: string;
    readonly extractor?: string;
    readonly weights?: string;
    readonly decoder?: string;
  },
): Promise<(string | null | undefined)[]> {
  // Of the folder of a run one file is read; what else is there is taken care of as a run's.
  const model = checkpoint === undefined ? undefined : await findModel(checkpoint).catch(() => {});
  const data = [samples, reference].map((spec) => spec === undefined ? null : pathRead(spec));
  return [...await Promise.all(data), model ?? null, baseline, extractor, weights, decoder];
}

/** One of the two sets of images. */
export interface Side extends AsyncDisposable {
  readonly images: ImageSource;
  /** Height, width, channels. */
  readonly shape: readonly [height: number, width: number, channels: number];
  /** Number of classes that the labels are of; 0 without labels. */
  readonly classes: number;
  /** What it takes to get the same images again; complete once they have been read. */
  origin(): Record<string, unknown>;
  /** Frees files and devices. */
  [Symbol.asyncDispose](): Promise<void>;
}

/** A set of which only mean and covariance are known, and perhaps some images. */
export interface StatisticsSide extends AsyncDisposable {
  readonly statistics: Reference;
  /** Images in the same file. */
  readonly some?: Side;
  origin(): Record<string, unknown>;
  [Symbol.asyncDispose](): Promise<void>;
}

/** Whether all that is known of a side is statistics. */
export function isStatistics(side: Side | StatisticsSide | null): side is StatisticsSide {
  return side !== null && "statistics" in side;
}

/** Which images of a data set, and what to do with unreadable ones. */
export interface ImagesArgs {
  /** Number of images, chosen as EDM's tools choose them; default all. */
  readonly num?: number;
  /** Of the choice. */
  readonly seed?: number;
  readonly shard?: Shard;
  /** Leave unreadable images out instead of failing. */
  readonly skipCorrupt?: boolean;
  /** Pictures that are not read, or whose files are odd, are an error. */
  readonly strict?: boolean;
  /** Pad images with black to squares of this size. */
  readonly padTo?: number;
  /** Is told what a person should know of how the files were understood, in a sentence. */
  readonly onNote?: (note: string) => void;
}

/** Every image is looked at once; what is small may be shown in a report, too. */
const KEEP_BYTES = 2 ** 24;

/** Unreadable images that a message names. */
const NAMED = 5;

/** Images of a data set, hashed while they are read. */
export async function openImages(spec: string, args: ImagesArgs = {}): Promise<Side> {
  const corrupt: FormatError[] = [];
  const dataset = await openDataset(spec, {
    padTo: args.padTo,
    strict: args.strict,
    onWarning: args.onNote,
    // Each is resized for itself; an extractor that does not says what it needs.
    mixedSizes: args.padTo === undefined,
    keepBytes: KEEP_BYTES,
    onCorrupt: (error) => corrupt.push(error),
  });
  for (const note of dataset.notes ?? []) args.onNote?.(note);
  try {
    const { num, seed = 0, shard, skipCorrupt } = args;
    if (num !== undefined && num > dataset.length) {
      throw new UsageError(
        `--num asks for ${num} images, but ${spec} has ${dataset.length}; ask for fewer.`,
      );
    }
    const indices = num !== undefined && num < dataset.length
      ? edmSubset(dataset.length, num, seed)
      : undefined;
    if (corrupt.length > 0 && !skipCorrupt) throw corruptError(dataset, 0, corrupt);
    const onCorrupt = (index: number, error: FormatError) => {
      if (!skipCorrupt) throw corruptError(dataset, index + 1, [...corrupt, error]);
      corrupt.push(error);
    };
    const whole = { ...datasetImages(dataset, { indices, onCorrupt }), missing: corrupt.length };
    const part = shard ? shardOf(whole, shard) : whole;
    const hashed = hashedImages(part, dataset);
    return {
      images: hashed.images,
      shape: dataset.imageShape,
      classes: dataset.labelCount,
      origin: () => ({
        kind: "images",
        sha256: hashed.sha256(),
        ...(indices ? { subset: { count: num, seed } } : {}),
        ...(shard ? { shard } : {}),
        ...(corrupt.length > 0 ? { corrupt: corrupt.map(({ message }) => message) } : {}),
      }),
      [Symbol.asyncDispose]: () => Promise.resolve(dataset.close()),
    };
  } catch (error) {
    dataset.close();
    throw error;
  }
}

/** The same images, hashed as `Dataset.contentHash` does when they are read in order. */
function hashedImages(
  source: ImageSource,
  { imageShape, labelCount }: Dataset,
): { images: ImageSource; sha256: () => string | null } {
  const hasher = new ContentHasher({ length: source.count, imageShape, labelCount });
  const labels: Int32Array[] = [];
  let next = 0;
  let sha256: string | null = null;
  const images: ImageSource = {
    ...source,
    async read(first, count) {
      const batch = await source.read(first, count);
      if (first !== next || sha256 !== null) return batch; // looked up, not walked through
      if (source.mixed) {
        const shape = JSON.stringify([batch.height, batch.width, batch.channels]);
        hasher.addImages(new TextEncoder().encode(shape));
      }
      hasher.addImages(batch.data as Uint8Array);
      if (batch.labels) labels.push(batch.labels);
      next += count;
      if (next === source.count) {
        sha256 = hasher.finish(Int32Array.from(labels.flatMap((part) => [...part])));
      }
      return batch;
    },
  };
  return { images, sha256: () => sha256 };
}

/** Reads the images from `next` on, too, so that the message can name and count all of them. */
function corruptError(dataset: Dataset, next: number, found: readonly FormatError[]): FormatError {
  const all = [...found];
  for (let i = next; i < dataset.length; i++) {
    try {
      dataset.image(i);
    } catch (error) {
      if (!(error instanceof FormatError)) throw error;
      all.push(error);
    }
  }
  const named = all.slice(0, NAMED).map(({ message }) => message.replace(/\.$/, ""));
  const more = all.length > NAMED ? `; and ${all.length - NAMED} more` : "";
  return new FormatError(
    `${dataset.name} has ${all.length} ${all.length === 1 ? "image" : "images"} that cannot be ` +
      `read (${named.join("; ")}${more}); mend or remove ${all.length === 1 ? "it" : "them"}, or ` +
      `go on without with --skip-corrupt.`,
  );
}

/** One of `of` parts of about the same size, cut where the cache of features cuts. */
function shardOf(source: ImageSource, { index, of }: Shard): ImageSource {
  const chunks = Math.ceil(source.count / CHUNK);
  const cut = (i: number) => Math.min(source.count, CHUNK * Math.floor(i * chunks / of));
  const [begin, end] = [cut(index - 1), cut(index)];
  if (begin === end) {
    throw new UsageError(
      `--shard ${index}/${of} is empty: ${source.name} has ${source.count} images, which are ` +
        `divided in runs of ${CHUNK}; use fewer shards.`,
    );
  }
  return imageRange(source, begin, end);
}

/** How many images of a model, and how to sample them. */
export interface GenerationArgs extends SamplingArgs, DecodingArgs {
  readonly seeds: readonly number[];
  readonly batch: number;
  readonly device: DeviceName;
  readonly threads?: number;
  readonly shard?: Shard;
  readonly signal?: AbortSignal;
}

/** Images that a model makes while they are read. */
export async function openGenerated(checkpoint: string, args: GenerationArgs): Promise<Side> {
  const file = await findModel(checkpoint);
  const model = await loadModel(file);
  const decoder = await openDecoder(args, model, file);
  try {
    return await generatedSide(checkpoint, { file, model, decoder }, args);
  } catch (error) {
    await decoder?.[Symbol.asyncDispose]();
    throw error;
  }
}

async function generatedSide(
  checkpoint: string,
  { file, model, decoder }: {
    readonly file: string;
    readonly model: Model;
    readonly decoder: LatentDecoder | null;
  },
  args: GenerationArgs,
): Promise<Side> {
  const network = createNetwork(model.network);
  const shape = decoder?.shape ?? network.sampleShape;
  if (!arePictures(shape) || decoder === null && LATENT_NOTE in model.notes) {
    throw new UsageError(
      `${file} makes samples of the shape [${shape.join(", ")}], not grey or colour pictures; ` +
        `only pictures can be evaluated` +
        (shape.length === 3 ? ", which --decoder FILE.onnx makes of latents." : "."),
    );
  }
  const [height, width, channels] = shape;
  const { seeds, signal } = args;
  const classCount = network.conditioning.labels?.classes ?? 0;
  const plan = planSampling(args, objectiveOf(model), seeds, classCount, model.classNames);
  const labelled = plan.labels.every((label) => label !== null);
  const labels = labelled ? Int32Array.from(plan.labels as number[]) : undefined;
  const sha256 = await fileSha256(file);

  const device = await openDevice(args);
  try {
    const batch = Math.min(args.batch, seeds.length);
    const generator = await Generator.create(device, model, { batch, source: file });
    const { steps, times, guidance } = plan;
    const name = `${checkpoint} in ${plan.stepCount} ${plan.stepCount === 1 ? "step" : "steps"}`;
    const how = {
      sampler: plan.sampler,
      schedule: plan.schedule,
      steps: plan.stepCount,
      times,
      guidance,
      classes: plan.classes,
      device: { kind: device.kind, description: device.description },
      ...(decoder ? { decoder: decoder.record } : {}),
    };
    const source = generatedImages(name, seeds.length, async (first, count) => {
      const range = <T>(all: readonly T[]) => all.slice(first, first + count);
      const made = await generator.generate({
        seeds: range(seeds),
        labels: range(plan.labels),
        steps,
        guidance,
        signal,
      });
      const data = decoder ? await decoder.decode(made, signal) : made;
      const own = labels?.subarray(first, first + count);
      return { count, height, width, channels, data, labels: own };
    });
    const whole: ImageSource = {
      ...source,
      ...(labels
        ? {
          classes: {
            count: classCount,
            names: model.classNames ?? null,
            present: presentClasses(labels),
          },
        }
        : {}),
      batch,
      identify(first, count) {
        const [own, classes] = [seeds, plan.labels].map((all) => all.slice(first, first + count));
        return {
          fingerprint: JSON.stringify(["imm bytes", VERSION, sha256, how, own, classes]),
          labels: labels?.subarray(first, first + count),
        };
      },
    };
    const images = args.shard ? shardOf(whole, args.shard) : whole;
    return {
      images,
      shape: [height, width, channels],
      classes: labelled ? classCount : 0,
      origin: () => ({
        kind: "model",
        path: file,
        sha256,
        ...how,
        seeds: formatRanges(seeds),
        ...(args.shard ? { shard: args.shard } : {}),
      }),
      [Symbol.asyncDispose]: async () => {
        generator.free();
        device.close();
        await decoder?.[Symbol.asyncDispose]();
      },
    };
  } catch (error) {
    device.close();
    throw error;
  }
}

/** Statistics if the file holds some, else images. */
export async function openSide(
  spec: string,
  args: ImagesArgs = {},
): Promise<Side | StatisticsSide> {
  if (!await holdsStatistics(spec)) return await openImages(spec, args);
  const statistics = await readReference(spec);
  const { mean, covariance } = statistics;
  const hash = sha256(mean, covariance);
  const some = await holdsImages(spec) ? await openImages(spec, args) : undefined;
  return {
    statistics,
    some,
    origin: () => ({ kind: "statistics", sha256: hash }),
    [Symbol.asyncDispose]: async () => await some?.[Symbol.asyncDispose](),
  };
}

async function holdsImages(spec: string): Promise<boolean> {
  if (!spec.toLowerCase().endsWith(".npz")) return false;
  using file = await NpzFile.open(spec);
  return file.names.includes("arr_0");
}
