/** The two-layer mapping of a time embedding that both U-Nets have. @module */

import type { LayerInit } from "../nn/init.ts";
import { Linear } from "../nn/linear.ts";
import type { ParameterStore } from "../nn/parameters.ts";
import { silu } from "../tensor/mod.ts";
import type { Tensor } from "../tensor/tensor.ts";
import type { ForwardOptions } from "./network.ts";

/** linear(silu(linear(embedding))): [B, timeChannels] -> [B, embChannels], not yet activated. */
export class TimeMapping {
  readonly #layer0: Linear;
  readonly #layer1: Linear;

  /** `suffix` is "" for the first time and "_s" for the second one. */
  constructor(
    store: ParameterStore,
    readonly suffix: "" | "_s",
    timeChannels: number,
    embChannels: number,
    init: LayerInit,
  ) {
    const name = (layer: string) => `model.${layer}${suffix}`;
    this.#layer0 = new Linear(store, name("map_layer0"), timeChannels, embChannels, init);
    this.#layer1 = new Linear(store, name("map_layer1"), embChannels, embChannels, init);
  }

  forward(embedding: Tensor, observe: ForwardOptions["observe"]): Tensor {
    const hidden = this.#layer0.forward(embedding);
    observe?.(`model.map_layer0${this.suffix}`, hidden);
    const mapped = this.#layer1.forward(silu(hidden));
    observe?.(`model.map_layer1${this.suffix}`, mapped);
    return mapped;
  }
}
