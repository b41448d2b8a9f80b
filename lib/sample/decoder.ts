/**
 * An autoencoder's decoder in an ONNX file: from sampled latents to pictures.
 *
 * Latents are decoded one by one: a picture has the same bits whatever was sampled beside it, and a
 * decoder of usual size needs most of a gigabyte for one, times the number in a batch.
 *
 * @module
 */

import type { InferenceSession, Tensor } from "npm:onnxruntime-web@1.30.0";
import { bytesOf, channelsLast, type Shape, sizeOf } from "../base/arrays.ts";
import { denormalized, type LatentNormalization } from "../data/latents/note.ts";
import { fileSha256 } from "../files/download.ts";
import { FormatError } from "../base/errors.ts";
import { toFloat32 } from "../formats/arrays/numeric.ts";
import { loadOneToOne } from "../formats/onnx/runtime.ts";
import { requireFinite } from "./finite.ts";
import type { GeneratedBatch } from "./generator.ts";

/**
 * What a decoder's pictures run in: -1 to 1, or 0 to 1, as where the encoder was given such
 * pictures (EDM2's `dataset_tool.py encode` does that).
 */
export const DECODER_RANGES = ["signed", "unit"] as const;

/** One of {@link DECODER_RANGES}. */
export type DecoderRange = typeof DECODER_RANGES[number];

/** How latents are to be decoded. */
export interface DecoderOptions {
  /** Of one latent, as the network makes it: [height, width, channels]. */
  readonly latentShape: Shape;
  /** What is undone before. */
  readonly normalization: LatentNormalization;
  /** Default signed. */
  readonly range?: DecoderRange;
  /** See {@link loadOneToOne}. */
  readonly threads?: number;
}

/** What determines the pictures of given latents, besides the model's own notes. */
export interface DecoderRecord {
  /** SHA-256 of the file. */
  readonly sha256: string;
  /** What its pictures run in. */
  readonly range: DecoderRange;
}

/** A network with one input, latents [N, C, h, w], and one output, pictures [N, 3, H, W]. */
export class LatentDecoder implements AsyncDisposable {
  private constructor(
    /** Path of the file. */
    readonly path: string,
    /** Height, width and channels of its pictures. */
    readonly shape: readonly [height: number, width: number, channels: number],
    /** What is kept with the pictures. */
    readonly record: DecoderRecord,
    private readonly network: DecoderNetwork,
    private readonly latentShape: Shape,
    private readonly normalization: LatentNormalization,
  ) {}

  /**
   * Loads a decoder and finds out how large its pictures are.
   *
   * @throws {FormatError} when the file is no model, or none that makes pictures of such latents
   */
  static async load(path: string, options: DecoderOptions): Promise<LatentDecoder> {
    const { latentShape, normalization, range = "signed", threads } = options;
    const [height, width, channels] = latentShape;
    if (normalization.mean.length !== channels) {
      throw new FormatError(
        `latents with ${channels} channels cannot have been normalised by ` +
          `${normalization.mean.length} means and deviations.`,
      );
    }
    const network = await DecoderNetwork.load(path, threads);
    try {
      const shape = await network.pictureShape(channels, height, width);
      const record = { sha256: await fileSha256(path), range };
      return new LatentDecoder(path, shape, record, network, latentShape, normalization);
    } catch (error) {
      await network.session.release();
      throw error;
    }
  }

  /**
   * Pictures of latents, [count, H, W, channels] on [-1, 1] though not clipped to it.
   *
   * @param latents [count, height, width, channels], as a network makes them
   * @throws {FormatError} when the decoder fails, or makes something else than it said
   */
  async decode(latents: Float32Array, signal?: AbortSignal): Promise<Float32Array> {
    const size = sizeOf(this.shape);
    const count = latents.length / sizeOf(this.latentShape);
    const all = new Float32Array(count * size);
    for (let i = 0; i < count; i++) {
      signal?.throwIfAborted();
      all.set(await this.#picture(latents, i), i * size);
    }
    return all;
  }

  /**
   * Pictures of batches of latents as they come, each picture as a batch of its own: decoding
   * takes so long that what is there should be kept.
   */
  async *batches(
    latents: AsyncIterable<GeneratedBatch>,
    signal?: AbortSignal,
  ): AsyncGenerator<GeneratedBatch> {
    for await (const { first, count, samples } of latents) {
      for (let i = 0; i < count; i++) {
        signal?.throwIfAborted();
        yield { first: first + i, count: 1, samples: await this.#picture(samples, i) };
      }
    }
  }

  /** Frees the memory of the network. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.network.session.release();
  }

  /** Of latent number `index`, channels last. */
  async #picture(latents: Float32Array, index: number): Promise<Float32Array> {
    const [height, width, channels] = this.latentShape;
    const size = height * width * channels;
    const own = latents.subarray(index * size, (index + 1) * size);
    const z = denormalized(own, this.normalization);
    const { dims, data } = await this.network.run(z, [1, channels, height, width]);
    const [rows, columns, colours] = this.shape;
    if (`${dims}` !== `${[1, colours, rows, columns]}`) {
      throw new FormatError(
        `${this.path}: expected a picture of [1, ${colours}, ${rows}, ${columns}], found ` +
          `[${dims.join(", ")}].`,
      );
    }
    requireFinite(data, data.length, {
      what: "pictures decoded at once",
      name: () => `that of latent ${index}`,
      reason: `${this.path} or the normalization of the latents does not fit the model`,
    });
    const [scale, offset] = this.record.range === "unit" ? [2, -1] : [1, 0];
    return channelsLast(data, [rows, columns, colours]).map((value) => value * scale + offset);
  }
}

/** Sizes that a file leaves open are names, and unsigned -1 where they have none. */
function isKnown(size: number | string | undefined): size is number {
  return typeof size === "number" && size > 0 && size < 2 ** 31;
}

/** The network as it is in the file. */
class DecoderNetwork {
  private constructor(
    private readonly path: string,
    readonly session: InferenceSession,
    private readonly tensorType: typeof Tensor,
  ) {}

  /** @throws {FormatError} when the file is no model, or has not one input and one output */
  static async load(path: string, threads?: number): Promise<DecoderNetwork> {
    const { session, Tensor } = await loadOneToOne(path, "decoder", threads);
    for (const value of [...session.inputMetadata, ...session.outputMetadata]) {
      const type = value.isTensor ? value.type : "no tensor";
      if (type === "float32" || type === "float16") continue;
      await session.release();
      throw new FormatError(
        `${path} is no decoder: expected float32 or float16 in and out, found ${type} for ` +
          `${value.name}.`,
      );
    }
    return new DecoderNetwork(path, session, Tensor);
  }

  /**
   * Height, width and channels of the pictures of latents of this size. Where the file does not
   * tell, a latent of zeros is decoded: of one pixel, which is quick, if the decoder takes any size.
   */
  async pictureShape(
    channels: number,
    height: number,
    width: number,
  ): Promise<readonly [number, number, number]> {
    const [input, output] = [this.session.inputMetadata[0], this.session.outputMetadata[0]];
    const taken = input.isTensor ? input.shape : [];
    const made = output.isTensor ? output.shape : [];
    const wanted = [1, channels, height, width];
    const fits = taken.length === 0 || taken.length === 4 &&
        taken.every((size, axis) => !isKnown(size) || size === wanted[axis]);
    if (!fits) {
      const sizes = taken.map((size) => isKnown(size) || typeof size === "string" ? size : "?");
      throw new FormatError(
        `${this.path} decodes latents of [${sizes.join(", ")}], but those of the model are ` +
          `[1, ${channels}, ${height}, ${width}]` +
          (taken.length === 4 && (!isKnown(taken[1]) || taken[1] === channels)
            ? "; export it with sizes that are left open (dynamic axes)."
            : "; it belongs to another autoencoder."),
      );
    }
    let [rows, columns, colours] = [made[2], made[3], made[1]];
    if (made.length !== 4 || ![rows, columns, colours].every(isKnown)) {
      const anySize = taken.length === 4 && !isKnown(taken[2]) && !isKnown(taken[3]);
      const [h, w] = anySize ? [1, 1] : [height, width];
      const { dims } = await this.run(new Float32Array(channels * h * w), [1, channels, h, w]);
      const factors = [dims[2] / h, dims[3] / w];
      [rows, columns, colours] = [factors[0] * height, factors[1] * width, dims[1]];
      if (dims.length !== 4) [rows, columns] = [0, 0];
    }
    const shape = [rows, columns, colours] as [number, number, number];
    const isPicture = shape.every((size) => Number.isSafeInteger(size) && size > 0) &&
      (colours === 1 || colours === 3);
    if (!isPicture) {
      throw new FormatError(
        `${this.path} is no decoder: expected pictures of [1, 3, H, W], found ` +
          `[1, ${colours}, ${rows}, ${columns}].`,
      );
    }
    return shape;
  }

  /** Runs it on one latent. */
  async run(
    z: Float32Array,
    dims: readonly number[],
  ): Promise<{ dims: readonly number[]; data: Float32Array }> {
    const { inputNames: [input], outputNames: [output] } = this.session;
    const [metadata] = this.session.inputMetadata;
    const tensor = metadata.isTensor && metadata.type === "float16"
      ? new this.tensorType("float16", new Uint16Array(Float16Array.from(z).buffer), dims)
      : new this.tensorType("float32", z, dims);
    const found = await this.session.run({ [input]: tensor }).catch((error) => {
      throw new FormatError(
        `${this.path} cannot decode a latent of [${dims.join(", ")}]: ${error.message}`,
        { cause: error },
      );
    });
    const { type, dims: made, data } = found[output];
    const isHalf = type === "float16";
    return {
      dims: made,
      data: isHalf ? toFloat32(bytesOf(data as Uint16Array), "f16") : data as Float32Array,
    };
  }
}
