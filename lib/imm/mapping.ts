/**
 * The mapping r(s, t): how far below t the target's time lies (paper, appendices B.3, C.6, I.6).
 *
 * All variants are r = max(s, t - Delta(t)), and all but `t` move the noise-to-signal ratio from
 * sigma_t : alpha_t to another ratio sigma : alpha. They differ in that ratio only:
 *
 * - `eta`: eta falls by d = (eta(T) - eta(eps)) / 2^k. The paper's default.
 * - `t`: t falls by (T - eps) / 2^k.
 * - `lambda`: the log-SNR rises by (lambda(eps) - lambda(T)) / 2^k. (Printed with the other sign,
 *   which would give r > t.)
 * - `inverse_eta`: 1/eta rises by (1/eta(eps) - 1/eta(T)) / 2^k.
 *
 * @module
 */

import type { ImmConfig } from "./config.ts";
import { type Interpolant, interpolant } from "./interpolant.ts";

/** Names of the mappings. */
export type MappingName = "eta" | "t" | "lambda" | "inverse_eta";

/** The part of the configuration that the mapping depends on. */
export type MappingConfig = Pick<
  ImmConfig,
  "interpolant" | "mapping" | "k" | "T" | "eps" | "minGap" | "etaRange"
>;

/** r(s, t) for one configuration. */
export class Mapping {
  readonly #config: MappingConfig;
  readonly #path: Interpolant;
  /** The constant decrement (increment for `lambda` and `inverse_eta`), positive. */
  readonly decrement: number;

  /** The mapping of a configuration that `immConfig` has checked, so that its decrement is finite. */
  constructor(config: MappingConfig) {
    this.#config = config;
    this.#path = interpolant(config.interpolant);
    this.decrement = this.#range() / 2 ** config.k;
  }

  /** r with s <= r < t, for eps <= s < t <= T; exactly s where the step would pass s. */
  r(s: number, t: number): number {
    const step = this.#step(t);
    return step >= t - s ? s : Math.max(s, t - step);
  }

  /** t - r(s, t), to full relative precision. */
  gap(s: number, t: number): number {
    return Math.min(this.#step(t), t - s);
  }

  #range(): number {
    const { mapping, T, eps, etaRange } = this.#config;
    const path = this.#path;
    switch (mapping) {
      case "eta":
        return etaRange ? etaRange[1] - etaRange[0] : path.eta(T) - path.eta(eps);
      case "t":
        return T - eps;
      case "lambda":
        return path.logSnr(eps) - path.logSnr(T);
      case "inverse_eta":
        return path.alpha(eps) / path.sigma(eps) - path.alpha(T) / path.sigma(T);
    }
  }

  /** t - r before r is kept above s, with the minimum gap. */
  #step(t: number): number {
    return Math.max(this.#mapped(t), this.#config.minGap ?? 0);
  }

  #mapped(t: number): number {
    const path = this.#path;
    const d = this.decrement;
    const [alpha, sigma] = [path.alpha(t), path.sigma(t)];
    // Each case gives the new ratio and alpha_r sigma_t - alpha_t sigma_r, with the common terms
    // cancelled by hand.
    switch (this.#config.mapping) {
      case "eta": {
        // Far enough down eta would pass eta(eps), then 0, then the pole of its inverse.
        const lowest = path.eta(this.#config.eps) * alpha;
        if (sigma - d * alpha <= lowest) return t - this.#config.eps;
        return path.timeBetween(t, alpha, sigma - d * alpha, d * alpha * alpha);
      }
      case "t":
        return d;
      case "lambda": {
        const cross = -sigma * alpha * Math.expm1(-d / 2);
        return path.timeBetween(t, alpha, sigma * Math.exp(-d / 2), cross);
      }
      case "inverse_eta":
        return path.timeBetween(t, alpha + d * sigma, sigma, d * sigma * sigma);
    }
  }
}
