/**
 * What the two U-Nets share: the mappings of both times, blocks with dropout streams of their own,
 * a decoder that takes the encoder's outputs back one by one, and the way through the layers.
 *
 * Parameters are declared in the official order, which is why levels are made by a generator: a
 * network declares what it adds to a level before the next one is made.
 *
 * @module
 */

import { z } from "npm:zod@4.1.12";
import type { Conv2d } from "../../nn/conv.ts";
import { concat } from "../../tensor/mod.ts";
import type { Shape, Tensor } from "../../tensor/tensor.ts";
import {
  type ConditioningSpec,
  type ForwardOptions,
  Network,
  type NetworkSettings,
  runBlock,
} from "../network.ts";
import { TimeMapping } from "../time_mapping.ts";
import { type BlockStyle, UNetBlock, type UNetBlockOptions } from "./unet_block.ts";

/** What the U-Nets have in common. */
export interface UNetConfig extends NetworkSettings {
  /** Height and width of the images: divisible by two once for each resolution after the first. */
  readonly imgResolution: number;
  /** Channels of the images: 1 for grey, 3 for colour. */
  readonly imgChannels: number;
  /** Classes; 0, the default, for none. */
  readonly labelDim: number;
  /** Augmentation labels; 0, the default, for none. */
  readonly augmentDim: number;
  /** Unit of the channels. Default 128 for `song_unet`, 192 for `dhariwal_unet`. */
  readonly modelChannels: number;
  /**
   * Channels at each resolution in units of `modelChannels`, finest first. Default [1, 2, 2, 2] for
   * `song_unet`, [1, 2, 3, 4] for `dhariwal_unet`.
   */
  readonly channelMult: readonly number[];
  /** Width of the embedding of times and labels in units of `modelChannels`. Default 4. */
  readonly channelMultEmb: number;
  /** Residual blocks at each resolution. Default 4 for `song_unet`, 3 for `dhariwal_unet`. */
  readonly numBlocks: number;
  /** Resolutions with self-attention. Default [16] for `song_unet`, else [32, 16, 8]. */
  readonly attnResolutions: readonly number[];
  /** Probability that training drops an activation. Default 0.1. */
  readonly dropout: number;
  /** Whether the network is told the second time. Default true. */
  readonly sEmbed: boolean;
}

/** The schema of {@linkcode UNetConfig} but for `sEmbed`, with each network's own defaults. */
export function unetShape(
  own: Pick<UNetConfig, "modelChannels" | "numBlocks"> & {
    readonly channelMult: number[];
    readonly attnResolutions: number[];
  },
) {
  const count = z.int().min(1);
  const optionalCount = z.int().min(0);
  return {
    imgResolution: count,
    imgChannels: count,
    labelDim: optionalCount.default(0),
    augmentDim: optionalCount.default(0),
    modelChannels: count.default(own.modelChannels),
    channelMult: z.array(count).min(1).default(own.channelMult),
    channelMultEmb: count.default(4),
    numBlocks: count.default(own.numBlocks),
    attnResolutions: z.array(count).default(own.attnResolutions),
    dropout: z.number().min(0).lt(1).default(0.1),
  };
}

/** What is wrong where a level has no whole pixels, or null. */
export function resolutionProblem({ imgResolution, channelMult }: UNetConfig): string | null {
  const factor = 2 ** (channelMult.length - 1);
  return imgResolution % factor === 0
    ? null
    : `network.imgResolution: expected a multiple of ${factor}, since channelMult has ` +
      `${channelMult.length} levels, found ${imgResolution}`;
}

/** A layer that reports what it computes under its official name. */
export type Layer = Conv2d | UNetBlock;

/** What the decoder does at one resolution. */
export interface DecoderLevel {
  /** Two blocks at the coarsest level, else the one that doubles the resolution. */
  readonly entry: readonly UNetBlock[];
  /** Each takes one skip from the encoder. */
  readonly blocks: readonly UNetBlock[];
}

/** A level of the decoder while the network is being declared. */
export interface DeclaredLevel extends DecoderLevel {
  /** 0 is the finest. */
  readonly level: number;
  /** Channels of its output. */
  readonly channels: number;
  /** Official name of a part of this level. */
  readonly name: (part: string) => string;
}

/** Applies a layer and reports its output. */
export type Run = (layer: Layer, value: Tensor) => Tensor;

/** See the module's description. Input and output [B, H, W, imgChannels]. */
export abstract class UNet<Config extends UNetConfig> extends Network<Config> {
  readonly sampleShape: Shape;
  readonly conditioning: ConditioningSpec;
  #dropoutStreams = 0;

  constructor(
    override readonly config: Config,
    protected readonly style: BlockStyle,
    timeChannels: number,
  ) {
    super();
    const { imgResolution, imgChannels, labelDim, augmentDim, sEmbed } = config;
    this.sampleShape = [imgResolution, imgResolution, imgChannels];
    this.conditioning = {
      timeChannels,
      secondTime: sEmbed,
      labels: labelDim > 0 ? { kind: "one-hot", classes: labelDim } : null,
      augmentDim,
    };
  }

  /** Heads of a block that attends. */
  protected abstract heads(outChannels: number): number;

  /** Whether block number `index` of a decoder level attends where its resolution does. */
  protected abstract attendsInDecoder(index: number): boolean;

  /** Width of the embedding that the blocks are given. */
  protected get embChannels(): number {
    return this.config.modelChannels * this.config.channelMultEmb;
  }

  /** Declares the mapping of a time: `suffix` is "" for the first and "_s" for the second. */
  protected mapping(suffix: "" | "_s"): TimeMapping {
    const { parameters, conditioning: { timeChannels }, embChannels, style } = this;
    return new TimeMapping(parameters, suffix, timeChannels, embChannels, style.init);
  }

  /** Declares a block. */
  protected block(
    name: string,
    { attends = false, ...options }:
      & Pick<UNetBlockOptions, "inChannels" | "outChannels" | "resample">
      & { readonly attends?: boolean },
  ): UNetBlock {
    return new UNetBlock(this.parameters, name, this.style, {
      ...options,
      heads: attends ? this.heads(options.outChannels) : 0,
      embChannels: this.embChannels,
      filter: this.resampleFilter,
      dropout: this.config.dropout,
      dropoutStream: this.#dropoutStreams++,
    });
  }

  /** Filter of blocks that resample; undefined for that of {@link UNetBlock}. */
  protected get resampleFilter(): UNetBlockOptions["filter"] {
    return undefined;
  }

  /** Whether blocks at a resolution attend. */
  protected attendsAt(resolution: number): boolean {
    return this.config.attnResolutions.includes(resolution);
  }

  /** Declares `numBlocks` blocks of the encoder; `skipChannels` receives their channels. */
  protected encoderBlocks(
    level: number,
    inChannels: number,
    name: (part: string) => string,
    skipChannels: number[],
  ): UNetBlock[] {
    const { numBlocks, modelChannels, channelMult, imgResolution } = this.config;
    const outChannels = modelChannels * channelMult[level];
    const attends = this.attendsAt(imgResolution >> level);
    let channels = inChannels;
    return Array.from({ length: numBlocks }, (_, i) => {
      const block = this.block(name(`block${i}`), { inChannels: channels, outChannels, attends });
      channels = outChannels;
      skipChannels.push(channels);
      return block;
    });
  }

  /** Declares the decoder for an encoder with these outputs, from the coarsest level on. */
  protected *decoderLevels(encoderChannels: readonly number[]): Generator<DeclaredLevel> {
    const { config } = this;
    const skipChannels = [...encoderChannels];
    const deepest = config.channelMult.length - 1;
    let channels = skipChannels[skipChannels.length - 1];
    for (let level = deepest; level >= 0; level--) {
      const resolution = config.imgResolution >> level;
      const name = (part: string) => `model.dec.${resolution}x${resolution}_${part}`;
      const same = { inChannels: channels, outChannels: channels };
      const entry = level === deepest
        ? [this.block(name("in0"), { ...same, attends: true }), this.block(name("in1"), same)]
        : [this.block(name("up"), { ...same, resample: "up" })];
      const blocks = Array.from({ length: config.numBlocks + 1 }, (_, i) => {
        const inChannels = channels + skipChannels.pop()!;
        channels = config.modelChannels * config.channelMult[level];
        const attends = this.attendsAt(resolution) && this.attendsInDecoder(i);
        return this.block(name(`block${i}`), { inChannels, outChannels: channels, attends });
      });
      yield { level, name, channels, entry, blocks };
    }
  }

  /** How layers are applied in a pass with this embedding [B, embChannels]. */
  protected runner(emb: Tensor, options: ForwardOptions): Run {
    const { observe, dropoutKey } = options;
    return (layer, value) => {
      const out = layer instanceof UNetBlock
        ? runBlock(options, () => layer.forward(value, emb, dropoutKey))
        : layer.forward(value);
      observe?.(layer.name, out);
      return out;
    };
  }

  /** One level of the decoder; takes its skips from the end of `skips`. */
  protected decodeLevel(run: Run, level: DecoderLevel, x: Tensor, skips: Tensor[]): Tensor {
    for (const block of level.entry) x = run(block, x);
    for (const block of level.blocks) x = run(block, concat([x, skips.pop()!], 3));
    return x;
  }
}
