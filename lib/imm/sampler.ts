/**
 * The paper's two samplers, pushforward and restart, as lists of steps with all their numbers.
 *
 * @module
 */

import { interpolant } from "./interpolant.ts";
import { type CallCoefficients, callCoefficients, type PrecondConfig } from "./parameterization.ts";

/** One step: x <- c_skip x + c_out F(c_in x, ...), then fresh noise for the restart sampler. */
export interface ImmStep extends CallCoefficients {
  /** Time of the state before the step. */
  readonly t: number;
  /** Time the network is asked for. */
  readonly s: number;
  /** x <- alpha x + sigma n with n ~ N(0, sigma_d^2) after the step, or null. */
  readonly renoise: { readonly alpha: number; readonly sigma: number } | null;
}

/**
 * Pushforward: every step goes from one time to the next, t_i -> t_{i-1}. `times`
 * fall from T to eps; see schedule.ts.
 */
export function pushforwardSteps(config: PrecondConfig, times: readonly number[]): ImmStep[] {
  return times.slice(1).map((s, i) => {
    const t = times[i];
    return { t, s, ...callCoefficients(config, s, t), renoise: null };
  });
}

/**
 * Restart: every step goes all the way down to eps; in between, fresh noise brings
 * the state up to the next time.
 */
export function restartSteps(config: PrecondConfig, times: readonly number[]): ImmStep[] {
  const path = interpolant(config.interpolant);
  const s = times[times.length - 1];
  const starts = times.slice(0, -1);
  return starts.map((t, i) => {
    const next = starts[i + 1];
    const renoise = next === undefined
      ? null
      : { alpha: path.alpha(next), sigma: path.sigma(next) };
    return { t, s, ...callCoefficients(config, s, t), renoise };
  });
}
