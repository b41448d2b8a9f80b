/**
 * What stands between a sampler and a network: the numbers of one call f_{s,t}, and guidance.
 *
 * @module
 */

import { cIn, cNoise, cNoiseSecond, cOut, cSkip, type PrecondConfig } from "./parameterization.ts";

/** The numbers of one call of f_{s,t}; see parameterization.ts. */
export interface CallCoefficients {
  /** Factor of the network's input. */
  readonly cIn: number;
  /** What the network is told about t. */
  readonly cNoiseT: number;
  /** What the network is told about s. */
  readonly cNoiseS: number;
  /** Factor of x_t. */
  readonly cSkip: number;
  /** Factor of the network's output. */
  readonly cOut: number;
}

/** The numbers of f_{s,t} for times s <= t. */
export function callCoefficients(config: PrecondConfig, s: number, t: number): CallCoefficients {
  return {
    cIn: cIn(config, t),
    cNoiseT: cNoise(config, t),
    cNoiseS: cNoiseSecond(config, s, t),
    cSkip: cSkip(config, s, t),
    cOut: cOut(config, s, t),
  };
}

/**
 * Classifier-free guidance F_w = F_u + w (F_c - F_u) of the raw network outputs, before c_out
 * is applied: w = 1 is the conditional network alone, w = 0 the unconditional one.
 */
export function guide(
  unconditional: ArrayLike<number>,
  conditional: ArrayLike<number>,
  w: number,
): Float32Array {
  return Float32Array.from(
    { length: conditional.length },
    (_, i) => unconditional[i] + w * (conditional[i] - unconditional[i]),
  );
}
