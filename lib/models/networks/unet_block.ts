/**
 * The residual block of both U-Nets, with optional self-attention (`unets.UNetBlock` of the public
 * code).
 *
 * @module
 */

import { UsageError } from "../../base/errors.ts";
import { selfAttention } from "../../nn/attention.ts";
import { Conv2d, type ResampleFilter } from "../../nn/conv.ts";
import type { LayerInit } from "../../nn/init.ts";
import { Linear } from "../../nn/linear.ts";
import { GroupNorm } from "../../nn/norm.ts";
import type { ParameterStore } from "../../nn/parameters.ts";
import { add, chunk, dropout, mul, reshape, silu } from "../../tensor/mod.ts";
import type { Tensor } from "../../tensor/tensor.ts";

/** What the blocks of one architecture share. */
export interface BlockStyle {
  /** Factor after each residual sum. */
  readonly skipScale: number;
  /** Of the group norms. */
  readonly eps: number;
  /** Whether skips that resample always have a 1x1 convolution. */
  readonly resampleProj: boolean;
  /** Whether the embedding scales and shifts the second norm, or is added before it. */
  readonly adaptiveScale: boolean;
  readonly init: LayerInit;
  /** Of the last layer of each residual branch. */
  readonly initZero: LayerInit;
  /** Of the joint projection to queries, keys and values. */
  readonly initAttention: LayerInit;
}

const xavier: LayerInit = { mode: "xavier_uniform", weight: 1 };

/** Blocks of DDPM++ and NCSN++. */
export const SONG_STYLE: BlockStyle = {
  skipScale: Math.SQRT1_2,
  eps: 1e-6,
  resampleProj: true,
  adaptiveScale: false,
  init: xavier,
  initZero: { ...xavier, weight: 1e-5 },
  initAttention: { ...xavier, weight: Math.sqrt(0.2) },
};

const kaiming: LayerInit = {
  mode: "kaiming_uniform",
  weight: Math.sqrt(1 / 3),
  bias: Math.sqrt(1 / 3),
};

/** Blocks of ADM. */
export const DHARIWAL_STYLE: BlockStyle = {
  skipScale: 1,
  eps: 1e-5,
  resampleProj: false,
  adaptiveScale: true,
  init: kaiming,
  initZero: { ...kaiming, weight: 0, bias: 0 },
  initAttention: kaiming,
};

/** One block. */
export interface UNetBlockOptions {
  readonly inChannels: number;
  readonly outChannels: number;
  /** Width of the embedding. */
  readonly embChannels: number;
  readonly resample?: "up" | "down" | "none";
  readonly filter?: ResampleFilter;
  /** Heads of self-attention, 0 for none. */
  readonly heads?: number;
  readonly dropout?: number;
  /** Number of this block's random stream; the same mask in every pass with the same key. */
  readonly dropoutStream?: number;
}

/** conv(silu(norm)) twice with the embedding in between, a skip, and attention behind. */
export class UNetBlock {
  readonly #norm0: GroupNorm;
  readonly #conv0: Conv2d;
  readonly #affine: Linear;
  readonly #norm1: GroupNorm;
  readonly #conv1: Conv2d;
  readonly #skip: Conv2d | null = null;
  readonly #attention: { norm: GroupNorm; qkv: Conv2d; proj: Conv2d } | null = null;

  constructor(
    store: ParameterStore,
    readonly name: string,
    readonly style: BlockStyle,
    readonly options: UNetBlockOptions,
  ) {
    const { inChannels, outChannels, embChannels, resample = "none", filter, heads = 0 } = options;
    const { eps, init, initZero } = style;
    this.#norm0 = new GroupNorm(store, `${name}.norm0`, inChannels, eps);
    this.#conv0 = new Conv2d(store, `${name}.conv0`, {
      inChannels,
      outChannels,
      kernel: 3,
      resample,
      filter,
      init,
    });
    const affineChannels = outChannels * (style.adaptiveScale ? 2 : 1);
    this.#affine = new Linear(store, `${name}.affine`, embChannels, affineChannels, init);
    this.#norm1 = new GroupNorm(store, `${name}.norm1`, outChannels, eps);
    this.#conv1 = new Conv2d(store, `${name}.conv1`, {
      inChannels: outChannels,
      outChannels,
      kernel: 3,
      init: initZero,
    });
    if (outChannels !== inChannels || resample !== "none") {
      const kernel = style.resampleProj || outChannels !== inChannels ? 1 : 0;
      const skip = { inChannels, outChannels, kernel, resample, filter, init } as const;
      this.#skip = new Conv2d(store, `${name}.skip`, skip);
    }
    if (heads > 0) {
      if (outChannels % heads !== 0) {
        throw new UsageError(
          `${name} has ${outChannels} channels, which cannot be cut into ${heads} attention heads; ` +
            `use a multiple of ${heads} or leave its resolution out of attnResolutions`,
        );
      }
      const conv = { inChannels: outChannels, kernel: 1 } as const;
      this.#attention = {
        norm: new GroupNorm(store, `${name}.norm2`, outChannels, eps),
        qkv: new Conv2d(store, `${name}.qkv`, {
          ...conv,
          outChannels: 3 * outChannels,
          init: style.initAttention,
        }),
        proj: new Conv2d(store, `${name}.proj`, { ...conv, outChannels, init: initZero }),
      };
    }
  }

  /** x [B,H,W,inChannels] and emb [B,embChannels] -> [B,H',W',outChannels]. */
  forward(x: Tensor, emb: Tensor, dropoutKey?: Tensor): Tensor {
    const { outChannels, dropout: p = 0, dropoutStream = 0 } = this.options;
    let h = this.#conv0.forward(silu(this.#norm0.forward(x)));
    const affine = this.#affine.forward(emb);
    const perChannel = reshape(affine, [affine.shape[0], 1, 1, affine.shape[1]]);
    if (this.style.adaptiveScale) {
      const [scale, shift] = chunk(perChannel, 3, 2);
      h = silu(add(mul(this.#norm1.forward(h), add(scale, 1)), shift));
    } else {
      h = silu(this.#norm1.forward(add(h, perChannel)));
    }
    if (p > 0 && dropoutKey) h = dropout(h, p, dropoutKey, dropoutStream);
    h = this.#residual(this.#conv1.forward(h), this.#skip ? this.#skip.forward(x) : x);
    if (!this.#attention) return h;

    const { norm, qkv, proj } = this.#attention;
    const [n, height, width] = h.shape;
    const joint = reshape(qkv.forward(norm.forward(h)), [n, height * width, 3 * outChannels]);
    const attended = selfAttention(joint, this.options.heads!, "head-channel-part");
    return this.#residual(proj.forward(reshape(attended, h.shape)), h);
  }

  #residual(branch: Tensor, skip: Tensor): Tensor {
    const sum = add(branch, skip);
    return this.style.skipScale === 1 ? sum : mul(sum, this.style.skipScale);
  }
}
