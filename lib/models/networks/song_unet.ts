/**
 * The U-Net of Song et al. (Score-Based Generative Modeling through SDEs) as EDM and IMM use it:
 * DDPM++ (positional embedding, standard encoder and decoder, filter [1, 1]) and NCSN++ (Fourier
 * embedding, residual encoder, filter [1, 3, 3, 1]), with a second time embedding.
 *
 * The second time has a mapping of its own, whose result is added to the first one's. Labels and
 * augmentations enter the mapping of the first time only.
 *
 * @module
 */

import { z } from "npm:zod@4.1.12";
import type { Same } from "../../base/schema.ts";
import { Conv2d } from "../../nn/conv.ts";
import { fourierEmbedding, positionalEmbedding } from "../../nn/embedding.ts";
import { Linear } from "../../nn/linear.ts";
import { GroupNorm } from "../../nn/norm.ts";
import { add, mul, silu } from "../../tensor/mod.ts";
import type { Tensor } from "../../tensor/tensor.ts";
import type { InferredSettings, NetworkKind } from "../kind.ts";
import { snakeCase } from "../official_names.ts";
import {
  type Conditioning,
  embedded,
  type ForwardOptions,
  type NetworkInput,
  type RebuildChanges,
} from "../network.ts";
import type { TensorShapes } from "../tensor_shapes.ts";
import type { TimeMapping } from "../time_mapping.ts";
import {
  type DecoderLevel,
  type Layer,
  resolutionProblem,
  type Run,
  UNet,
  type UNetConfig,
  unetShape,
} from "./unet.ts";
import { ADM_MARK, inferUNet, NO_DROPOUT, UNET_LANDMARK } from "./unet_inference.ts";
import { SONG_STYLE, type UNetBlock, type UNetBlockOptions } from "./unet_block.ts";

/** Song et al.'s U-Net in EDM's form; the defaults are DDPM++. */
export interface SongUNetConfig extends UNetConfig {
  /** Selects this network. */
  readonly type: "song_unet";
  /** How times become numbers: `positional` for DDPM++, the default, or `fourier` for NCSN++. */
  readonly embeddingType: "positional" | "fourier";
  /** Width of the time embedding in units of `modelChannels`: 1 for DDPM++, 2 for NCSN++. */
  readonly channelMultNoise: number;
  /** `standard` for DDPM++, the default; `residual` for NCSN++. */
  readonly encoderType: "standard" | "skip" | "residual";
  /** `standard`, the default, for both. */
  readonly decoderType: "standard" | "skip";
  /** Low-pass filter of the resampling: [1, 1] for DDPM++, [1, 3, 3, 1] for NCSN++. */
  readonly resampleFilter: readonly [1, 1] | readonly [1, 3, 3, 1];
}

const schema = z.strictObject({
  type: z.literal("song_unet"),
  ...unetShape({
    modelChannels: 128,
    channelMult: [1, 2, 2, 2],
    numBlocks: 4,
    attnResolutions: [16],
  }),
  embeddingType: z.enum(["positional", "fourier"]).default("positional"),
  channelMultNoise: z.int().min(1).default(1),
  encoderType: z.enum(["standard", "skip", "residual"]).default("standard"),
  decoderType: z.enum(["standard", "skip"]).default("standard"),
  resampleFilter: z.union([
    z.tuple([z.literal(1), z.literal(1)]),
    z.tuple([z.literal(1), z.literal(3), z.literal(3), z.literal(1)]),
  ]).default([1, 1]),
  sEmbed: z.boolean().default(true),
});

// The interface is the schema's documentation: these lines compile only where both agree.
true satisfies Same<z.output<typeof schema>, SongUNetConfig>;
true satisfies Same<z.input<typeof schema>, NetworkInput<SongUNetConfig>>;

/** Standard deviation of the frequencies of the Fourier embedding. */
const FOURIER_SCALE = 16;

interface EncoderLevel {
  /** The first convolution, or the block that halves the resolution. */
  readonly entry: Layer;
  readonly auxDown: Conv2d | null;
  /** Brings the downsampled image in, for the skip encoder. */
  readonly auxSkip: Conv2d | null;
  /** Brings the level above in, for the residual encoder. */
  readonly auxResidual: Conv2d | null;
  readonly blocks: readonly UNetBlock[];
}

interface SongDecoderLevel extends DecoderLevel {
  readonly auxUp: Conv2d | null;
  readonly out: { readonly name: string; readonly norm: GroupNorm; readonly conv: Conv2d } | null;
}

/** See the module's description. Input and output [B, H, W, imgChannels]. */
export class SongUNet extends UNet<SongUNetConfig> {
  readonly #mapLabel: Linear | null;
  readonly #mapAugment: Linear | null;
  readonly #mapT: TimeMapping;
  readonly #mapS: TimeMapping | null;
  readonly #encoder: readonly EncoderLevel[];
  readonly #decoder: readonly SongDecoderLevel[];

  constructor(override readonly config: SongUNetConfig) {
    const timeChannels = config.modelChannels * config.channelMultNoise;
    super(config, SONG_STYLE, timeChannels);
    const { labelDim, augmentDim, sEmbed } = config;
    const store = this.parameters;
    const { init } = SONG_STYLE;

    this.#declareFrequencies("");
    this.#mapLabel = labelDim > 0
      ? new Linear(store, "model.map_label", labelDim, timeChannels, init)
      : null;
    this.#mapAugment = augmentDim > 0
      ? new Linear(store, "model.map_augment", augmentDim, timeChannels, init, { bias: false })
      : null;
    this.#mapT = this.mapping("");
    if (sEmbed) this.#declareFrequencies("_s");
    this.#mapS = sEmbed ? this.mapping("_s") : null;

    const skipChannels: number[] = [];
    this.#encoder = this.#buildEncoder(skipChannels);
    this.#decoder = this.#buildDecoder(skipChannels);
  }

  override rebuild(changes: RebuildChanges = {}): SongUNet {
    return new SongUNet({ ...this.config, ...changes });
  }

  forward(x: Tensor, conditioning: Conditioning, options: ForwardOptions = {}): Tensor {
    const emb = embedded(() => this.#embedding(conditioning, options));
    const run = this.runner(emb, options);
    return this.#decode(run, this.#encode(run, x), options.observe);
  }

  protected override heads(): number {
    return 1;
  }

  /** Only the last block of a level attends, unlike in the encoder. */
  protected override attendsInDecoder(index: number): boolean {
    return index === this.config.numBlocks;
  }

  protected override get resampleFilter(): UNetBlockOptions["filter"] {
    return this.config.resampleFilter;
  }

  protected override embedTimes(cNoise: ArrayLike<number>, second: boolean): Float32Array {
    if (this.config.embeddingType === "fourier") {
      const frequencies = this.parameters.bufferValue(frequenciesName(second ? "_s" : ""));
      return fourierEmbedding(cNoise, frequencies, true);
    }
    const channels = this.conditioning.timeChannels;
    return positionalEmbedding(cNoise, { channels, endpoint: true, sineFirst: true });
  }

  #declareFrequencies(suffix: "" | "_s"): void {
    if (this.config.embeddingType !== "fourier") return;
    const init = { kind: "normal", std: FOURIER_SCALE } as const;
    const shape = [this.conditioning.timeChannels / 2];
    this.parameters.buffer(frequenciesName(suffix), shape, init, { fixed: false });
  }

  /** `skipChannels` receives the channels of every skip, in order. */
  #buildEncoder(skipChannels: number[]): EncoderLevel[] {
    const { config, parameters: store } = this;
    const { encoderType, resampleFilter: filter } = config;
    const { init } = SONG_STYLE;
    let channels = config.imgChannels;
    let auxChannels = config.imgChannels;
    return config.channelMult.map((_, level) => {
      const resolution = config.imgResolution >> level;
      const name = (part: string) => `model.enc.${resolution}x${resolution}_${part}`;
      let entry: Layer;
      let auxDown = null, auxSkip = null, auxResidual = null;
      if (level === 0) {
        const outChannels = config.modelChannels;
        const options = { inChannels: channels, outChannels, kernel: 3, init } as const;
        entry = new Conv2d(store, name("conv"), options);
        channels = outChannels;
      } else {
        const down = { inChannels: channels, outChannels: channels, resample: "down" } as const;
        entry = this.block(name("down"), down);
        const aux = { inChannels: auxChannels, filter, init } as const;
        if (encoderType === "skip") {
          auxDown = new Conv2d(store, name("aux_down"), {
            ...aux,
            outChannels: auxChannels,
            kernel: 0,
            resample: "down",
          });
          auxSkip = new Conv2d(store, name("aux_skip"), {
            ...aux,
            outChannels: channels,
            kernel: 1,
          });
        } else if (encoderType === "residual") {
          auxResidual = new Conv2d(store, name("aux_residual"), {
            ...aux,
            outChannels: channels,
            kernel: 3,
            resample: "down",
            fused: true,
          });
          auxChannels = channels;
        }
      }
      skipChannels.push(channels);
      const blocks = this.encoderBlocks(level, channels, name, skipChannels);
      channels = skipChannels[skipChannels.length - 1];
      return { entry, auxDown, auxSkip, auxResidual, blocks };
    });
  }

  #buildDecoder(skipChannels: readonly number[]): SongDecoderLevel[] {
    const { imgChannels, resampleFilter: filter, decoderType, channelMult } = this.config;
    const store = this.parameters;
    const skips = decoderType === "skip";
    const image = { inChannels: imgChannels, outChannels: imgChannels } as const;
    const levels: SongDecoderLevel[] = [];
    for (const { level, name, channels, entry, blocks } of this.decoderLevels(skipChannels)) {
      const auxUp = skips && level < channelMult.length - 1
        ? new Conv2d(store, name("aux_up"), { ...image, kernel: 0, resample: "up", filter })
        : null;
      const out = skips || level === 0
        ? {
          name: name("aux"),
          norm: new GroupNorm(store, name("aux_norm"), channels, SONG_STYLE.eps),
          conv: new Conv2d(store, name("aux_conv"), {
            inChannels: channels,
            outChannels: imgChannels,
            kernel: 3,
            init: SONG_STYLE.initZero,
          }),
        }
        : null;
      levels.push({ entry, blocks, auxUp, out });
    }
    return levels;
  }

  /** silu(MLP(t embedding, labels) + MLP_s(s embedding)): [B, embChannels]. */
  #embedding(inputs: Conditioning, { observe }: ForwardOptions): Tensor {
    let first = inputs.timeT;
    if (this.#mapLabel) {
      const labels = mul(inputs.labels!, Math.sqrt(this.config.labelDim));
      const mapped = this.#mapLabel.forward(labels);
      observe?.("model.map_label", mapped);
      first = add(first, mapped);
    }
    if (this.#mapAugment) first = add(first, this.#mapAugment.forward(inputs.augment!));
    const t = this.#mapT.forward(first, observe);
    return silu(this.#mapS ? add(t, this.#mapS.forward(inputs.timeS!, observe)) : t);
  }

  /** Outputs that the decoder takes, in order; the last one is where it starts. */
  #encode(run: Run, image: Tensor): Tensor[] {
    const skips: Tensor[] = [];
    let x = image;
    let aux = image;
    for (const { entry, auxDown, auxSkip, auxResidual, blocks } of this.#encoder) {
      x = run(entry, x);
      if (auxDown && auxSkip) {
        aux = run(auxDown, aux);
        x = add(x, run(auxSkip, aux));
      }
      if (auxResidual) {
        x = mul(add(x, run(auxResidual, aux)), Math.SQRT1_2);
        aux = x;
      }
      skips.push(x);
      for (const block of blocks) {
        x = run(block, x);
        skips.push(x);
      }
    }
    return skips;
  }

  #decode(run: Run, skips: Tensor[], observe: ForwardOptions["observe"]): Tensor {
    let x = skips[skips.length - 1];
    let image: Tensor | null = null;
    for (const level of this.#decoder) {
      const { auxUp, out } = level;
      x = this.decodeLevel(run, level, x, skips);
      if (auxUp) image = run(auxUp, image!);
      if (out) {
        const normed = out.norm.forward(x);
        const drawn: Tensor = out.conv.forward(silu(normed));
        observe?.(`${out.name}_norm`, normed);
        observe?.(`${out.name}_conv`, drawn);
        image = image ? add(drawn, image) : drawn;
      }
    }
    return image!;
  }
}

function frequenciesName(suffix: "" | "_s"): string {
  return `model.map_noise${suffix}.freqs`;
}

/** The row of Song et al.'s U-Net. */
export const SONG_UNET: NetworkKind<SongUNetConfig> = {
  type: "song_unet",
  schema,
  create: (config) => new SongUNet(config),
  problem(config) {
    const { embeddingType, modelChannels, channelMultNoise } = config;
    if (embeddingType === "fourier" && modelChannels * channelMultNoise % 2) {
      return `network.modelChannels: expected an even number for the Fourier embedding, found ` +
        `${modelChannels}`;
    }
    return resolutionProblem(config);
  },
  official: { modelType: "SongUNet", options: snakeCase },
  inference: {
    landmark: UNET_LANDMARK,
    fits: (found) => !found.has(ADM_MARK),
    infer: inferSongUNet,
  },
};

function inferSongUNet(found: TensorShapes): InferredSettings {
  const { settings, levels, timeChannels, modelChannels } = inferUNet(found, "song_unet");
  const assumptions = [NO_DROPOUT];
  const coarser = levels.slice(1);
  const fourier = found.has("map_noise.freqs");
  const residual = coarser.some((r) => found.has(`enc.${r}x${r}_aux_residual.weight`));
  const skip = coarser.some((r) => found.has(`enc.${r}x${r}_aux_skip.weight`));
  const drawsEarly = coarser.some((r) => found.has(`dec.${r}x${r}_aux_norm.weight`));
  Object.assign(settings, {
    channelMultNoise: timeChannels / modelChannels,
    embeddingType: fourier ? "fourier" : "positional",
    encoderType: residual ? "residual" : skip ? "skip" : "standard",
    decoderType: drawsEarly ? "skip" : "standard",
  });
  const filter = coarser.map((r) => `enc.${r}x${r}_down.conv0.resample_filter`)
    .find((name) => found.has(name));
  if (filter !== undefined) {
    const taps = found.shape(filter, 4)[3];
    settings.resampleFilter = taps === 4 ? [1, 3, 3, 1] : [1, 1];
  } else if (coarser.length > 0) {
    settings.resampleFilter = fourier ? [1, 3, 3, 1] : [1, 1];
    assumptions.push(
      `resampleFilter [${settings.resampleFilter}], as networks with a ${settings.embeddingType} ` +
        `embedding have: the file does not hold the filters`,
    );
  }
  return { settings, assumptions };
}
