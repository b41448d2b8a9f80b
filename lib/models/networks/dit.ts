/**
 * Diffusion transformer (Peebles and Xie, Scalable Diffusion Models with Transformers) as IMM uses
 * it: adaptive layer norm blocks conditioned on two times and a class.
 *
 * @module
 */

import { z } from "npm:zod@4.1.12";
import { FormatError } from "../../base/errors.ts";
import type { Same } from "../../base/schema.ts";
import { selfAttention } from "../../nn/attention.ts";
import { fourierEmbedding, gridEmbedding, positionalEmbedding } from "../../nn/embedding.ts";
import type { LayerInit } from "../../nn/init.ts";
import { Linear } from "../../nn/linear.ts";
import { LayerNorm } from "../../nn/norm.ts";
import type { ParameterStore } from "../../nn/parameters.ts";
import {
  add,
  chunk,
  embedding,
  geluTanh,
  layerNorm,
  matmul,
  mul,
  permute,
  reshape,
  silu,
} from "../../tensor/mod.ts";
import type { Shape, Tensor } from "../../tensor/tensor.ts";
import type { InferredSettings, NetworkKind } from "../kind.ts";
import { snakeCase } from "../official_names.ts";
import type { TensorShapes } from "../tensor_shapes.ts";
import {
  type Conditioning,
  type ConditioningSpec,
  embedded,
  type ForwardOptions,
  Network,
  type NetworkInput,
  type NetworkSettings,
  type RebuildChanges,
  runBlock,
} from "../network.ts";

/** Diffusion transformer; the defaults are DiT-XL/2. */
export interface DiTConfig extends NetworkSettings {
  /** Selects this network. */
  readonly type: "dit";
  /** Height and width of the images, a multiple of the patch size. */
  readonly imgResolution: number;
  /** Channels of the images: 4 for latents of Stable Diffusion's autoencoder. */
  readonly imgChannels: number;
  /** Classes without the null class, which the table has besides; 0 for no table. Default 1000. */
  readonly labelDim: number;
  /** Height and width of the square that becomes one token. Default 2. */
  readonly patchSize: number;
  /** Width of a token, a multiple of 4 and of `numHeads`. Default 1152. */
  readonly hiddenSize: number;
  /** Transformer blocks. Default 28. */
  readonly depth: number;
  /** Attention heads. Default 16. */
  readonly numHeads: number;
  /** Hidden units of a block's MLP in units of `hiddenSize`. Default 4. */
  readonly mlpRatio: number;
  /** Whether queries and keys are normalised. Default false. */
  readonly qkNorm: boolean;
  /** How times become numbers. Default `positional`. */
  readonly embeddingType: "positional" | "fourier";
  /** Columns of the time embedding. Default 256. */
  readonly timeChannels: number;
  /** Standard deviation of the frequencies of the Fourier embedding. Default 0.02. */
  readonly fourierScale: number;
  /** Whether the network is told the second time. Default true. */
  readonly sEmbed: boolean;
}

const schema = z.strictObject({
  type: z.literal("dit"),
  imgResolution: z.int().min(1),
  imgChannels: z.int().min(1),
  labelDim: z.int().min(0).default(1000),
  patchSize: z.int().min(1).default(2),
  hiddenSize: z.int().min(1).default(1152),
  depth: z.int().min(1).default(28),
  numHeads: z.int().min(1).default(16),
  mlpRatio: z.number().positive().default(4),
  qkNorm: z.boolean().default(false),
  embeddingType: z.enum(["positional", "fourier"]).default("positional"),
  timeChannels: z.int().min(2).default(256),
  fourierScale: z.number().positive().default(0.02),
  sEmbed: z.boolean().default(true),
});

// The interface is the schema's documentation: these lines compile only where both agree.
true satisfies Same<z.output<typeof schema>, DiTConfig>;
true satisfies Same<z.input<typeof schema>, NetworkInput<DiTConfig>>;

/** Of the layer norms without gain and offset. */
const NORM_EPS = 1e-6;
/** Of the layer norms of queries and keys. */
const QK_NORM_EPS = 1e-5;

const xavier: LayerInit = { mode: "xavier_uniform", weight: 1 };
const zero: LayerInit = { mode: "normal", weight: 0 };
const small: LayerInit = { mode: "normal", weight: 0.02 };

/** See the module's description. Input and output [B, H, W, imgChannels]. */
export class DiT extends Network<DiTConfig> {
  readonly sampleShape: Shape;
  readonly conditioning: ConditioningSpec;
  readonly #positions: Tensor;
  readonly #embedT: TimeEmbedder;
  readonly #embedS: TimeEmbedder | null;
  readonly #patches: PatchEmbedding;
  readonly #classes: Tensor | null;
  readonly #blocks: readonly DiTBlock[];
  readonly #final: FinalLayer;

  constructor(readonly config: DiTConfig) {
    super();
    const { imgResolution, imgChannels, labelDim, patchSize, hiddenSize, timeChannels } = config;
    const store = this.parameters;
    this.sampleShape = [imgResolution, imgResolution, imgChannels];
    this.conditioning = {
      timeChannels,
      secondTime: config.sEmbed,
      labels: labelDim > 0 ? { kind: "index", classes: labelDim } : null,
      augmentDim: 0,
    };

    const side = imgResolution / patchSize;
    this.#positions = store.parameter(
      "model.pos_embed",
      [1, side * side, hiddenSize],
      { kind: "values", values: gridEmbedding(hiddenSize, side) },
      { trainable: false },
    );
    this.#embedS = config.sEmbed ? new TimeEmbedder(store, "model.s_embedder", config) : null;
    this.#patches = new PatchEmbedding(
      store,
      "model.x_embedder",
      patchSize,
      imgChannels,
      hiddenSize,
    );
    this.#embedT = new TimeEmbedder(store, "model.t_embedder", config);
    this.#classes = labelDim > 0
      ? store.parameter("model.y_embedder.embedding_table.weight", [labelDim + 1, hiddenSize], {
        kind: "normal",
        std: 0.02,
      })
      : null;
    this.#blocks = Array.from(
      { length: config.depth },
      (_, i) => new DiTBlock(store, `model.blocks.${i}`, config),
    );
    const outWidth = patchSize * patchSize * imgChannels;
    this.#final = new FinalLayer(store, "model.final_layer", hiddenSize, outWidth);
  }

  override rebuild(changes: RebuildChanges = {}): DiT {
    return new DiT({ ...this.config, ...changes });
  }

  forward(x: Tensor, conditioning: Conditioning, options: ForwardOptions = {}): Tensor {
    const { observe } = options;
    const patches = this.#patches.forward(x);
    observe?.("model.x_embedder", patches);
    let tokens = add(patches, this.#positions);

    const condition = embedded(() => this.#condition(conditioning, options));
    this.#blocks.forEach((block, i) => {
      const before = tokens;
      tokens = runBlock(options, () => block.forward(before, condition));
      observe?.(`model.blocks.${i}`, tokens);
    });
    const out = this.#final.forward(tokens, condition);
    observe?.("model.final_layer", out);
    return unpatchify(out, this.config.patchSize, this.config.imgChannels);
  }

  /** silu(t embedding + s embedding + class embedding): [B, hidden]. */
  #condition({ timeT, timeS, labels }: Conditioning, { observe }: ForwardOptions): Tensor {
    const t = this.#embedT.forward(timeT);
    observe?.("model.t_embedder", t);
    let condition = t;
    if (this.#embedS) {
      const s = this.#embedS.forward(timeS!);
      observe?.("model.s_embedder", s);
      condition = add(condition, s);
    }
    if (this.#classes) {
      const y = embedding(this.#classes, labels!);
      observe?.("model.y_embedder", y);
      condition = add(condition, y);
    }
    return silu(condition);
  }

  protected override embedTimes(cNoise: ArrayLike<number>, second: boolean): Float32Array {
    if (this.config.embeddingType === "fourier") {
      const name = frequenciesName(second ? "model.s_embedder" : "model.t_embedder");
      return fourierEmbedding(cNoise, this.parameters.bufferValue(name), false);
    }
    const channels = this.config.timeChannels;
    return positionalEmbedding(cNoise, { channels, endpoint: false, sineFirst: false });
  }
}

function frequenciesName(embedder: string): string {
  return `${embedder}.freqs`;
}

/** Two linear layers over the sinusoids of a time. */
class TimeEmbedder {
  readonly #first: Linear;
  readonly #second: Linear;

  constructor(store: ParameterStore, name: string, config: DiTConfig) {
    const { timeChannels, hiddenSize, embeddingType, fourierScale } = config;
    if (embeddingType === "fourier") {
      const init = { kind: "normal", std: fourierScale } as const;
      store.buffer(frequenciesName(name), [timeChannels / 2], init, { fixed: false });
    }
    this.#first = new Linear(store, `${name}.mlp.0`, timeChannels, hiddenSize, small);
    this.#second = new Linear(store, `${name}.mlp.2`, hiddenSize, hiddenSize, small);
  }

  forward(sinusoids: Tensor): Tensor {
    return this.#second.forward(silu(this.#first.forward(sinusoids)));
  }
}

/** Square patches of an image [B,H,W,C] to tokens [B, T, hidden], row by row. */
export class PatchEmbedding {
  readonly #weight: Tensor;
  readonly #bias: Tensor;

  constructor(
    store: ParameterStore,
    name: string,
    readonly patchSize: number,
    readonly channels: number,
    readonly hiddenSize: number,
  ) {
    const fanIn = channels * patchSize * patchSize;
    this.#weight = store.parameter(
      `${name}.proj.weight`,
      [hiddenSize, channels, patchSize, patchSize],
      { kind: "uniform", bound: Math.sqrt(6 / (fanIn + hiddenSize)) },
      { layout: "oihw" },
    );
    this.#bias = store.parameter(`${name}.proj.bias`, [hiddenSize], {
      kind: "constant",
      value: 0,
    });
  }

  forward(x: Tensor): Tensor {
    const [batch, height, width, channels] = x.shape;
    const p = this.patchSize;
    const [rows, columns] = [height / p, width / p];
    const cut = permute(reshape(x, [batch, rows, p, columns, p, channels]), [0, 1, 3, 2, 4, 5]);
    const flat = reshape(cut, [batch, rows * columns, p * p * channels]);
    // The device's layout [p, p, in, out] is the matrix that the flattened patches need.
    const weight = reshape(this.#weight, [p * p * channels, this.hiddenSize]);
    return add(matmul(flat, weight), this.#bias);
  }
}

/** Tokens [B, side², patch² · channels] back to an image [B, H, W, channels]. */
export function unpatchify(tokens: Tensor, patchSize: number, channels: number): Tensor {
  const [batch, count] = tokens.shape;
  const side = Math.sqrt(count);
  const cut = reshape(tokens, [batch, side, side, patchSize, patchSize, channels]);
  const rows = permute(cut, [0, 1, 3, 2, 4, 5]);
  return reshape(rows, [batch, side * patchSize, side * patchSize, channels]);
}

/** Attention and MLP, each modulated and gated by the condition. */
export class DiTBlock {
  readonly #qkv: Linear;
  readonly #qNorm: LayerNorm | null = null;
  readonly #kNorm: LayerNorm | null = null;
  readonly #proj: Linear;
  readonly #fc1: Linear;
  readonly #fc2: Linear;
  readonly #modulation: Linear;
  readonly #heads: number;

  constructor(
    store: ParameterStore,
    name: string,
    { hiddenSize, numHeads, mlpRatio, qkNorm }: Pick<
      DiTConfig,
      "hiddenSize" | "numHeads" | "mlpRatio" | "qkNorm"
    >,
  ) {
    const wide = hiddenSize * mlpRatio;
    this.#heads = numHeads;
    this.#qkv = new Linear(store, `${name}.attn.qkv`, hiddenSize, 3 * hiddenSize, xavier);
    if (qkNorm) {
      const size = hiddenSize / numHeads;
      this.#qNorm = new LayerNorm(store, `${name}.attn.q_norm`, size, QK_NORM_EPS);
      this.#kNorm = new LayerNorm(store, `${name}.attn.k_norm`, size, QK_NORM_EPS);
    }
    this.#proj = new Linear(store, `${name}.attn.proj`, hiddenSize, hiddenSize, xavier);
    this.#fc1 = new Linear(store, `${name}.mlp.fc1`, hiddenSize, wide, xavier);
    this.#fc2 = new Linear(store, `${name}.mlp.fc2`, wide, hiddenSize, xavier);
    const modulation = `${name}.adaLN_modulation.1`;
    this.#modulation = new Linear(store, modulation, hiddenSize, 6 * hiddenSize, zero);
  }

  /** x [B, T, hidden]; `condition` [B, hidden] after its activation. */
  forward(x: Tensor, condition: Tensor): Tensor {
    const [shift1, scale1, gate1, shift2, scale2, gate2] = modulations(
      this.#modulation,
      condition,
      6,
    );
    const [q, k] = [this.#qNorm, this.#kNorm];
    const attended = selfAttention(
      this.#qkv.forward(modulate(x, shift1, scale1)),
      this.#heads,
      "part-head-channel",
      q && k ? { q: (value) => q.forward(value), k: (value) => k.forward(value) } : undefined,
    );
    const h = add(x, mul(gate1, this.#proj.forward(attended)));
    const hidden = geluTanh(this.#fc1.forward(modulate(h, shift2, scale2)));
    return add(h, mul(gate2, this.#fc2.forward(hidden)));
  }
}

/** Modulated tokens to the pixels of their patches. */
export class FinalLayer {
  readonly #linear: Linear;
  readonly #modulation: Linear;

  constructor(store: ParameterStore, name: string, hiddenSize: number, outWidth: number) {
    this.#linear = new Linear(store, `${name}.linear`, hiddenSize, outWidth, zero);
    const modulation = `${name}.adaLN_modulation.1`;
    this.#modulation = new Linear(store, modulation, hiddenSize, 2 * hiddenSize, zero);
  }

  /** x [B, T, hidden]; `condition` [B, hidden] after its activation. */
  forward(x: Tensor, condition: Tensor): Tensor {
    const [shift, scale] = modulations(this.#modulation, condition, 2);
    return this.#linear.forward(modulate(x, shift, scale));
  }
}

/** `count` rows [B, 1, hidden] from the condition. */
function modulations(layer: Linear, condition: Tensor, count: number): Tensor[] {
  const all = layer.forward(condition);
  return chunk(reshape(all, [all.shape[0], 1, all.shape[1]]), 2, count);
}

/** norm(x) (1 + scale) + shift. */
function modulate(x: Tensor, shift: Tensor, scale: Tensor): Tensor {
  return add(mul(layerNorm(x, NORM_EPS), add(scale, 1)), shift);
}

/** Depth, width and heads of the named sizes. */
const SIZES: Readonly<Record<string, readonly [number, number, number]>> = {
  S: [12, 384, 6],
  B: [12, 768, 12],
  L: [24, 1024, 16],
  XL: [28, 1152, 16],
};

/** A tensor that every DiT has, and no other network. */
const LANDMARK = "x_embedder.proj.weight";

/** The row of the diffusion transformer. */
export const DIT: NetworkKind<DiTConfig> = {
  type: "dit",
  schema,
  create: (config) => new DiT(config),
  problem(config) {
    if (config.embeddingType === "fourier" && config.timeChannels % 2 !== 0) {
      return `network.timeChannels: expected an even number for the Fourier embedding, found ` +
        `${config.timeChannels}`;
    }
    if (config.imgResolution % config.patchSize !== 0) {
      return `network.imgResolution: expected a multiple of the patch size ` +
        `${config.patchSize}, found ${config.imgResolution}`;
    }
    if (config.hiddenSize % config.numHeads !== 0 || config.hiddenSize % 4 !== 0) {
      return `network.hiddenSize: expected a multiple of 4 and of the ${config.numHeads} heads, ` +
        `found ${config.hiddenSize}`;
    }
    if (!Number.isInteger(config.hiddenSize * config.mlpRatio)) {
      return `network.mlpRatio: expected a whole number of hidden units, found ` +
        `${config.hiddenSize} * ${config.mlpRatio}`;
    }
    return null;
  },
  official: {
    modelType: "DiT",
    sizes: {
      names: "DiT_{S,B,L,XL}_{2,4,8}",
      settings(modelType) {
        const match = /^DiT_(S|B|L|XL)_(\d+)$/.exec(modelType);
        if (!match) return null;
        const [depth, hiddenSize, numHeads] = SIZES[match[1]];
        return { depth, hiddenSize, numHeads, patchSize: Number(match[2]) };
      },
    },
    options({ embeddingType, timeChannels, fourierScale, labelDim, ...own }) {
      return {
        ...snakeCase(own),
        label_dim: labelDim,
        num_classes: labelDim,
        embedding_kwargs: {
          embedding_type: embeddingType,
          frequency_embedding_size: timeChannels,
          ...(embeddingType === "fourier" ? { scale: fourierScale } : {}),
        },
      };
    },
  },
  inference: { landmark: LANDMARK, fits: () => true, infer: inferDiT },
};

function inferDiT(found: TensorShapes, known: Readonly<Record<string, unknown>>): InferredSettings {
  const [hiddenSize, imgChannels, patchSize] = found.shape(LANDMARK, 4);
  const depth = found.matches(/^blocks\.(\d+)\.attn\.qkv\.weight$/).length;
  const [hidden] = found.shape("blocks.0.mlp.fc1.weight", 2);
  const [, timeChannels] = found.shape("t_embedder.mlp.0.weight", 2);
  const table = "y_embedder.embedding_table.weight";
  const settings: Record<string, unknown> = {
    imgChannels,
    labelDim: found.has(table) ? found.shape(table, 2)[0] - 1 : 0,
    patchSize,
    hiddenSize,
    depth,
    mlpRatio: hidden / hiddenSize,
    qkNorm: found.has("blocks.0.attn.q_norm.weight"),
    embeddingType: found.has("t_embedder.freqs") ? "fourier" : "positional",
    timeChannels,
    sEmbed: found.has("s_embedder.mlp.0.weight"),
  };
  const assumptions: string[] = [];
  if (found.has("pos_embed")) {
    const [, tokens] = found.shape("pos_embed", 3);
    settings.imgResolution = Math.sqrt(tokens) * patchSize;
  } else if (known.imgResolution === undefined) {
    throw new FormatError(
      "the positions (pos_embed) are missing, so that the size of the images is not known; " +
        "give it with --set network.imgResolution=32 or the like.",
    );
  }
  const outWidth = found.shape("final_layer.linear.weight", 2)[0];
  if (outWidth === 2 * imgChannels * patchSize ** 2) {
    throw found.unknown("its output has twice the channels of its input (a learned variance)");
  }
  if (settings.qkNorm) {
    settings.numHeads = hiddenSize / found.shape("blocks.0.attn.q_norm.weight", 1)[0];
  } else if (known.numHeads === undefined) {
    const size = Object.entries(SIZES).find(([, s]) => s[0] === depth && s[1] === hiddenSize);
    settings.numHeads = size ? size[1][2] : Math.max(1, Math.floor(hiddenSize / 64));
    assumptions.push(
      size
        ? `${settings.numHeads} attention heads, as DiT-${size[0]} has`
        : `${settings.numHeads} attention heads, of 64 channels each: tensors do not show them ` +
          `(--set network.numHeads=…)`,
    );
  }
  return { settings, assumptions };
}
