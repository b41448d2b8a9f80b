/**
 * The U-Net of Dhariwal and Nichol (Diffusion Models Beat GANs on Image Synthesis; ADM) in EDM's
 * form, with a second time embedding.
 *
 * @module
 */

import { z } from "npm:zod@4.1.12";
import type { Same } from "../../base/schema.ts";
import { Conv2d } from "../../nn/conv.ts";
import { positionalEmbedding } from "../../nn/embedding.ts";
import type { LayerInit } from "../../nn/init.ts";
import { Linear } from "../../nn/linear.ts";
import { GroupNorm } from "../../nn/norm.ts";
import { add, silu } from "../../tensor/mod.ts";
import type { Tensor } from "../../tensor/tensor.ts";
import type { NetworkKind } from "../kind.ts";
import { snakeCase } from "../official_names.ts";
import {
  type Conditioning,
  embedded,
  type ForwardOptions,
  type NetworkInput,
  type RebuildChanges,
} from "../network.ts";
import type { TimeMapping } from "../time_mapping.ts";
import {
  type DecoderLevel,
  type Layer,
  resolutionProblem,
  UNet,
  type UNetConfig,
  unetShape,
} from "./unet.ts";
import { ADM_MARK, inferUNet, NO_DROPOUT, UNET_LANDMARK } from "./unet_inference.ts";
import { DHARIWAL_STYLE } from "./unet_block.ts";

/** Dhariwal and Nichol's U-Net (ADM) in EDM's form. */
export interface DhariwalUNetConfig extends UNetConfig {
  /** Selects this network. */
  readonly type: "dhariwal_unet";
}

const schema = z.strictObject({
  type: z.literal("dhariwal_unet"),
  ...unetShape({
    modelChannels: 192,
    channelMult: [1, 2, 3, 4],
    numBlocks: 3,
    attnResolutions: [32, 16, 8],
  }),
  sEmbed: z.boolean().default(true),
});

// The interface is the schema's documentation: these lines compile only where both agree.
true satisfies Same<z.output<typeof schema>, DhariwalUNetConfig>;
true satisfies Same<z.input<typeof schema>, NetworkInput<DhariwalUNetConfig>>;

/** Channels of one attention head. */
const HEAD_CHANNELS = 64;

/** See the module's description. Input and output [B, H, W, imgChannels]. */
export class DhariwalUNet extends UNet<DhariwalUNetConfig> {
  readonly #mapAugment: Linear | null;
  readonly #mapLabel: Linear | null;
  readonly #mapT: TimeMapping;
  readonly #mapS: TimeMapping | null;
  readonly #encoder: readonly Layer[];
  readonly #decoder: readonly DecoderLevel[];
  readonly #outNorm: GroupNorm;
  readonly #outConv: Conv2d;

  constructor(override readonly config: DhariwalUNetConfig) {
    super(config, DHARIWAL_STYLE, config.modelChannels);
    const { imgChannels, labelDim, augmentDim, modelChannels, sEmbed } = config;
    const store = this.parameters;

    this.#mapS = sEmbed ? this.mapping("_s") : null;
    const augmentInit: LayerInit = { ...DHARIWAL_STYLE.init, weight: 0 };
    this.#mapAugment = augmentDim > 0
      ? new Linear(store, "model.map_augment", augmentDim, modelChannels, augmentInit, {
        bias: false,
      })
      : null;
    this.#mapT = this.mapping("");
    const labelInit: LayerInit = { mode: "kaiming_normal", weight: Math.sqrt(labelDim) };
    this.#mapLabel = labelDim > 0
      ? new Linear(store, "model.map_label", labelDim, this.embChannels, labelInit, {
        bias: false,
      })
      : null;

    const skipChannels: number[] = [];
    this.#encoder = this.#buildEncoder(skipChannels);
    this.#decoder = [...this.decoderLevels(skipChannels)];
    const channels = modelChannels * config.channelMult[0];
    this.#outNorm = new GroupNorm(store, "model.out_norm", channels, DHARIWAL_STYLE.eps);
    this.#outConv = new Conv2d(store, "model.out_conv", {
      inChannels: channels,
      outChannels: imgChannels,
      kernel: 3,
      init: DHARIWAL_STYLE.initZero,
    });
  }

  override rebuild(changes: RebuildChanges = {}): DhariwalUNet {
    return new DhariwalUNet({ ...this.config, ...changes });
  }

  forward(x: Tensor, conditioning: Conditioning, options: ForwardOptions = {}): Tensor {
    const emb = embedded(() => this.#embedding(conditioning, options));
    const run = this.runner(emb, options);
    let h = x;
    const skips = this.#encoder.map((layer) => h = run(layer, h));
    for (const level of this.#decoder) h = this.decodeLevel(run, level, h, skips);
    const normed = this.#outNorm.forward(h);
    options.observe?.("model.out_norm", normed);
    return run(this.#outConv, silu(normed));
  }

  protected override embedTimes(cNoise: ArrayLike<number>): Float32Array {
    const channels = this.conditioning.timeChannels;
    return positionalEmbedding(cNoise, { channels, endpoint: false, sineFirst: false });
  }

  /** Fewer than 64 channels make no head: such a block does not attend even where it should. */
  protected override heads(outChannels: number): number {
    return Math.floor(outChannels / HEAD_CHANNELS);
  }

  protected override attendsInDecoder(): boolean {
    return true;
  }

  /** `skipChannels` receives the channels of every layer's output, in order. */
  #buildEncoder(skipChannels: number[]): Layer[] {
    const { config } = this;
    const layers: Layer[] = [];
    let channels = config.imgChannels;
    config.channelMult.forEach((mult, level) => {
      const resolution = config.imgResolution >> level;
      const name = (part: string) => `model.enc.${resolution}x${resolution}_${part}`;
      if (level === 0) {
        const outChannels = config.modelChannels * mult;
        const { init } = DHARIWAL_STYLE;
        const options = { inChannels: channels, outChannels, kernel: 3, init } as const;
        layers.push(new Conv2d(this.parameters, name("conv"), options));
        channels = outChannels;
      } else {
        const down = { inChannels: channels, outChannels: channels, resample: "down" } as const;
        layers.push(this.block(name("down"), down));
      }
      skipChannels.push(channels);
      layers.push(...this.encoderBlocks(level, channels, name, skipChannels));
      channels = skipChannels[skipChannels.length - 1];
    });
    return layers;
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

/** The row of Dhariwal and Nichol's U-Net. */
export const DHARIWAL_UNET: NetworkKind<DhariwalUNetConfig> = {
  type: "dhariwal_unet",
  schema,
  create: (config) => new DhariwalUNet(config),
  problem: resolutionProblem,
  official: { modelType: "DhariwalUNet", options: snakeCase },
  inference: {
    landmark: UNET_LANDMARK,
    fits: (found) => found.has(ADM_MARK),
    infer: (found) => ({
      settings: inferUNet(found, "dhariwal_unet").settings,
      assumptions: [NO_DROPOUT],
    }),
  },
};
