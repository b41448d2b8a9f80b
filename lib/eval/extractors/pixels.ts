/**
 * The pixels themselves as features: enough for tiny images, and needs no network.
 *
 * @module
 */

import { sha256 } from "../../base/hash.ts";
import { UsageError } from "../../base/errors.ts";
import { encodeRgb } from "../../base/bytes.ts";
import type { Extracted, FeatureExtractor } from "./extractor.ts";
import type { ImageBatch } from "../images.ts";

/** Larger images would make covariances of hundreds of megabytes that say little. */
const MAX_DIMENSION = 4096;

/** Pixels on [-1, 1], row-major, channels last; floats outside are clamped. */
export class PixelExtractor implements FeatureExtractor {
  readonly id: string;
  readonly hash: string;
  readonly dimension: number;
  readonly batch = 1024;

  private constructor(
    readonly height: number,
    readonly width: number,
    readonly channels: number,
    hash: string,
  ) {
    this.id = `pixels-${height}x${width}x${channels}`;
    this.dimension = height * width * channels;
    this.hash = hash;
  }

  /**
   * An extractor for images of one size.
   *
   * @throws {UsageError} when they are larger than 4096 numbers
   */
  // deno-lint-ignore require-await -- other extractors take time to open
  static async create(
    { height, width, channels }: Pick<ImageBatch, "height" | "width" | "channels">,
  ): Promise<PixelExtractor> {
    if (height * width * channels > MAX_DIMENSION) {
      throw new UsageError(
        `Pixels are features for tiny images only: expected at most ${MAX_DIMENSION} numbers, ` +
          `found ${height}x${width}x${channels}. Give an extractor instead.`,
      );
    }
    const definition = `pixels on [-1, 1], NHWC, ${height}x${width}x${channels}`;
    return new PixelExtractor(height, width, channels, sha256(definition));
  }

  /** The pixels as floats on [-1, 1]: bytes are scaled, floats clamped. */
  extract({ count, height, width, channels, data }: ImageBatch): Promise<Extracted> {
    if (height !== this.height || width !== this.width || channels !== this.channels) {
      return Promise.reject(
        new UsageError(
          `The extractor ${this.id} needs images of ${this.height}x${this.width}x` +
            `${this.channels}, found ${height}x${width}x${channels}.`,
        ),
      );
    }
    const used = data.subarray(0, count * this.dimension);
    const features = used instanceof Uint8Array
      ? encodeRgb(used)
      : used.map((value) => Math.min(1, Math.max(-1, value)));
    return Promise.resolve({ features });
  }

  /** Has nothing to free. */
  async [Symbol.asyncDispose](): Promise<void> {}
}
