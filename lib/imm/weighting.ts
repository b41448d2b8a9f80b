/**
 * The two weights of the objective, both functions of the times of a group.
 *
 * @module
 */

import type { ImmConfig } from "./config.ts";
import { interpolant } from "./interpolant.ts";
import { cOut, type PrecondConfig } from "./parameterization.ts";

/** The part of the configuration that the outer weight depends on. */
export type WeightingConfig = Pick<ImmConfig, "interpolant" | "weighting" | "a" | "b">;

/**
 * w(s,t) of Eq. 13, which depends on t only:
 *
 *     w = 1/2 sigmoid(b - lambda_t) (-d lambda_t/dt) alpha_t^a / (alpha_t^2 + sigma_t^2)
 *
 * The first two factors are the ELBO's weighting; alpha^a / (alpha^2 + sigma^2) lowers the weight
 * of high noise (Table 4 takes it apart). 1 where the weighting is switched off.
 */
export function weight(config: WeightingConfig, t: number): number {
  if (config.weighting === "none") return 1;
  const path = interpolant(config.interpolant);
  const [alpha, sigma] = [path.alpha(t), path.sigma(t)];
  // sigmoid(b - lambda) = sigma^2 / (sigma^2 + e^-b alpha^2) and -d lambda/dt = slope / (alpha
  // sigma): written so, nothing is infinite at t = 0 or, for a >= 1, at t = 1.
  const sigmoidOverSigma = sigma / (sigma ** 2 + Math.exp(-config.b) * alpha ** 2);
  return 0.5 * path.logSnrSlope * sigmoidOverSigma * alpha ** (config.a - 1) / path.normSquared(t);
}

/**
 * w~(s,t) = 1 / |c_out(s,t)|, the scale inside the kernels: it makes distances of
 * the network's outputs, not of the samples, the argument of the kernel. The same w~(s,t) is used
 * for all three terms of the MMD. 0 at s = t, where both samples are x_s and the loss is 0 anyway.
 */
export function kernelWeight(config: PrecondConfig, s: number, t: number): number {
  const scale = Math.abs(cOut(config, s, t));
  return scale > 0 ? 1 / scale : 0;
}
