/**
 * From stored latents to what a network is trained on: drawn from the posterior, where its moments
 * are stored, anew every time, and normalised per channel to mean 0 and a given deviation:
 *
 *     x = (mean + std * noise - normalization.mean) / normalization.std * finalStd
 *
 * as `StabilityVAEEncoder.encode_latents` of EDM2 and the public IMM code (training/encoders.py).
 * The noise of item n of the stream is a function of (seed, n), so that runs can be resumed.
 *
 * @module
 */

import { FormatError, UsageError } from "../../base/errors.ts";
import { deriveKey, hostNormal } from "../../random/threefry.ts";
import type { LatentDataset, LatentMoments } from "./dataset.ts";
import type { Batch } from "../stream/loader.ts";
import type { ItemStream, ItemWork } from "../stream/prefetch.ts";
import { type LoaderOptions, StreamOrder } from "../stream/order.ts";

/** Mean and standard deviation of latents, per channel. */
export interface ChannelStatistics {
  /** One number per channel. */
  readonly mean: readonly number[];
  /** One number per channel, positive. */
  readonly std: readonly number[];
}

/** Statistics that are known by name, of ImageNet's latents. */
export const LATENT_STATISTICS = {
  /** sd-vae-ft-ema at 256 pixels, of pictures in [-1, 1]: the public IMM code's configuration. */
  imm: {
    mean: [0.86488, -0.27787343, 0.21616915, 0.3738409],
    std: [4.85503674, 5.31922414, 3.93725398, 3.9870003],
  },
  /** sd-vae-ft-mse at 512 pixels, of pictures in [0, 1], as EDM2's dataset_tool.py encodes them. */
  edm2: { mean: [5.81, 3.25, 0.12, -2.15], std: [4.17, 4.62, 3.71, 3.28] },
} as const satisfies Readonly<Record<string, ChannelStatistics>>;

/** A name in {@link LATENT_STATISTICS}. */
export type LatentStatisticsName = keyof typeof LATENT_STATISTICS;

/** The statistics of a name, or those that are given. */
export function latentStatistics(
  normalize: LatentStatisticsName | ChannelStatistics,
): ChannelStatistics {
  return typeof normalize === "string" ? LATENT_STATISTICS[normalize] : normalize;
}

/** How latents are read. */
export interface LatentSettings {
  /**
   * Which moments the arrays hold, where they have twice as many channels as `normalize` has
   * numbers. `null`, the default, takes what the files say, as EDM2's do by their names.
   */
  readonly moments: LatentMoments | null;
  /** Statistics of the stored latents, which are normalised away. Default `imm`. */
  readonly normalize: LatentStatisticsName | ChannelStatistics;
  /** Standard deviation after normalisation; 0.5, the default, is the method's sigma_d. */
  readonly finalStd: number;
}

/** What becomes of the numbers of one latent; plain data, which a Worker can be sent. */
export interface LatentRule {
  /** Height, width and channels of what the network sees. */
  readonly shape: readonly [height: number, width: number, channels: number];
  /** What the second half of the stored channels is; null where there is none. */
  readonly moments: LatentMoments | null;
  /** What is normalised away. */
  readonly statistics: ChannelStatistics;
  /** Standard deviation after normalisation. */
  readonly finalStd: number;
}

/**
 * How the latents of a data set are read.
 *
 * @throws {UsageError} when the settings do not fit the arrays, or leave open what they are
 */
export function latentRule(
  dataset: Pick<LatentDataset, "name" | "storedShape" | "moments" | "stored">,
  { moments: given, normalize, finalStd }: LatentSettings,
): LatentRule {
  const { name, storedShape, moments: named } = dataset;
  const statistics = latentStatistics(normalize);
  const [height, width, found] = storedShape;
  const channels = statistics.mean.length;
  if (statistics.std.length !== channels) {
    throw new UsageError(
      `data.latents.normalize has ${channels} means but ${statistics.std.length} deviations`,
    );
  }
  const shape = [height, width, channels] as const;
  const moments = given ?? named;
  if (found === channels) {
    if (moments !== null) {
      throw new UsageError(
        `${name} has ${found} channels, which cannot be ${moments} of latents of as many; leave ` +
          `out data.latents.moments, or give data.latents.normalize as ${found / 2} numbers`,
      );
    }
    return { shape, moments: null, statistics, finalStd };
  }
  if (found !== 2 * channels) {
    throw new UsageError(
      `${name} has ${found} channels, but data.latents.normalize has ${channels} means: expected ` +
        `${channels} channels, or ${2 * channels} for moments`,
    );
  }
  if (moments === null) {
    throw new UsageError(
      `${name} has ${found} channels: say what the second half is with ` +
        `data.latents.moments=mean-std or data.latents.moments=mean-logvar` +
        (hasNegativeWidths(dataset.stored(0), found)
          ? " (it has negative numbers: log variances)"
          : ""),
    );
  }
  return { shape, moments, statistics, finalStd };
}

function hasNegativeWidths(stored: Float32Array, channels: number): boolean {
  return stored.some((value, i) => i % channels >= channels / 2 && value < 0);
}

/** Log variances are clamped to these by diffusers' `DiagonalGaussianDistribution`. */
const [MIN_LOG_VARIANCE, MAX_LOG_VARIANCE] = [-30, 20];

/** The standard deviation that the second half of the channels tells. */
export function latentWidth(moments: LatentMoments, second: number): number {
  if (moments === "mean-std") return second;
  return Math.exp(0.5 * Math.min(MAX_LOG_VARIANCE, Math.max(MIN_LOG_VARIANCE, second)));
}

/** Of a posterior whose second half is not what was said. */
export function negativeWidth(name: string, width: number): FormatError {
  return new FormatError(
    `${name} has the standard deviation ${width}; are these log variances? Then set ` +
      `data.latents.moments=mean-logvar (imm dataset info: --moments mean-logvar).`,
  );
}

/**
 * Draws and normalises one latent.
 *
 * @param stored [height, width, channels of the file]
 * @param seed and `position`: the number of the item in the stream of a seed
 * @param target [height, width, channels], which is filled
 * @param name what an error message calls it
 * @throws {FormatError} when a number is not finite, or a standard deviation negative
 */
export function drawLatent(
  stored: Float32Array,
  { shape, moments, statistics: { mean, std }, finalStd }: LatentRule,
  { seed, position }: { readonly seed: number | bigint; readonly position: number },
  target: Float32Array,
  name: string,
): void {
  const channels = shape[2];
  const noise = moments === null ? null : posteriorNoise(seed, position, shape);
  const stride = moments === null ? channels : 2 * channels;
  for (let from = 0, to = 0; to < target.length; from += stride, to += channels) {
    for (let c = 0; c < channels; c++) {
      let value = stored[from + c];
      if (noise !== null) {
        const second = stored[from + channels + c];
        const width = latentWidth(moments!, second);
        if (width < 0) throw negativeWidth(name, width);
        value += width * noise[to + c];
      }
      if (!Number.isFinite(value)) {
        throw new FormatError(`${name} has numbers that are not finite.`);
      }
      target[to + c] = (value - mean[c]) / std[c] * finalStd;
    }
  }
}

/** Standard normal, a function of seed and position alone. */
function posteriorNoise(
  seed: number | bigint,
  position: number,
  shape: LatentRule["shape"],
): Float32Array {
  // Counters have 32 bits; runs of ImageNet see more images than that.
  const key = deriveKey(seed, "posterior", Math.floor(position / 2 ** 32));
  return hostNormal(key, [1, ...shape], 0, position % 2 ** 32);
}

/** Numbers of a latent whose noise is worth a thread. */
const SLOW_SIZE = 1024;

/** The stream of a data set of latents, as {@link Loader} is of one of images. It borrows it. */
export class LatentLoader implements ItemStream {
  readonly #drawn = new Map<number, Float32Array>();
  readonly #order: StreamOrder;
  readonly #seed: number | bigint;

  /**
   * A stream over `dataset`, which must stay open while batches are asked for.
   *
   * @param rule see {@link latentRule}
   * @param options with `mirror`, half of the latents are those of mirrored pictures
   */
  constructor(
    /** Where the latents come from. */
    readonly dataset: LatentDataset,
    private readonly rule: LatentRule,
    options: LoaderOptions,
  ) {
    this.#order = new StreamOrder(dataset.length, options);
    this.#seed = options.seed;
  }

  /** Latents `position` to `position + count - 1` of the stream. */
  batch(position: number, count: number): Batch {
    const { dataset, rule } = this;
    const size = this.#size;
    const images = new Float32Array(count * size);
    const labels = new Int32Array(count);
    for (let i = 0; i < count; i++) {
      const { index, mirrored } = this.#order.item(position + i);
      const target = images.subarray(i * size, (i + 1) * size);
      const drawn = this.#drawn.get(position + i);
      if (drawn !== undefined) {
        target.set(drawn);
        this.#drawn.delete(position + i);
      } else {
        const at = { seed: this.#seed, position: position + i };
        const name = `${dataset.name}: latent ${index}`;
        drawLatent(dataset.stored(index, mirrored), rule, at, target, name);
      }
      labels[i] = dataset.label(index) ?? 0;
    }
    return { images, labels };
  }

  /** Whether latents are drawn, and so large that it takes a while: nearly all goes into the noise. */
  get isSlow(): boolean {
    return this.rule.moments !== null && this.#size >= SLOW_SIZE;
  }

  /** Bytes of a latent that is drawn; 0 where latents are taken as they are. */
  get itemBytes(): number {
    return this.rule.moments === null ? 0 : 4 * this.#size;
  }

  /** Whether latent `position` would have to be drawn now. */
  isMissing(position: number): boolean {
    return this.rule.moments !== null && !this.#drawn.has(position);
  }

  /** Drawing of latents of the stream. */
  work(positions: readonly number[]): ItemWork[] {
    const size = this.dataset.storedShape.reduce((a, b) => a * b);
    const stored = new Float32Array(positions.length * size);
    for (const [i, position] of positions.entries()) {
      const { index, mirrored } = this.#order.item(position);
      stored.set(this.dataset.stored(index, mirrored), i * size);
    }
    const { rule } = this;
    return [{ task: { kind: "latents", rule, seed: this.#seed, positions, stored }, positions }];
  }

  /** Takes latent `position`. */
  supply(position: number, latent: Float32Array): void {
    this.#drawn.set(position, latent);
  }

  get #size(): number {
    return this.rule.shape.reduce((a, b) => a * b);
  }
}
