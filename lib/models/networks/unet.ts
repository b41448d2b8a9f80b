/**
 * What the two U-Nets share: the mappings of both times, blocks with dropout streams of their own,
 * a decoder that takes the encoder's outputs back one by one, and the way through the layers.
 *
 * Parameters are declared in the official order, which is why levels are made by a generator: a
 * network declares what it adds to a level before the next one is made.
 *
 * @module
 */

import type { Conv2d } from "../../nn/conv.ts";
import { concat } from "../../tensor/mod.ts";
import type { Shape, Tensor } from "../../tensor/tensor.ts";
import type { DhariwalUNetConfig, SongUNetConfig } from "../config.ts";
import { type ConditioningSpec, type ForwardOptions, Network, runBlock } from "../network.ts";
import { TimeMapping } from "../time_mapping.ts";
import { type BlockStyle, UNetBlock, type UNetBlockOptions } from "./unet_block.ts";

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
export abstract class UNet extends Network {
  readonly sampleShape: Shape;
  readonly conditioning: ConditioningSpec;
  #dropoutStreams = 0;

  constructor(
    override readonly config: SongUNetConfig | DhariwalUNetConfig,
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
