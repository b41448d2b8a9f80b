/**
 * Initial values of parameters, drawn on the host.
 *
 * An {@link Initializer} is plain data. Its random numbers depend on the seed and on the
 * parameter's name only, so a parameter starts the same whatever else the network has.
 *
 * @module
 */

import { InternalError } from "../base/errors.ts";
import { deriveKey, hostNormal, hostUniform } from "../random/threefry.ts";

/** How a parameter is filled before training. */
export type Initializer =
  | { readonly kind: "constant"; readonly value: number }
  /** Uniform in [-bound, bound). */
  | { readonly kind: "uniform"; readonly bound: number }
  | { readonly kind: "normal"; readonly std: number }
  /** Given numbers, such as a table of sinusoids. */
  | { readonly kind: "values"; readonly values: Float32Array };

export const zeros: Initializer = { kind: "constant", value: 0 };
export const ones: Initializer = { kind: "constant", value: 1 };

/** The values of one parameter, `size` of them in the row-major order of its official shape. */
export function initialValues(
  init: Initializer,
  size: number,
  seed: number | bigint,
  name: string,
): Float32Array {
  switch (init.kind) {
    case "constant":
      return new Float32Array(size).fill(init.value);
    case "uniform":
      return draw(hostUniform, (u) => (2 * u - 1) * init.bound, init.bound);
    case "normal":
      return draw(hostNormal, (z) => z * init.std, init.std);
    case "values":
      if (init.values.length !== size) {
        throw new InternalError(`${name} has ${size} elements but ${init.values.length} values`);
      }
      return init.values.slice();
  }
  return init satisfies never;

  /** Random numbers in place; none are drawn where all values are zero anyway. */
  function draw(host: typeof hostUniform, value: (random: number) => number, scale: number) {
    if (scale === 0) return new Float32Array(size);
    const out = host(deriveKey(seed, "init", name), [1, size], 0);
    for (let i = 0; i < size; i++) out[i] = value(out[i]);
    return out;
  }
}

/**
 * How a layer is filled: a rule and a factor for the weight and one for the bias.
 *
 * Uniform and normal rules of Glorot & Bengio (xavier) and He et al. (kaiming), without the gain of
 * a non-linearity: the variance is 2 / (fanIn + fanOut) or 1 / fanIn, as in EDM's networks. `normal`
 * is a plain N(0, weight²).
 */
export interface LayerInit {
  /** Which formula, as in the public code. */
  readonly mode: "xavier_uniform" | "kaiming_uniform" | "kaiming_normal" | "normal";
  /** Factor on the weight. */
  readonly weight: number;
  /** Factor on the bias; 0 unless given. */
  readonly bias?: number;
}

/** The initializer of a layer's weight or bias with the given numbers of inputs and outputs. */
export function layerInitializer(
  init: LayerInit,
  part: "weight" | "bias",
  fanIn: number,
  fanOut: number,
): Initializer {
  const factor = part === "weight" ? init.weight : init.bias ?? 0;
  switch (init.mode) {
    case "xavier_uniform":
      return { kind: "uniform", bound: factor * Math.sqrt(6 / (fanIn + fanOut)) };
    case "kaiming_uniform":
      return { kind: "uniform", bound: factor * Math.sqrt(3 / fanIn) };
    case "kaiming_normal":
      return { kind: "normal", std: factor * Math.sqrt(1 / fanIn) };
    case "normal":
      return { kind: "normal", std: factor };
  }
  return init.mode satisfies never;
}
