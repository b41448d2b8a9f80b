/**
 * Feature extraction with any network in an ONNX file, run by onnxruntime-web on the CPU, in a pool of
 * Workers where there are several threads (onnx_sessions.ts).
 *
 * @module
 */

import { sha256 } from "../../base/hash.ts";
import { FormatError, UsageError } from "../../base/errors.ts";
import { readOnnxMetadata } from "../../formats/onnx/model.ts";
import { readFileBytes } from "../../formats/source.ts";
import { inOrder } from "../../base/workers.ts";
import { checkLayers, type Extracted, type FeatureExtractor } from "./extractor.ts";
import { type ImageBatch, toBytes } from "../images.ts";
import {
  descriptionBeside,
  type ExtractorDescription,
  type ExtractorDescriptionInput,
  type ExtractorOutput,
  METADATA_KEY,
  parseDescription,
} from "./onnx_description.ts";
import {
  type OnnxInput,
  type OnnxOutput,
  type OnnxSessions,
  openSessions,
} from "./onnx_sessions.ts";
import { Resampler } from "../inception/resample.ts";

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
  /** See {@link FeatureExtractor.cacheHash}. */
  readonly cacheHash?: string;
  /** See {@link FeatureExtractor.details}. */
  readonly details?: Readonly<Record<string, string | number>>;
  /** See {@link FeatureExtractor.keptLayers}. */
  readonly keptLayers?: readonly string[];
  /** Names of the classes of the logits. Default: those of the description. */
  readonly classNames?: readonly string[];
}

/** An extractor in an ONNX file. */
export class OnnxExtractor implements FeatureExtractor {
  readonly id: string;
  readonly dimension: number;
  readonly classes?: number;
  readonly classNames?: readonly string[];
  readonly layers: Readonly<Record<string, number>>;
  readonly batch: number;
  readonly #resampler: Resampler | null;

  private constructor(
    readonly description: ExtractorDescription,
    readonly hash: string,
    readonly cacheHash: string | undefined,
    readonly details: Readonly<Record<string, string | number>> | undefined,
    readonly keptLayers: readonly string[] | undefined,
    classNames: readonly string[] | undefined,
    private readonly sessions: OnnxSessions,
  ) {
    this.id = description.id;
    this.dimension = description.features.size;
    this.classes = description.logits?.size;
    this.classNames = classNames ?? description.logits?.classes;
    this.layers = Object.fromEntries(
      Object.entries(description.taps ?? {}).map(([layer, { size }]) => [layer, size]),
    );
    // Enough for every session while the next images are prepared.
    const ahead = sessions.parallel > 1 ? 2 * sessions.parallel : 1;
    this.batch = description.batch * ahead;
    const { resize, height, width, channels } = description.input;
    this.#resampler = resize === undefined ? null : new Resampler({
      resampling: resize,
      height: height!,
      width: width!,
      channels,
      // To floats on [-1, 1], as a generator's are.
      scale: 1 / 127.5,
      offset: -1,
    });
  }

  /**
   * Loads a model. Its description is the one given, or else in a JSON file beside the model
   * (`net.json` beside `net.onnx`), or in the model's metadata.
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
    const given = options.description ??
      (typeof model === "string" ? await descriptionBeside(model) : undefined);
    const description = parseDescription(given ?? embedded, name);
    const hash = options.hash ?? hashOf(bytes, given === undefined ? undefined : description);

    const sessions = await openSessions(bytes, name, options.threads);
    const { inputs, outputs } = sessions.names;
    const { input, features, logits, taps = {} } = description;
    const missing = [
      ...[input.name].filter((item) => !inputs.includes(item)),
      ...[features, logits, ...Object.values(taps)].flatMap((item) => item ? [item.name] : [])
        .filter((item) => !outputs.includes(item)),
    ];
    if (missing.length > 0) {
      await sessions[Symbol.asyncDispose]();
      throw new FormatError(
        `${name} has no ${missing.join(", ")}; its inputs are ${inputs.join(", ")} ` +
          `and its outputs ${outputs.join(", ")}. Correct the description.`,
      );
    }
    const { cacheHash, details, keptLayers, classNames } = options;
    return new OnnxExtractor(
      description,
      hash,
      cacheHash,
      details,
      keptLayers,
      classNames,
      sessions,
    );
  }

  /** Runs the network on the images, as many at a time as the description says. */
  async extract(images: ImageBatch, layers: readonly string[] = []): Promise<Extracted> {
    const { input } = this.description;
    images = this.#resized(images);
    const wrongSize = (input.height !== null && input.height !== images.height) ||
      (input.width !== null && input.width !== images.width);
    if (wrongSize || (images.channels !== input.channels && images.channels !== 1)) {
      throw new UsageError(
        `The extractor ${this.id} needs images of ${input.height ?? "any"}x` +
          `${input.width ?? "any"}x${input.channels}, found ${images.height}x${images.width}x` +
          `${images.channels}.`,
      );
    }
    const wanted = this.#outputs(layers);
    const found = wanted.map(({ size }) => new Float32Array(images.count * size));
    const { batch } = this.description;
    const names = wanted.map(({ name }) => name);
    const runs = inOrder(Math.ceil(images.count / batch), this.sessions.parallel + 1, (index) => {
      return this.sessions.run({ [input.name]: this.#input(images, index * batch) }, names);
    });
    let first = 0;
    for await (const outputs of runs) {
      const count = Math.min(batch, images.count - first);
      for (const [i, item] of wanted.entries()) {
        found[i].set(this.#output(outputs[i], item, count), first * item.size);
      }
      first += count;
    }
    const [features, ...others] = found;
    const logits = this.description.logits ? others.shift() : undefined;
    return {
      features,
      logits,
      ...(layers.length > 0
        ? { layers: Object.fromEntries(layers.map((layer, i) => [layer, others[i]])) }
        : {}),
    };
  }

  /** Frees the memory of the network. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.sessions[Symbol.asyncDispose]();
  }

  /** Images of the size that the description asks for, where it says how to make them. */
  #resized(images: ImageBatch): ImageBatch {
    const { height, width, channels } = this.description.input;
    const fits = images.height === height && images.width === width;
    if (!this.#resampler || fits || (channels === 1 && images.channels !== 1)) return images;
    const data = new Float32Array(images.count * this.#resampler.size);
    this.#resampler.resample(images, 0, images.count, data);
    return { count: images.count, height: height!, width: width!, channels, data };
  }

  /** Features, logits where there are some, layers. */
  #outputs(layers: readonly string[]): ExtractorOutput[] {
    const { features, logits, taps: known = {} } = this.description;
    checkLayers(this, layers);
    return [features, ...(logits ? [logits] : []), ...layers.map((layer) => known[layer])];
  }

  /** `batch` images from `first`; where the set ends its last image is repeated. */
  #input(images: ImageBatch, first: number): OnnxInput {
    const { batch } = this.description;
    const { channels, layout, type, scale, offset } = this.description.input;
    const { height, width } = images;
    const pixels = height * width;
    const size = batch * channels * pixels;
    const data = type === "uint8" ? new Uint8Array(size) : new Float32Array(size);
    // A float32 input takes floats as they are: a generator's images need no rounding to bytes.
    const source = type === "uint8" ? toBytes(images.data) : images.data;
    const isByte = source instanceof Uint8Array;
    const [pixelStep, channelStep] = layout === "NHWC" ? [channels, 1] : [1, pixels];
    for (let i = 0; i < batch; i++) {
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
      ? [batch, height, width, channels]
      : [batch, channels, height, width];
    return { type, data, shape };
  }

  #output(
    { type, shape, data }: OnnxOutput,
    { name, size }: ExtractorOutput,
    count: number,
  ): Float32Array {
    const { batch } = this.description;
    if (data?.length !== batch * size) {
      throw new FormatError(
        `The output ${name} of the extractor ${this.id} must be float32 with ${size} numbers ` +
          `per image, found ${type} [${shape.join(", ")}] for ${batch} images.`,
      );
    }
    return data.subarray(0, count * size);
  }
}

/** Of the model, and of a description that is not part of it. */
function hashOf(bytes: Uint8Array, description?: ExtractorDescription): string {
  const hash = sha256(bytes);
  return description ? sha256(`${hash}\n${JSON.stringify(description)}`) : hash;
}

function channelValue(value: number | readonly number[], channel: number): number {
  return typeof value === "number" ? value : value[channel];
}
