/**
 * Feature extraction with any network in an ONNX file, run by onnxruntime-web on the CPU.
 *
 * The package's main entry resolves to its build for Node, which is the one to use in Deno: it
 * finds its WebAssembly through the file system, runs several threads (1.9x with two, and the
 * same bits), and works in Workers as it is; the builds for browsers do neither.
 *
 * @module
 */

import type { InferenceSession, Tensor } from "npm:onnxruntime-web@1.30.0";
import { z } from "npm:zod@4.1.12";
import { FormatError, UsageError } from "../errors.ts";
import { readOnnxMetadata } from "../format/onnx.ts";
import { readFileBytes } from "../format/source.ts";
import type { Same } from "../schema.ts";
import { checkTaps, type Extracted, type FeatureExtractor, sha256 } from "./extractor.ts";
import { type ImageBatch, toBytes } from "./images.ts";

/** Key of the description in the metadata of a model. */
const METADATA_KEY = "imm.extractor";

/** What a network is given. */
export interface ExtractorInput {
  /** Name of the input in the ONNX graph. */
  readonly name: string;
  /** Height of the images in pixels; null where the network itself resizes. */
  readonly height: number | null;
  /** Width of the images in pixels; null where the network itself resizes. */
  readonly width: number | null;
  /** 3 for colour, for which grey images are repeated, or 1. */
  readonly channels: 1 | 3;
  /** Order of the axes: images, channels, rows and columns. */
  readonly layout: "NCHW" | "NHWC";
  /** `uint8` is given the bytes, `float32` byte * scale + offset. */
  readonly type: "float32" | "uint8";
  /** Factor on the bytes, or one per channel. Default 1. */
  readonly scale: number | readonly number[];
  /** Added after the factor, or one number per channel. Default 0. */
  readonly offset: number | readonly number[];
}

/** What a network gives: float32. */
export interface ExtractorOutput {
  /** Name of the output in the ONNX graph. */
  readonly name: string;
  /** Numbers per image. */
  readonly size: number;
}

/** How to use a network as an extractor. */
export interface ExtractorDescription {
  /** Version of this format. */
  readonly version: 1;
  /** Short name, of lower-case letters, digits and `.`, `_`, `-`: `inception-2015-tf1`. */
  readonly id: string;
  /** The images. */
  readonly input: ExtractorInput;
  /** The feature vectors. */
  readonly features: ExtractorOutput;
  /** Where the network classifies: what comes before the softmax. */
  readonly logits?: ExtractorOutput;
  /** Other vectors that metrics may ask for, by name: `spatial` is what sFID compares. */
  readonly taps?: Readonly<Record<string, ExtractorOutput>>;
  /**
   * Images per run, always: at the end of a set the last one is repeated, so that a vector does
   * not depend on how images are grouped. Default 32.
   */
  readonly batch: number;
}

/** A description as people write it: what has a default may be left out. */
export interface ExtractorDescriptionInput extends Omit<ExtractorDescription, "input" | "batch"> {
  /** The images. */
  readonly input: Omit<ExtractorInput, "scale" | "offset"> & Partial<ExtractorInput>;
  /** Images per run. Default 32. */
  readonly batch?: number;
}

const perChannel = z.union([z.number(), z.array(z.number()).min(1).max(4)]);
const output = z.strictObject({ name: z.string(), size: z.int().positive() });

const descriptionSchema = z.strictObject({
  version: z.literal(1),
  id: z.string().regex(/^[a-z0-9][a-z0-9._-]*$/),
  input: z.strictObject({
    name: z.string(),
    height: z.int().positive().nullable(),
    width: z.int().positive().nullable(),
    channels: z.union([z.literal(1), z.literal(3)]),
    layout: z.enum(["NCHW", "NHWC"]),
    type: z.enum(["float32", "uint8"]),
    scale: perChannel.default(1),
    offset: perChannel.default(0),
  }),
  features: output,
  logits: output.optional(),
  taps: z.record(z.string(), output).optional(),
  batch: z.int().positive().max(1024).default(32),
});

// The interfaces above are the schema's documentation: these lines compile only where both agree.
true satisfies Same<z.output<typeof descriptionSchema>, ExtractorDescription>;
true satisfies Same<z.input<typeof descriptionSchema>, ExtractorDescriptionInput>;

/** Options of {@link OnnxExtractor.load}. */
export interface OnnxExtractorOptions {
  /** Overrides the description within the file; for models of others, which have none. */
  readonly description?: ExtractorDescriptionInput;
  /**
   * Threads of the runtime; counts from the first model that is loaded. Default: the processors,
   * 8 at most; one in a compiled program.
   */
  readonly threads?: number;
  /** What determines the features, where that is known better than from the bytes of the model. */
  readonly hash?: string;
  /** See {@link FeatureExtractor.details}. */
  readonly details?: Readonly<Record<string, string | number>>;
}

/** The description as the metadata of a model: an entry for `OnnxGraph.metadata`. */
export function descriptionMetadata(description: ExtractorDescriptionInput): [string, string] {
  return [METADATA_KEY, JSON.stringify(descriptionSchema.parse(description))];
}

/** An extractor in an ONNX file. */
export class OnnxExtractor implements FeatureExtractor {
  readonly id: string;
  readonly dimension: number;
  readonly classes?: number;
  readonly taps: Readonly<Record<string, number>>;
  readonly batch: number;

  private constructor(
    readonly description: ExtractorDescription,
    readonly hash: string,
    readonly details: Readonly<Record<string, string | number>> | undefined,
    private readonly session: InferenceSession,
    private readonly tensorType: typeof Tensor,
  ) {
    this.id = description.id;
    this.dimension = description.features.size;
    this.classes = description.logits?.size;
    this.taps = Object.fromEntries(
      Object.entries(description.taps ?? {}).map(([tap, { size }]) => [tap, size]),
    );
    this.batch = description.batch;
  }

  /**
   * Loads a model.
   *
   * @param model path of the file, or its bytes
   * @throws {FormatError} when it is no ONNX model, has no valid description, or does not have
   * the inputs and outputs of the description
   */
  static async load(
    model: string | Uint8Array<ArrayBuffer>,
    options: OnnxExtractorOptions = {},
  ): Promise<OnnxExtractor> {
    const name = typeof model === "string" ? model : "the extractor";
    const bytes = typeof model === "string" ? await readFileBytes(model) : model;
    const embedded = readOnnxMetadata(bytes, name).get(METADATA_KEY);
    const description = parseDescription(options.description ?? embedded, name);
    const hash = options.hash ?? await hashOf(bytes, options.description && description);

    const runtime = await loadRuntime(options.threads ?? defaultThreads());
    const session = await createSession(runtime, bytes, name);
    const { input, features, logits, taps = {} } = description;
    const missing = [
      ...[input.name].filter((item) => !session.inputNames.includes(item)),
      ...[features, logits, ...Object.values(taps)].flatMap((item) => item ? [item.name] : [])
        .filter((item) => !session.outputNames.includes(item)),
    ];
    if (missing.length > 0) {
      await session.release();
      throw new FormatError(
        `${name} has no ${missing.join(", ")}; its inputs are ${session.inputNames.join(", ")} ` +
          `and its outputs ${session.outputNames.join(", ")}. Correct the description.`,
      );
    }
    return new OnnxExtractor(description, hash, options.details, session, runtime.Tensor);
  }

  /** Runs the network on the images, {@link batch} at a time. */
  async extract(images: ImageBatch, taps: readonly string[] = []): Promise<Extracted> {
    const { input } = this.description;
    const wrongSize = (input.height !== null && input.height !== images.height) ||
      (input.width !== null && input.width !== images.width);
    if (wrongSize || (images.channels !== input.channels && images.channels !== 1)) {
      throw new UsageError(
        `The extractor ${this.id} needs images of ${input.height ?? "any"}x` +
          `${input.width ?? "any"}x${input.channels}, found ${images.height}x${images.width}x` +
          `${images.channels}.`,
      );
    }
    const wanted = this.#outputs(taps);
    const found = wanted.map(({ size }) => new Float32Array(images.count * size));
    for (let first = 0; first < images.count; first += this.batch) {
      const count = Math.min(this.batch, images.count - first);
      const feeds = { [input.name]: this.#input(images, first) };
      const outputs = await this.session.run(feeds, wanted.map(({ name }) => name));
      wanted.forEach((item, i) =>
        found[i].set(this.#output(outputs[item.name], item, count), first * item.size)
      );
    }
    const [features, ...others] = found;
    const logits = this.description.logits ? others.shift() : undefined;
    return {
      features,
      logits,
      ...(taps.length > 0
        ? { taps: Object.fromEntries(taps.map((tap, i) => [tap, others[i]])) }
        : {}),
    };
  }

  /** Frees the memory of the network. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.session.release();
  }

  /** Features, logits where there are some, taps. */
  #outputs(taps: readonly string[]): ExtractorOutput[] {
    const { features, logits, taps: known = {} } = this.description;
    checkTaps(this, taps);
    return [features, ...(logits ? [logits] : []), ...taps.map((tap) => known[tap])];
  }

  /** `batch` images from `first`; where the set ends its last image is repeated. */
  #input(images: ImageBatch, first: number): Tensor {
    const { channels, layout, type, scale, offset } = this.description.input;
    const { height, width } = images;
    const pixels = height * width;
    const size = this.batch * channels * pixels;
    const data = type === "uint8" ? new Uint8Array(size) : new Float32Array(size);
    // A float32 input takes floats as they are: a generator's images need no rounding to bytes.
    const source = type === "uint8" ? toBytes(images.data) : images.data;
    const isByte = source instanceof Uint8Array;
    const [pixelStep, channelStep] = layout === "NHWC" ? [channels, 1] : [1, pixels];
    for (let i = 0; i < this.batch; i++) {
      const image = Math.min(first + i, images.count - 1);
      for (let c = 0; c < channels; c++) {
        const factor = type === "uint8" ? 1 : channelValue(scale, c);
        const term = type === "uint8" ? 0 : channelValue(offset, c);
        // Grey images are repeated where the network wants colours.
        const from = image * pixels * images.channels + Math.min(c, images.channels - 1);
        const to = i * channels * pixels + c * channelStep;
        for (let p = 0; p < pixels; p++) {
          const value = source[from + p * images.channels];
          const byte = isByte ? value : (Math.min(1, Math.max(-1, value)) + 1) * 127.5;
          data[to + p * pixelStep] = byte * factor + term;
        }
      }
    }
    const shape = layout === "NHWC"
      ? [this.batch, height, width, channels]
      : [this.batch, channels, height, width];
    return new this.tensorType(type, data, shape);
  }

  #output(tensor: Tensor, { name, size }: ExtractorOutput, count: number): Float32Array {
    if (tensor.type !== "float32" || tensor.size !== this.batch * size) {
      throw new FormatError(
        `The output ${name} of the extractor ${this.id} must be float32 with ${size} numbers ` +
          `per image, found ${tensor.type} [${tensor.dims.join(", ")}] for ${this.batch} images.`,
      );
    }
    return (tensor.data as Float32Array).subarray(0, count * size);
  }
}

/**
 * The first session starts the runtime's threads, for which it puts Node's Worker in the place of
 * the global one and leaves it there; every Worker of this program would break after that.
 */
const { Worker } = globalThis;

type Runtime = typeof import("npm:onnxruntime-web@1.30.0");

/** Imports the runtime when it is first needed: a program that extracts nothing never does. */
async function loadRuntime(threads: number): Promise<Runtime> {
  const runtime = await import("npm:onnxruntime-web@1.30.0");
  runtime.env.logLevel = "error";
  runtime.env.wasm.numThreads = threads;
  return runtime;
}

async function createSession(
  runtime: Runtime,
  bytes: Uint8Array<ArrayBuffer>,
  name: string,
): Promise<InferenceSession> {
  try {
    return await runtime.InferenceSession.create(bytes, { executionProviders: ["wasm"] });
  } catch (error) {
    throw new FormatError(
      `${name} cannot be run: ${error instanceof Error ? error.message : error}`,
      { cause: error },
    );
  } finally {
    globalThis.Worker = Worker;
  }
}

/** Of the model, and of a description that is not part of it. */
async function hashOf(
  bytes: Uint8Array<ArrayBuffer>,
  description?: ExtractorDescription,
): Promise<string> {
  const hash = await sha256(bytes);
  if (!description) return hash;
  return await sha256(new TextEncoder().encode(`${hash}\n${JSON.stringify(description)}`));
}

function channelValue(value: number | readonly number[], channel: number): number {
  return typeof value === "number" ? value : value[channel];
}

/** One thread in a compiled program, where the runtime's own worker file may be missing. */
function defaultThreads(): number {
  return Deno.build.standalone ? 1 : Math.min(8, navigator.hardwareConcurrency);
}

function parseDescription(description: unknown, name: string): ExtractorDescription {
  if (description === undefined) {
    throw new FormatError(
      `${name} does not describe itself as an extractor; give a description of its input and ` +
        `outputs.`,
    );
  }
  let value = description;
  if (typeof description === "string") {
    try {
      value = JSON.parse(description);
    } catch (error) {
      throw new FormatError(`The description in ${name} is no JSON.`, { cause: error });
    }
  }
  const parsed = descriptionSchema.safeParse(value);
  if (!parsed.success) {
    throw new FormatError(
      `The description of the extractor ${name} is not valid: ${z.prettifyError(parsed.error)}`,
    );
  }
  const { channels, scale, offset } = parsed.data.input;
  for (const list of [scale, offset]) {
    if (typeof list !== "number" && list.length !== channels) {
      throw new FormatError(
        `The description of the extractor ${name} needs a number per channel (${channels}), ` +
          `found ${list.length}.`,
      );
    }
  }
  return parsed.data;
}
