/**
 * Inception features in the way of a pipeline, computed by this project's own engine or by
 * onnxruntime-web.
 *
 * @module
 */

import { sha256 } from "../../base/hash.ts";
import { compile } from "../../compile/compile.ts";
import { ArenaBuffer, arenaMap } from "../../device/arena_buffer.ts";
import type { Device, Executable } from "../../device/device.ts";
import { type DeviceName, openDevice } from "../../device/open.ts";
import { WebGpuDevice } from "../../device/webgpu/mod.ts";
import { checkLayers, type Extracted, type FeatureExtractor } from "./extractor.ts";
import { OnnxExtractor } from "./onnx_extractor.ts";
import type { ImageBatch } from "../images.ts";
import {
  INCEPTION_CLASSES,
  INCEPTION_CLASSIFIER,
  INCEPTION_FEATURES,
  INCEPTION_LAYER_SIZES,
  INCEPTION_SIZE,
} from "../inception/network.ts";
import { inceptionOnnx } from "../inception/onnx.ts";
import { inceptionProgram } from "../inception/program.ts";
import type { LoadedWeights } from "../inception/weights.ts";
import { descriptionMetadata } from "./onnx_description.ts";
import { type PipelineName, PIPELINES } from "../inception/pipelines.ts";
import { Resampler } from "../inception/resample.ts";

/** What runs the network: this project's own engine, or onnxruntime-web. */
export const INCEPTION_BACKENDS = ["imm", "onnx"] as const;

/** Name of a backend. */
export type InceptionBackend = typeof INCEPTION_BACKENDS[number];

/** How to extract. */
export interface InceptionOptions {
  /** Default: `fid`. */
  readonly pipeline?: PipelineName;
  /** Default: `imm`. The features differ by rounding only, about 1e-6 of the largest. */
  readonly backend?: InceptionBackend;
  /** For the backend `imm`. Default: auto. */
  readonly device?: DeviceName;
  /** Default: as many as there are cores. No result depends on it. */
  readonly threads?: number;
  /** Images per run of the network. Default 4, on a graphics processor 16. No result depends on it. */
  readonly batch?: number;
  /** No set has more images: a run of the network need not be for more. */
  readonly most?: number;
}

/**
 * Opens the extractor.
 *
 * Features are pool3 `[2048]`, logits those without the bias `[1008]`; layers are `64`, `192`, `768`
 * and `spatial` (see inception.ts).
 *
 * @throws {DeviceError} when the device cannot be opened
 */
export async function openInception(
  { weights, sha256: weightsHash, isPublished }: LoadedWeights,
  options: InceptionOptions = {},
): Promise<FeatureExtractor> {
  const { pipeline = "fid", backend = "imm" } = options;
  const id = `inception-${pipeline}${isPublished ? "" : "-other"}`;
  // All that determines the features: which weights, how images are prepared, and this program's
  // version of that.
  const hash = sha256(`imm inception 1 ${pipeline} ${weightsHash}`);
  const classifier = weights.get(INCEPTION_CLASSIFIER)?.data;
  const cacheHash = sha256(`${hash} ${classifier ? sha256(classifier) : "no logits"}`);
  const details = { pipeline, weights: weightsHash };
  if (backend === "imm") {
    const device = await openDevice(options);
    try {
      const batch = options.batch ?? Math.min(usualBatch(device), options.most ?? Infinity);
      const { program, arena, values } = inceptionProgram(weights, batch);
      const buffer = new ArenaBuffer(device, arena);
      for (const [name, data] of values) buffer.write(name, data);
      const executable = await device.prepare(compile(program), arenaMap(buffer));
      return new EngineInception({
        id,
        hash,
        cacheHash,
        classes: classifier ? INCEPTION_CLASSES : undefined,
        details: { ...details, runtime: `imm (${device.description})` },
        batch,
        device,
        executable,
        resampler: new Resampler(PIPELINES[pipeline]),
      });
    } catch (error) {
      device.close();
      throw error;
    }
  }
  const graph = inceptionOnnx(weights, pipeline, "the file of weights");
  graph.metadata.set(...descriptionMetadata({
    version: 1,
    id,
    input: {
      name: "images",
      height: null,
      width: null,
      channels: 3,
      layout: "NHWC",
      type: "uint8",
    },
    features: { name: "features", size: INCEPTION_FEATURES },
    ...(classifier ? { logits: { name: "logits", size: INCEPTION_CLASSES } } : {}),
    taps: Object.fromEntries(
      Object.entries(INCEPTION_LAYER_SIZES).map(([name, size]) => [name, { name, size }]),
    ),
    batch: options.batch ?? Math.min(SMALL_BATCH, options.most ?? Infinity),
  }));
  return await OnnxExtractor.load(graph.toBytes(), {
    hash,
    cacheHash,
    details: { ...details, runtime: "onnxruntime-web" },
    keptLayers: KEPT_LAYERS,
    threads: options.threads,
  });
}

/** Processors are as fast with few images as with many. */
const SMALL_BATCH = 4;
/** Graphics processors have more units to keep busy. */
const LARGE_BATCH = 16;

function usualBatch(device: Device): number {
  return device instanceof WebGpuDevice && !device.summary.software ? LARGE_BATCH : SMALL_BATCH;
}

/** Statistics files have those of the features and of this layer (ADM's `mu_s`). */
const KEPT_LAYERS = ["spatial"] as const;

/** What {@link EngineInception} is made of. */
interface EngineParts {
  readonly id: string;
  readonly hash: string;
  readonly cacheHash: string;
  readonly classes: number | undefined;
  readonly details: Readonly<Record<string, string>>;
  readonly batch: number;
  readonly device: Device;
  readonly executable: Executable;
  readonly resampler: Resampler;
}

/** On this project's own engine. */
class EngineInception implements FeatureExtractor {
  readonly id: string;
  readonly hash: string;
  readonly cacheHash: string;
  readonly details: Readonly<Record<string, string>>;
  readonly dimension = INCEPTION_FEATURES;
  readonly classes?: number;
  readonly layers = INCEPTION_LAYER_SIZES;
  readonly keptLayers = KEPT_LAYERS;
  readonly batch: number;
  readonly #parts: EngineParts;
  /** Images as the network takes them; a short batch is filled up with what was there before. */
  readonly #input: Float32Array;
  /** Images that {@link prepare} has made. */
  readonly #prepared = new WeakSet<ImageBatch>();

  constructor(parts: EngineParts) {
    ({ id: this.id, hash: this.hash, details: this.details, batch: this.batch } = parts);
    ({ cacheHash: this.cacheHash, classes: this.classes } = parts);
    this.#parts = parts;
    this.#input = new Float32Array(this.batch * INCEPTION_SIZE ** 2 * 3);
  }

  extract(images: ImageBatch, layers: readonly string[] = []): Promise<Extracted> {
    const { resampler } = this.#parts;
    return this.#extract(images.count, layers, (first, count) => {
      resampler.resample(images, first, count, this.#input);
    });
  }

  extractMixed(images: readonly ImageBatch[], layers: readonly string[] = []): Promise<Extracted> {
    const { resampler } = this.#parts;
    return this.#extract(images.length, layers, (first, count) => {
      for (let i = 0; i < count; i++) {
        const place = this.#input.subarray(i * resampler.size, (i + 1) * resampler.size);
        const image = images[first + i];
        if (this.#prepared.has(image)) place.set(image.data);
        else resampler.resample(image, 0, 1, place);
      }
    });
  }

  prepare(image: ImageBatch): ImageBatch {
    const { resampler } = this.#parts;
    const data = new Float32Array(resampler.size);
    resampler.resample(image, 0, 1, data);
    const size = { height: INCEPTION_SIZE, width: INCEPTION_SIZE, channels: 3 };
    const prepared: ImageBatch = { ...image, ...size, data };
    this.#prepared.add(prepared);
    return prepared;
  }

  /** @param prepare puts some images into the input */
  async #extract(
    total: number,
    layers: readonly string[],
    prepare: (first: number, count: number) => void,
  ): Promise<Extracted> {
    const { executable } = this.#parts;
    checkLayers(this, layers);
    const names = ["features", ...(this.classes ? ["logits"] : []), ...layers];
    const sizes: Record<string, number> = {
      ...this.layers,
      features: this.dimension,
      logits: this.classes ?? 0,
    };
    const found = Object.fromEntries(
      names.map((name) => [name, new Float32Array(total * sizes[name])]),
    );
    for (let first = 0; first < total; first += this.batch) {
      const count = Math.min(this.batch, total - first);
      prepare(first, count);
      executable.run({ images: this.#input });
      const outputs = await executable.read(names);
      for (const name of names) {
        const part = (outputs[name] as Float32Array).subarray(0, count * sizes[name]);
        found[name].set(part, first * sizes[name]);
      }
    }
    const { features, logits, ...others } = found;
    return { features, logits, ...(layers.length > 0 ? { layers: others } : {}) };
  }

  // deno-lint-ignore require-await -- the interface is asynchronous
  async [Symbol.asyncDispose](): Promise<void> {
    this.#parts.executable.destroy();
    this.#parts.device.close();
  }
}
