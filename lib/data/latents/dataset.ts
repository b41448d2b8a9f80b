/**
 * Latents of an autoencoder as training data: float arrays in place of 8-bit images. They are kept
 * as an encoder wrote them, be it latents or the moments of the encoder's Gaussian posterior
 * ("raw latents" in EDM2's terms); what the network sees, see latent_loader.ts, is drawn from the
 * posterior every time and normalised per channel.
 *
 * @module
 */

import { Sha256 } from "../../base/hash.ts";
import { channelsLast } from "../../base/arrays.ts";
import { FormatError } from "../../base/errors.ts";
import { counted } from "../../base/units.ts";
import type { Dataset, LabelledSet } from "../dataset.ts";

/**
 * How the second half of the channels tells the width of a posterior: as standard deviation (EDM2's
 * `dataset_tool.py encode`), or as the logarithm of the variance (`posterior.parameters` of the
 * diffusers library, MAR).
 */
export const LATENT_MOMENTS = ["mean-std", "mean-logvar"] as const;

/** One of {@link LATENT_MOMENTS}. */
export type LatentMoments = typeof LATENT_MOMENTS[number];

/** Arrays of one shape, as an encoder wrote them. */
export interface LatentDataset extends LabelledSet {
  /** Height, width and channels of the stored arrays; of moments those of both halves together. */
  readonly storedShape: readonly [height: number, width: number, channels: number];
  /** Which moments the files themselves say that they hold, or null. */
  readonly moments: LatentMoments | null;
  /** Whether the latents of the mirrored pictures are there as well. */
  readonly hasMirrored: boolean;
  /**
   * The numbers of item `index`, [height, width, channels], in memory of their own.
   *
   * @param mirrored of the mirrored picture, where there are such
   * @throws {FormatError} when the file is damaged or has changed, or a number is not finite
   */
  stored(index: number, mirrored?: boolean): Float32Array<ArrayBuffer>;
}

/** Whether a data set is one of latents. */
export function isLatents(set: Dataset | LatentDataset): set is LatentDataset {
  return "storedShape" in set;
}

/** What {@link LatentDataset} asks for, less what follows from the rest. */
export abstract class BaseLatents implements LatentDataset {
  abstract readonly name: string;
  abstract readonly length: number;
  abstract readonly storedShape: readonly [height: number, width: number, channels: number];
  abstract readonly labelCount: number;
  readonly labelNames: readonly string[] | null = null;
  readonly labelSource: string | null = null;
  readonly notes: readonly string[] = [];
  readonly moments: LatentMoments | null = null;
  readonly hasMirrored: boolean = false;
  #hash: string | null = null;

  abstract stored(index: number, mirrored?: boolean): Float32Array<ArrayBuffer>;
  abstract label(index: number): number | null;

  contentHash(): string {
    if (this.#hash !== null) return this.#hash;
    const { length, storedShape, labelCount, hasMirrored } = this;
    const hash = new Sha256();
    hash.add(JSON.stringify(["latents", length, ...storedShape, labelCount, hasMirrored]));
    for (let i = 0; i < length; i++) {
      hash.add(this.stored(i));
      if (hasMirrored) hash.add(this.stored(i, true));
    }
    if (labelCount > 0) hash.add(Int32Array.from({ length }, (_, i) => this.label(i)!));
    return this.#hash = hash.hex();
  }

  close(): void {}

  /** The same as {@link close}, for `using`. */
  [Symbol.dispose](): void {
    this.close();
  }
}

/** How the axes of one latent lie in a file. */
export interface LatentLayout {
  /** As PyTorch has them, [C, H, W], and not [H, W, C]. */
  readonly channelsFirst: boolean;
  readonly shape: readonly [height: number, width: number, channels: number];
}

/**
 * The layout of arrays of three axes. Latents are squares, which tells the axis of the channels;
 * where all three are equal they count as [C, H, W].
 *
 * @throws {FormatError} when no two neighbouring axes are alike, or there are not three
 */
export function latentLayout(shape: readonly number[], name: string): LatentLayout {
  const [a, b, c] = shape;
  if (shape.length === 3 && shape.every((size) => size > 0)) {
    if (b === c) return { channelsFirst: true, shape: [b, c, a] };
    if (a === b) return { channelsFirst: false, shape: [a, b, c] };
  }
  throw new FormatError(
    `${name} holds no latents: expected squares with channels, [C, H, W] or [H, W, C] each, found ` +
      `[${shape.join(", ")}].`,
  );
}

/**
 * The same numbers, which must be finite: one that is not would make all statistics and every
 * gradient so.
 *
 * @throws {FormatError} naming the item and how many are not
 */
export function finiteLatent(
  values: Float32Array<ArrayBuffer>,
  name: string,
): Float32Array<ArrayBuffer> {
  const first = values.findIndex((value) => !Number.isFinite(value));
  if (first < 0) return values;
  const odd = values.reduce((count, value) => count + (Number.isFinite(value) ? 0 : 1), 0);
  throw new FormatError(
    `${name} has ${counted(odd, "number")} that ${odd === 1 ? "is" : "are"} not finite, of ` +
      `${values.length}: the first is ${values[first]} at ${first}; encode the picture again, or ` +
      `leave it out.`,
  );
}

/** The numbers of one latent, channels last. */
export function latentChannelsLast(
  values: Float32Array<ArrayBuffer>,
  { channelsFirst, shape }: LatentLayout,
): Float32Array<ArrayBuffer> {
  return channelsFirst ? channelsLast(values, shape) : values;
}
