/**
 * How a network's output becomes a sample at time s (paper, appendix C.5):
 *
 *     f_{s,t}(x_t) = c_skip(s,t) x_t + c_out(s,t) F(c_in(t) x_t, c_noise(t), c_noise(s))
 *
 * | name         | c_skip                                    | c_out                            | F is       |
 * |--------------|-------------------------------------------|----------------------------------|------------|
 * | `identity`   | sigma_s/sigma_t                           | cross/sigma_t                    | x          |
 * | `simple_edm` | (alpha_t alpha_s + sigma_t sigma_s)/norm² | -cross sigma_d/norm              | about v    |
 * | `euler_fm`   | 1                                         | -(t-s) sigma_d                   | (n-x)/σ_d  |
 *
 * with cross = alpha_s sigma_t - alpha_t sigma_s and norm² = alpha_t² + sigma_t². All three satisfy
 * f_{s,s}(x) = x for any network, exactly: c_skip(s,s) is 1 and c_out(s,s) is 0 in every bit.
 *
 * @module
 */

import type { ImmConfig } from "./config.ts";
import { interpolant } from "./interpolant.ts";

/** Names of the parameterisations (the public code's `f_type`). */
export type ParameterizationName = "identity" | "simple_edm" | "euler_fm";

/** What the network is told about the second time: s itself, or the stride t - s. */
export type TimeConditioning = "identity" | "stride";

/** The part of the configuration that the preconditioning depends on. */
export type PrecondConfig = Pick<
  ImmConfig,
  "interpolant" | "parameterization" | "timeConditioning" | "sigmaData" | "timeScale"
>;

/** c_skip(s, t). */
export function cSkip(config: PrecondConfig, s: number, t: number): number {
  if (s === t) return 1;
  const path = interpolant(config.interpolant);
  switch (config.parameterization) {
    case "identity":
      return path.sigma(s) / path.sigma(t);
    case "simple_edm":
      return path.dot(s, t) / path.normSquared(t);
    case "euler_fm":
      return 1;
  }
}

/** c_out(s, t), to full relative precision however near s is to t. */
export function cOut(config: PrecondConfig, s: number, t: number): number {
  if (s === t) return 0;
  const path = interpolant(config.interpolant);
  switch (config.parameterization) {
    case "identity":
      return path.cross(s, t) / path.sigma(t);
    case "simple_edm":
      return -path.cross(s, t) * config.sigmaData / Math.sqrt(path.normSquared(t));
    case "euler_fm":
      return -(t - s) * config.sigmaData;
  }
}

/** c_in(t) = 1 / (sigma_d sqrt(alpha_t² + sigma_t²)): the network's input has variance 1. */
export function cIn(config: PrecondConfig, t: number): number {
  const path = interpolant(config.interpolant);
  return 1 / (config.sigmaData * Math.sqrt(path.normSquared(t)));
}

/** The first time as the network is told it: c_noise(t) = 1000 t. */
export function cNoise(config: PrecondConfig, t: number): number {
  return config.timeScale * t;
}

/**
 * The second time as the network is told it: 1000 s, or 1000 (t - s) for `stride`. In the target
 * pass t is r, so the stride is r - s. (The public code rounds t and s to float32 first; float64
 * keeps strides of neighbouring times apart.)
 */
export function cNoiseSecond(config: PrecondConfig, s: number, t: number): number {
  return config.timeScale * (config.timeConditioning === "stride" ? t - s : s);
}

/** The numbers of one call of f_{s,t}. */
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
