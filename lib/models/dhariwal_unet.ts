/**
 * The U-Net of Dhariwal and Nichol (Diffusion Models Beat GANs on Image Synthesis; ADM) in EDM's
 * form, with a second time embedding.
 *
 * @module
 */

import { Conv2d } from "../nn/conv.ts";
import { positionalEmbedding } from "../nn/embedding.ts";
import type { LayerInit } from "../nn/init.ts";
import { Linear } from "../nn/linear.ts";
import { GroupNorm } from "../nn/norm.ts";
import { add, concat, silu } from "../tensor/mod.ts";
import type { Shape, Tensor } from "../tensor/tensor.ts";
import type { DhariwalUNetConfig } from "./config.ts";
import {
  type Conditioning,
  type ConditioningSpec,
  type ForwardOptions,
  Network,
} from "./network.ts";
import { TimeMapping } from "./time_mapping.ts";
import { DHARIWAL_STYLE, UNetBlock, type UNetBlockOptions } from "./unet_block.ts";

/** Channels of one attention head. */
const HEAD_CHANNELS = 64;

interface DecoderLevel {
  /** Two blocks at the coarsest level, else the one that doubles the resolution. */
  readonly entry: readonly UNetBlock[];
  /** Each takes one skip from the encoder. */
  readonly blocks: readonly UNetBlock[];
}

/** See the module's description. Input and output [B, H, W, imgChannels]. */
export class DhariwalUNet extends Network {
  readonly sampleShape: Shape;
  readonly conditioning: ConditioningSpec;
  readonly #mapAugment: Linear | null;
  readonly #mapLabel: Linear | null;
  readonly #mapT: TimeMapping;
  readonly #mapS: TimeMapping | null;
  readonly #encoder: readonly (Conv2d | UNetBlock)[];
  readonly #decoder: readonly DecoderLevel[];
  readonly #outNorm: GroupNorm;
  readonly #outConv: Conv2d;
  #dropoutStreams = 0;

  constructor(readonly config: DhariwalUNetConfig) {
    super();
    const { imgResolution, imgChannels, labelDim, augmentDim, modelChannels, sEmbed } = config;
    const store = this.parameters;
    this.sampleShape = [imgResolution, imgResolution, imgChannels];
    this.conditioning = {
      timeChannels: modelChannels,
      secondTime: sEmbed,
      labels: labelDim > 0 ? { kind: "one-hot", classes: labelDim } : null,
      augmentDim,
    };

    this.#mapS = sEmbed ? this.#mapping("_s") : null;
    const augmentInit: LayerInit = { ...DHARIWAL_STYLE.init, weight: 0 };
    this.#mapAugment = augmentDim > 0
      ? new Linear(store, "model.map_augment", augmentDim, modelChannels, augmentInit, {
        bias: false,
      })
      : null;
    this.#mapT = this.#mapping("");
    const labelInit: LayerInit = { mode: "kaiming_normal", weight: Math.sqrt(labelDim) };
    this.#mapLabel = labelDim > 0
      ? new Linear(store, "model.map_label", labelDim, this.#embChannels, labelInit, {
        bias: false,
      })
      : null;

    const skipChannels: number[] = [];
    this.#encoder = this.#buildEncoder(skipChannels);
    this.#decoder = this.#buildDecoder(skipChannels);
    const channels = modelChannels * config.channelMult[0];
    this.#outNorm = new GroupNorm(store, "model.out_norm", channels, DHARIWAL_STYLE.eps);
    this.#outConv = new Conv2d(store, "model.out_conv", {
      inChannels: channels,
      outChannels: imgChannels,
      kernel: 3,
      init: DHARIWAL_STYLE.initZero,
    });
  }

  forward(x: Tensor, conditioning: Conditioning, options: ForwardOptions = {}): Tensor {
    const { observe, dropoutKey } = options;
    const emb = this.#embedding(conditioning, options);
    const run = (layer: Conv2d | UNetBlock, value: Tensor) => {
      const out = layer instanceof UNetBlock
        ? layer.forward(value, emb, dropoutKey)
        : layer.forward(value);
      observe?.(layer.name, out);
      return out;
    };
    let h = x;
    const skips = this.#encoder.map((layer) => h = run(layer, h));
    for (const { entry, blocks } of this.#decoder) {
      for (const block of entry) h = run(block, h);
      for (const block of blocks) h = run(block, concat([h, skips.pop()!], 3));
    }
    const normed = this.#outNorm.forward(h);
    observe?.("model.out_norm", normed);
    return run(this.#outConv, silu(normed));
  }

  protected override embedTimes(cNoise: ArrayLike<number>): Float32Array {
    const channels = this.conditioning.timeChannels;
    return positionalEmbedding(cNoise, { channels, endpoint: false, sineFirst: false });
  }

  #mapping(suffix: "" | "_s"): TimeMapping {
    const { timeChannels } = this.conditioning;
    return new TimeMapping(
      this.parameters,
      suffix,
      timeChannels,
      this.#embChannels,
      DHARIWAL_STYLE.init,
    );
  }

  get #embChannels(): number {
    return this.config.modelChannels * this.config.channelMultEmb;
  }

  #block(
    name: string,
    { attends, ...options }: Pick<UNetBlockOptions, "inChannels" | "outChannels" | "resample"> & {
      attends?: boolean;
    },
  ): UNetBlock {
    return new UNetBlock(this.parameters, name, DHARIWAL_STYLE, {
      ...options,
      // Fewer than 64 channels make no head: such a block does not attend even where it should.
      heads: attends ? Math.floor(options.outChannels / HEAD_CHANNELS) : 0,
      embChannels: this.#embChannels,
      dropout: this.config.dropout,
      dropoutStream: this.#dropoutStreams++,
    });
  }

  /** `skipChannels` receives the channels of every layer's output, in order. */
  #buildEncoder(skipChannels: number[]): (Conv2d | UNetBlock)[] {
    const { config } = this;
    const layers: (Conv2d | UNetBlock)[] = [];
    let channels = config.imgChannels;
    config.channelMult.forEach((mult, level) => {
      const resolution = config.imgResolution >> level;
      const name = (part: string) => `model.enc.${resolution}x${resolution}_${part}`;
      const outChannels = config.modelChannels * mult;
      if (level === 0) {
        layers.push(
          new Conv2d(this.parameters, name("conv"), {
            inChannels: channels,
            outChannels,
            kernel: 3,
            init: DHARIWAL_STYLE.init,
          }),
        );
        channels = outChannels;
      } else {
        const down = { inChannels: channels, outChannels: channels, resample: "down" } as const;
        layers.push(this.#block(name("down"), down));
      }
      skipChannels.push(channels);
      const attends = config.attnResolutions.includes(resolution);
      for (let i = 0; i < config.numBlocks; i++) {
        layers.push(this.#block(name(`block${i}`), { inChannels: channels, outChannels, attends }));
        channels = outChannels;
        skipChannels.push(channels);
      }
    });
    return layers;
  }

  #buildDecoder(encoderChannels: readonly number[]): DecoderLevel[] {
    const { config } = this;
    const skipChannels = [...encoderChannels];
    const deepest = config.channelMult.length - 1;
    let channels = skipChannels[skipChannels.length - 1];
    const levels: DecoderLevel[] = [];
    for (let level = deepest; level >= 0; level--) {
      const resolution = config.imgResolution >> level;
      const name = (part: string) => `model.dec.${resolution}x${resolution}_${part}`;
      const same = { inChannels: channels, outChannels: channels };
      const entry = level === deepest
        ? [this.#block(name("in0"), { ...same, attends: true }), this.#block(name("in1"), same)]
        : [this.#block(name("up"), { ...same, resample: "up" })];
      const attends = config.attnResolutions.includes(resolution);
      const blocks = Array.from({ length: config.numBlocks + 1 }, (_, i) => {
        const inChannels = channels + skipChannels.pop()!;
        channels = config.modelChannels * config.channelMult[level];
        return this.#block(name(`block${i}`), { inChannels, outChannels: channels, attends });
      });
      levels.push({ entry, blocks });
    }
    return levels;
  }

  /** silu(MLP(t embedding) + label embedding + MLP_s(s embedding)): [B, embChannels]. */
  #embedding(inputs: Conditioning, { observe }: ForwardOptions): Tensor {
    const first = this.#mapAugment
      ? add(inputs.timeT, this.#mapAugment.forward(inputs.augment!))
      : inputs.timeT;
    let emb = this.#mapT.forward(first, observe);
    if (this.#mapLabel) {
      const mapped = this.#mapLabel.forward(inputs.labels!);
      observe?.("model.map_label", mapped);
      emb = add(emb, mapped);
    }
    return silu(this.#mapS ? add(emb, this.#mapS.forward(inputs.timeS!, observe)) : emb);
  }
}
