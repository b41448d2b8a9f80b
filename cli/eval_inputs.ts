/**
 * What `imm eval` compares: images from files or from a model, statistics of images, and the
 * features to look at them through.
 *
 * @module
 */

import { createHash } from "node:crypto";
import { ContentHasher } from "../lib/data/dataset.ts";
import { openDataset } from "../lib/data/open.ts";
import { type DeviceName, openDevice } from "../lib/device/open.ts";
import { UsageError } from "../lib/errors.ts";
import { openDigitClassifier } from "../lib/eval/digit_classifier.ts";
import type { FeatureExtractor } from "../lib/eval/extractor.ts";
import { OnnxExtractor } from "../lib/eval/features.ts";
import { datasetImages, type ImageSource, memoryImages } from "../lib/eval/images.ts";
import { PixelExtractor } from "../lib/eval/pixels.ts";
import { readReference, type Reference } from "../lib/eval/references.ts";
import { NpzFile } from "../lib/format/npz.ts";
import { openFileSource } from "../lib/format/source.ts";
import { findModel, loadModel } from "../lib/models/model_file.ts";
import { createNetwork } from "../lib/models/registry.ts";
import { Generator } from "../lib/sample/generator.ts";
import { arePictures } from "../lib/sample/output.ts";
import { didYouMean } from "../lib/suggest.ts";
import { formatRanges } from "../lib/units.ts";
import { planSampling, type SamplingArgs } from "./sampling.ts";

/** One of the two sets of images. */
export interface Side extends AsyncDisposable {
  readonly images: ImageSource;
  /** Height, width, channels. */
  readonly shape: readonly [height: number, width: number, channels: number];
  /** Number of classes that the labels are of; 0 without labels. */
  readonly classes: number;
  /** What it takes to get the same images again; complete once they have been read. */
  origin(): Record<string, unknown>;
}

/** A reference of which only mean and covariance are known. */
export interface StatisticsSide {
  readonly statistics: Reference;
  origin(): Record<string, unknown>;
}

/** Images of a data set, hashed while they are read. */
export async function openImages(spec: string): Promise<Side> {
  const dataset = await openDataset(spec);
  try {
    const source = datasetImages(dataset);
    let sha256: string | null = null;
    const images: ImageSource = {
      ...source,
      async *batches(size) {
        const hasher = new ContentHasher(dataset);
        const labels = new Int32Array(dataset.length);
        let done = 0;
        for await (const batch of source.batches(size)) {
          hasher.addImages(batch.data as Uint8Array);
          if (batch.labels) labels.set(batch.labels, done);
          done += batch.count;
          yield batch;
        }
        sha256 = hasher.finish(labels);
      },
    };
    return {
      images,
      shape: dataset.imageShape,
      classes: dataset.labelCount,
      origin: () => ({ kind: "images", sha256 }),
      [Symbol.asyncDispose]: () => Promise.resolve(dataset.close()),
    };
  } catch (error) {
    dataset.close();
    throw error;
  }
}

/** How many images of a model, and how to sample them. */
export interface GenerationArgs extends SamplingArgs {
  readonly seeds: readonly number[];
  readonly batch: number;
  readonly device: DeviceName;
  readonly signal?: AbortSignal;
}

/** Images that a model makes while they are read. */
export async function openGenerated(checkpoint: string, args: GenerationArgs): Promise<Side> {
  const file = await findModel(checkpoint);
  const model = await loadModel(file);
  const network = createNetwork(model.network);
  const shape = network.sampleShape;
  if (!arePictures(shape)) {
    throw new UsageError(
      `${file} makes samples of the shape [${shape.join(", ")}], not grey or colour pictures; ` +
        `only pictures can be evaluated.`,
    );
  }
  const [height, width, channels] = shape;
  const { seeds, signal } = args;
  const classCount = network.conditioning.labels?.classes ?? 0;
  const plan = planSampling(args, model.imm, seeds, classCount);
  const labelled = plan.labels.every((label) => label !== null);
  const labels = labelled ? Int32Array.from(plan.labels as number[]) : undefined;
  const sha256 = await fileHash(file);

  const device = await openDevice({ device: args.device });
  try {
    const batch = Math.min(args.batch, seeds.length);
    const generator = await Generator.create(device, model, { batch, source: file });
    const { steps, times, guidance } = plan;
    const name = `${checkpoint} in ${steps.length} ${steps.length === 1 ? "step" : "steps"}`;
    const images: ImageSource = {
      name,
      count: seeds.length,
      async *batches(size) {
        const made = generator.batches({ seeds, labels: plan.labels, steps, guidance, signal });
        for await (const { first, count, samples } of made) {
          const part = { count, height, width, channels, data: samples };
          const own = labels?.subarray(first, first + count);
          yield* memoryImages(name, { ...part, labels: own }).batches(size);
        }
      },
    };
    return {
      images,
      shape: [height, width, channels],
      classes: labelled ? classCount : 0,
      origin: () => ({
        kind: "model",
        file,
        sha256,
        sampler: args.sampler,
        schedule: args.schedule,
        steps: steps.length,
        times,
        guidance,
        classes: plan.classes,
        seeds: formatRanges(seeds),
        device: { kind: device.kind, description: device.description },
      }),
      [Symbol.asyncDispose]: () => {
        generator.free();
        device.close();
        return Promise.resolve();
      },
    };
  } catch (error) {
    device.close();
    throw error;
  }
}

/** Statistics if the file holds some, else images. */
export async function openReference(spec: string): Promise<Side | StatisticsSide> {
  if (!await holdsStatistics(spec)) return await openImages(spec);
  const statistics = await readReference(spec);
  const { mean, covariance } = statistics;
  const sha256 = createHash("sha256").update(mean).update(covariance).digest("hex");
  return { statistics, origin: () => ({ kind: "statistics", sha256 }) };
}

async function holdsStatistics(spec: string): Promise<boolean> {
  if (!spec.toLowerCase().endsWith(".npz")) return false;
  using file = await NpzFile.open(spec);
  return ["mu", "ref_mu"].some((name) => file.names.includes(name));
}

/** SHA-256 of a file of any size, in hex. */
async function fileHash(path: string): Promise<string> {
  using file = await openFileSource(path);
  const hash = createHash("sha256");
  const piece = 1 << 24;
  for (let at = 0; at < file.size; at += piece) {
    hash.update(await file.read(at, Math.min(piece, file.size - at)));
  }
  return hash.digest("hex");
}

/** Larger images need a network to say what is on them. */
const LARGEST_PIXELS = 16;

/**
 * The extractor that `--extractor` names, or the one that fits the reference.
 *
 * @param shape of the images to compare
 * @throws {UsageError} when there is no obvious one, or no such one
 */
export async function openExtractor(
  name: string | undefined,
  reference: Side | StatisticsSide | null,
  [height, width, channels]: Side["shape"],
): Promise<FeatureExtractor> {
  const chosen = name ?? fittingExtractor(reference, height, width);
  if (chosen === "pixels") return await PixelExtractor.create({ height, width, channels });
  if (chosen === "digits") return await openDigitClassifier();
  if (chosen.toLowerCase().endsWith(".onnx")) return await OnnxExtractor.load(chosen);
  throw new UsageError(
    `--extractor expects pixels, digits, or an .onnx file, but got "${chosen}"${
      didYouMean(chosen, ["pixels", "digits"]) || "."
    }`,
  );
}

function fittingExtractor(
  reference: Side | StatisticsSide | null,
  height: number,
  width: number,
): string {
  if (reference && "statistics" in reference) {
    const { name, provenance } = reference.statistics;
    const made = provenance?.extractor.id;
    if (made === "digit-classifier") return "digits";
    if (made?.startsWith("pixels-")) return "pixels";
    throw new UsageError(
      made === undefined
        ? `${name} does not say which extractor made it; give that one with --extractor FILE.onnx.`
        : `${name} was made by the extractor ${made}; give it with --extractor FILE.onnx.`,
    );
  }
  if (reference?.images.name === "digits") return "digits";
  if (height <= LARGEST_PIXELS && width <= LARGEST_PIXELS) return "pixels";
  throw new UsageError(
    `Images of ${height}x${width} pixels need a network to extract features: give one with ` +
      `--extractor FILE.onnx (or --extractor pixels to compare the bare pixels).`,
  );
}
