/**
 * Diffusion transformer (Peebles and Xie, Scalable Diffusion Models with Transformers) as IMM uses
 * it: adaptive layer norm blocks conditioned on two times and a class.
 *
 * @module
 */

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
import type { DiTConfig } from "../config.ts";
import {
  type Conditioning,
  type ConditioningSpec,
  embedded,
  type ForwardOptions,
  Network,
  runBlock,
} from "../network.ts";

/** Of the layer norms without gain and offset. */
const NORM_EPS = 1e-6;
/** Of the layer norms of queries and keys. */
const QK_NORM_EPS = 1e-5;

const xavier: LayerInit = { mode: "xavier_uniform", weight: 1 };
const zero: LayerInit = { mode: "normal", weight: 0 };
const small: LayerInit = { mode: "normal", weight: 0.02 };

/** See the module's description. Input and output [B, H, W, imgChannels]. */
export class DiT extends Network {
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

  override rebuild(): DiT {
    return new DiT(this.config);
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
