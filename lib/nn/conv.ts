/**
 * Convolution with optional resampling by two, as in the networks of Song et al. and EDM
 * (`unets.Conv2d` of the public code). Data are [N, H, W, C].
 *
 * @module
 */

import { InternalError } from "../base/errors.ts";
import {
  add,
  conv2d,
  matmul,
  pad,
  resampleDown,
  resampleUp,
  reshape,
  slice,
} from "../tensor/mod.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { type LayerInit, layerInitializer } from "./init.ts";
import type { ParameterStore } from "./parameters.ts";

/** 1-D resampling filters of the official networks: DDPM++ and NCSN++. */
export type ResampleFilter = readonly [1, 1] | readonly [1, 3, 3, 1];

/** What a {@link Conv2d} does. */
export interface ConvOptions {
  /** Channels that it reads. */
  readonly inChannels: number;
  /** Channels that it writes. */
  readonly outChannels: number;
  /** Side of the square kernel. 0: only resample, without weights. */
  readonly kernel: 0 | 1 | 3;
  /** Doubles or halves height and width; `none` unless given. */
  readonly resample?: "up" | "down" | "none";
  /** Low-pass filter of the resampling. */
  readonly filter?: ResampleFilter;
  /**
   * Share one padding between convolution and resampling, and downsample after the convolution
   * instead of before, as the residual encoder of NCSN++ does.
   */
  readonly fused?: boolean;
  /** Needed unless the kernel is 0. */
  readonly init?: LayerInit;
}

/** Convolution with "same" padding, after upsampling or downsampling by two where asked. */
export class Conv2d {
  /** Channels that it reads. */
  readonly inChannels: number;
  /** Channels that it writes. */
  readonly outChannels: number;
  readonly #options: Required<Omit<ConvOptions, "init">>;
  readonly #weight: Tensor | null = null;
  readonly #bias: Tensor | null = null;

  /** Declares its parameters in the store. */
  constructor(store: ParameterStore, readonly name: string, options: ConvOptions) {
    const { inChannels, outChannels, kernel, resample = "none", filter = [1, 1], init } = options;
    this.#options = { ...options, resample, filter, fused: options.fused ?? false };
    this.inChannels = inChannels;
    this.outChannels = outChannels;
    if (kernel > 0) {
      if (!init) throw new InternalError(`the convolution ${name} has weights but no initialiser`);
      const [fanIn, fanOut] = [inChannels * kernel * kernel, outChannels * kernel * kernel];
      this.#weight = store.parameter(
        `${name}.weight`,
        [outChannels, inChannels, kernel, kernel],
        layerInitializer(init, "weight", fanIn, fanOut),
        { layout: "oihw" },
      );
      this.#bias = store.parameter(
        `${name}.bias`,
        [outChannels],
        layerInitializer(init, "bias", fanIn, fanOut),
      );
    }
    if (resample !== "none") {
      const size = filter.length;
      const values = { kind: "values", values: filterTable(filter) } as const;
      store.buffer(`${name}.resample_filter`, [1, 1, size, size], values, { fixed: true });
    }
  }

  /** Applies it to images, [batch, height, width, channels]. */
  forward(x: Tensor): Tensor {
    const { kernel, resample, filter, fused } = this.#options;
    if (kernel === 0) return this.#resample(x);
    if (kernel === 1) {
      // A 1x1 convolution commutes with resampling, so it runs where there are fewer positions.
      if (resample === "up") return add(this.#resample(this.#pointwise(x)), this.#bias!);
      return add(this.#pointwise(this.#resample(x)), this.#bias!);
    }
    // A filter of two needs no padding, so there fused upsampling is the plain one.
    if (fused && resample === "up" && filter.length > 2) return this.#fusedUp(x);
    if (fused && resample === "down") return this.#fusedDown(x);
    return conv2d(this.#resample(x), this.#weight!, this.#bias!, { padding: 1 });
  }

  #resample(x: Tensor): Tensor {
    const { resample, filter } = this.#options;
    if (resample === "up") return resampleUp(x, filter);
    if (resample === "down") return resampleDown(x, filter);
    return x;
  }

  #pointwise(x: Tensor): Tensor {
    return matmul(x, reshape(this.#weight!, [this.inChannels, this.outChannels]));
  }

  /**
   * Upsample without cropping, then convolve without padding. Resampling crops one position on
   * each side, so the input gets a ring of zeros of which half is cropped again.
   */
  #fusedUp(x: Tensor): Tensor {
    const [n, h, w, c] = x.shape;
    const wide = resampleUp(ring(x), this.#options.filter);
    const uncropped = slice(wide, [0, 1, 1, 0], [n, 2 * h + 2, 2 * w + 2, c]);
    return conv2d(uncropped, this.#weight!, this.#bias!, { padding: 0 });
  }

  /**
   * Convolve at the full resolution, then downsample without padding. Resampling by the filter of
   * four pads one position, so the convolution computes one more on each side and gets a ring of
   * zeros, whose windows are dropped again.
   */
  #fusedDown(x: Tensor): Tensor {
    const [n, h, w] = x.shape;
    const { filter } = this.#options;
    if (filter.length === 2) {
      return resampleDown(conv2d(x, this.#weight!, this.#bias!, { padding: 1 }), filter);
    }
    const wide = ring(conv2d(x, this.#weight!, undefined, { padding: 2 }));
    const down = resampleDown(wide, filter);
    const kept = slice(down, [0, 1, 1, 0], [n, h / 2, w / 2, this.outChannels]);
    return add(kept, this.#bias!);
  }
}

/** x [N,H,W,C] with one position of zeros around height and width. */
function ring(x: Tensor): Tensor {
  const [n, h, w, c] = x.shape;
  return pad(x, [0, 1, 1, 0], [n, h + 2, w + 2, c]);
}

/** The 2-D filter as state dicts hold it: the outer product, with sum 1. */
function filterTable(filter: readonly number[]): Float32Array {
  const sum = filter.reduce((a, b) => a + b, 0);
  return Float32Array.from(filter.flatMap((a) => filter.map((b) => a * b / (sum * sum))));
}
