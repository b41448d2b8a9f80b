/** Normalisation layers. @module */

import { UsageError } from "../base/errors.ts";
import { groupNorm, layerNorm } from "../tensor/mod.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { ones, zeros } from "./init.ts";
import type { ParameterStore } from "./parameters.ts";

/** Groups that the official networks use for a number of channels: at least 4 channels in each. */
export function groupCount(channels: number): number {
  return Math.min(32, Math.floor(channels / 4));
}

/** Throws a UsageError unless the channels can be cut into {@link groupCount} equal groups. */
export function checkGroups(channels: number, what: string): void {
  const groups = groupCount(channels);
  if (groups === 0 || channels % groups !== 0) {
    throw new UsageError(
      `${what} has ${channels} channels, which group normalisation cannot cut into ` +
        `${Math.max(groups, 1)} groups of at least 4; use a multiple of 4 up to 128 or of 32 above`,
    );
  }
}

/** Group normalisation of [N, ..., C] with a gain and an offset per channel. */
export class GroupNorm {
  readonly #groups: number;
  readonly #weight: Tensor;
  readonly #bias: Tensor;

  /** Declares its parameters in the store. */
  constructor(store: ParameterStore, name: string, channels: number, readonly eps: number) {
    checkGroups(channels, name);
    this.#groups = groupCount(channels);
    this.#weight = store.parameter(`${name}.weight`, [channels], ones);
    this.#bias = store.parameter(`${name}.bias`, [channels], zeros);
  }

  /** Normalizes groups of the channels, the last axis. */
  forward(x: Tensor): Tensor {
    return groupNorm(x, this.#groups, this.#weight, this.#bias, this.eps);
  }
}

/** Layer normalisation over the last axis with a gain and an offset per channel. */
export class LayerNorm {
  readonly #weight: Tensor;
  readonly #bias: Tensor;

  /** Declares its parameters in the store. */
  constructor(store: ParameterStore, name: string, channels: number, readonly eps: number) {
    this.#weight = store.parameter(`${name}.weight`, [channels], ones);
    this.#bias = store.parameter(`${name}.bias`, [channels], zeros);
  }

  /** Normalizes the channels, the last axis. */
  forward(x: Tensor): Tensor {
    return layerNorm(x, this.eps, this.#weight, this.#bias);
  }
}
