/** Fully connected layer. @module */

import { linear } from "../tensor/mod.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { type LayerInit, layerInitializer } from "./init.ts";
import type { ParameterStore } from "./parameters.ts";

/** y = x W^T + b for x of shape [..., in]. */
export class Linear {
  readonly #weight: Tensor;
  readonly #bias: Tensor | undefined;

  /** Declares its parameters in the store. */
  constructor(
    store: ParameterStore,
    name: string,
    inFeatures: number,
    outFeatures: number,
    init: LayerInit,
    { bias = true }: { bias?: boolean } = {},
  ) {
    this.#weight = store.parameter(
      `${name}.weight`,
      [outFeatures, inFeatures],
      layerInitializer(init, "weight", inFeatures, outFeatures),
    );
    if (bias) {
      this.#bias = store.parameter(
        `${name}.bias`,
        [outFeatures],
        layerInitializer(init, "bias", inFeatures, outFeatures),
      );
    }
  }

  /** Applies it to the last axis. */
  forward(x: Tensor): Tensor {
    return linear(x, this.#weight, this.#bias);
  }
}
