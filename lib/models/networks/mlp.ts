/**
 * Fully connected residual network for points: small enough to train in seconds, with the same
 * conditioning as the image networks.
 *
 * @module
 */

import { z } from "npm:zod@4.1.12";
import type { Same } from "../../base/schema.ts";
import { positionalEmbedding } from "../../nn/embedding.ts";
import type { LayerInit } from "../../nn/init.ts";
import { Linear } from "../../nn/linear.ts";
import type { ParameterStore } from "../../nn/parameters.ts";
import { add, dropout, mul, silu } from "../../tensor/mod.ts";
import type { Shape, Tensor } from "../../tensor/tensor.ts";
import type { NetworkKind } from "../kind.ts";
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

/** Fully connected network for points. */
export interface MlpConfig extends NetworkSettings {
  /** Selects this network. */
  readonly type: "mlp";
  /** Coordinates of a point. Default 2. */
  readonly dimensions: number;
  /** Classes; 0, the default, for none. */
  readonly labelDim: number;
  /** Width of the layers. Default 256. */
  readonly hidden: number;
  /** Residual blocks. Default 4. */
  readonly depth: number;
  /** Columns of the sinusoidal time embedding, an even number from 4 on. Default 64. */
  readonly timeChannels: number;
  /** Probability that training drops an activation. Default 0. */
  readonly dropout: number;
  /** Whether the network is told the second time. Default true. */
  readonly sEmbed: boolean;
}

const schema = z.strictObject({
  type: z.literal("mlp"),
  dimensions: z.int().min(1).default(2),
  labelDim: z.int().min(0).default(0),
  hidden: z.int().min(1).default(256),
  depth: z.int().min(1).default(4),
  timeChannels: z.int().min(4).multipleOf(2).default(64),
  dropout: z.number().min(0).lt(1).default(0),
  sEmbed: z.boolean().default(true),
});

// The interface is the schema's documentation: these lines compile only where both agree.
true satisfies Same<z.output<typeof schema>, MlpConfig>;
true satisfies Same<z.input<typeof schema>, NetworkInput<MlpConfig>>;

const init: LayerInit = { mode: "xavier_uniform", weight: 1 };
/** Of layers that end a residual branch: the network starts close to a linear map. */
const initLast: LayerInit = { mode: "xavier_uniform", weight: 1e-2 };

/** See the module's description. Input and output [B, dimensions]. */
export class Mlp extends Network<MlpConfig> {
  readonly sampleShape: Shape;
  readonly conditioning: ConditioningSpec;
  readonly #mapLabel: Linear | null;
  readonly #mapT: Linear;
  readonly #mapS: Linear | null;
  readonly #mapOut: Linear;
  readonly #in: Linear;
  readonly #blocks: readonly MlpBlock[];
  readonly #out: Linear;

  constructor(readonly config: MlpConfig) {
    super();
    const { dimensions, labelDim, hidden, depth, timeChannels, sEmbed } = config;
    const store = this.parameters;
    this.sampleShape = [dimensions];
    this.conditioning = {
      timeChannels,
      secondTime: sEmbed,
      labels: labelDim > 0 ? { kind: "one-hot", classes: labelDim } : null,
      augmentDim: 0,
    };
    this.#mapLabel = labelDim > 0
      ? new Linear(store, "model.map_label", labelDim, hidden, init)
      : null;
    this.#mapT = new Linear(store, "model.map_t", timeChannels, hidden, init);
    this.#mapS = sEmbed ? new Linear(store, "model.map_s", timeChannels, hidden, init) : null;
    this.#mapOut = new Linear(store, "model.map_out", hidden, hidden, init);
    this.#in = new Linear(store, "model.in", dimensions, hidden, init);
    this.#blocks = Array.from(
      { length: depth },
      (_, i) => new MlpBlock(store, `model.blocks.${i}`, config, i),
    );
    this.#out = new Linear(store, "model.out", hidden, dimensions, initLast);
  }

  override rebuild(changes: RebuildChanges = {}): Mlp {
    return new Mlp({ ...this.config, ...changes });
  }

  forward(
    x: Tensor,
    conditioning: Conditioning,
    options: ForwardOptions = {},
  ): Tensor {
    const { dropoutKey, observe } = options;
    const emb = embedded(() => this.#embedding(conditioning));
    let h = this.#in.forward(x);
    this.#blocks.forEach((block, i) => {
      const before = h;
      h = runBlock(options, () => block.forward(before, emb, dropoutKey));
      observe?.(`model.blocks.${i}`, h);
    });
    return this.#out.forward(silu(h));
  }

  #embedding({ timeT, timeS, labels }: Conditioning): Tensor {
    let emb = this.#mapT.forward(timeT);
    if (this.#mapS) emb = add(emb, this.#mapS.forward(timeS!));
    if (this.#mapLabel) {
      emb = add(emb, this.#mapLabel.forward(mul(labels!, Math.sqrt(this.config.labelDim))));
    }
    return silu(this.#mapOut.forward(silu(emb)));
  }

  protected override embedTimes(cNoise: ArrayLike<number>): Float32Array {
    const channels = this.conditioning.timeChannels;
    return positionalEmbedding(cNoise, { channels, endpoint: true, sineFirst: true });
  }
}

/** h + fc2(silu(fc1(silu(h)) + affine(emb))). */
class MlpBlock {
  readonly #fc1: Linear;
  readonly #affine: Linear;
  readonly #fc2: Linear;
  readonly #dropout: number;

  constructor(
    store: ParameterStore,
    name: string,
    { hidden, dropout }: MlpConfig,
    readonly dropoutStream: number,
  ) {
    this.#dropout = dropout;
    this.#fc1 = new Linear(store, `${name}.fc1`, hidden, hidden, init);
    this.#affine = new Linear(store, `${name}.affine`, hidden, hidden, init);
    this.#fc2 = new Linear(store, `${name}.fc2`, hidden, hidden, initLast);
  }

  forward(x: Tensor, emb: Tensor, dropoutKey?: Tensor): Tensor {
    let h = silu(add(this.#fc1.forward(silu(x)), this.#affine.forward(emb)));
    if (this.#dropout > 0 && dropoutKey) {
      h = dropout(h, this.#dropout, dropoutKey, this.dropoutStream);
    }
    return add(x, this.#fc2.forward(h));
  }
}

/** The row of the network for points. */
export const MLP: NetworkKind<MlpConfig> = {
  type: "mlp",
  schema,
  create: (config) => new Mlp(config),
};
