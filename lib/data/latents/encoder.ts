/**
 * An autoencoder's encoder in an ONNX file: from pictures to the latents that are trained on.
 *
 * @module
 */

import type { InferenceSession, Tensor } from "npm:onnxruntime-web@1.30.0";
import { SCALED } from "../../base/bytes.ts";
import { FormatError } from "../../base/errors.ts";
import type { Image } from "../../formats/image/pixels.ts";
import { loadOneToOne } from "../../formats/onnx/runtime.ts";
import { latentWidth } from "./loader.ts";
import { LATENT_MOMENTS } from "./dataset.ts";

/** What an encoder's output is: latents themselves, or moments of their posterior. */
export const ENCODER_OUTPUTS = ["latents", ...LATENT_MOMENTS] as const;

/** One of {@link ENCODER_OUTPUTS}. */
export type EncoderOutput = typeof ENCODER_OUTPUTS[number];

/** The latent of a picture, or the mean and standard deviation of its posterior. */
export interface EncodedLatent {
  /** Channels first, as files have it; of moments the channels of the mean, then as many more. */
  readonly shape: readonly [channels: number, height: number, width: number];
  /** In the order of {@link shape}. */
  readonly values: Float32Array<ArrayBuffer>;
}

/** A network with one input, pictures [1, 3, H, W] in [-1, 1], and one output [1, C, h, w]. */
export class LatentEncoder implements AsyncDisposable {
  private constructor(
    private readonly name: string,
    private readonly output: EncoderOutput,
    private readonly session: InferenceSession,
    private readonly tensorType: typeof Tensor,
  ) {}

  /**
   * Loads an encoder.
   *
   * @throws {FormatError} when the file is no model, or one with several inputs or outputs
   */
  static async load(path: string, output: EncoderOutput): Promise<LatentEncoder> {
    const { session, Tensor } = await loadOneToOne(path, "encoder");
    return new LatentEncoder(path, output, session, Tensor);
  }

  /** Whether moments come out, as mean and standard deviation. */
  get hasMoments(): boolean {
    return this.output !== "latents";
  }

  /**
   * Encodes an RGB picture.
   *
   * @throws {FormatError} when the network does not take pictures of this size, or gives something
   * else than latents
   */
  async encode({ width, height, data }: Image): Promise<EncodedLatent> {
    const plane = width * height;
    const pixels = new Float32Array(3 * plane);
    for (let i = 0; i < plane; i++) {
      for (let c = 0; c < 3; c++) pixels[c * plane + i] = SCALED[data[3 * i + c]];
    }
    const { session } = this;
    const input = new this.tensorType("float32", pixels, [1, 3, height, width]);
    const found = await session.run({ [session.inputNames[0]]: input }).catch((error) => {
      throw new FormatError(
        `${this.name} cannot encode pictures of ${width} x ${height}: ${error.message}`,
        { cause: error },
      );
    });
    const { type, dims, data: values } = found[session.outputNames[0]];
    const [count, channels, latentHeight, latentWidth] = dims;
    const isLatent = type === "float32" && dims.length === 4 && count === 1 &&
      (!this.hasMoments || channels % 2 === 0);
    if (!isLatent) {
      throw new FormatError(
        `${this.name} is no encoder to ${this.output}: expected float32 of [1, ` +
          `${this.hasMoments ? "2C" : "C"}, H, W], found ${type} of [${dims.join(", ")}].`,
      );
    }
    return {
      shape: [channels, latentHeight, latentWidth],
      values: this.#withDeviations(Float32Array.from(values as Float32Array)),
    };
  }

  /** Frees the memory of the network. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.session.release();
  }

  /** In place: log variances become standard deviations, as files by EDM2's tool have them. */
  #withDeviations(values: Float32Array<ArrayBuffer>): Float32Array<ArrayBuffer> {
    if (this.output !== "mean-logvar") return values;
    for (let i = values.length / 2; i < values.length; i++) {
      values[i] = latentWidth("mean-logvar", values[i]);
    }
    return values;
  }
}
