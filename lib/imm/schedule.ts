/**
 * The times a sampler visits: T = t_N > ... > t_1 > t_0 = eps, given from the noise down to the
 * data (paper, appendix I.2).
 *
 * @module
 */

import { UsageError } from "../base/errors.ts";
import type { ImmConfig } from "./config.ts";
import { interpolant } from "./interpolant.ts";

/** The part of the configuration that schedules depend on. */
export type ScheduleConfig = Pick<ImmConfig, "interpolant" | "T" | "eps">;

/** How the times between T and eps are chosen. */
export type Schedule =
  /** `steps` equal steps in t. With the pushforward sampler the best on ImageNet (Fig. 6). */
  | { readonly kind: "uniform"; readonly steps: number }
  /** EDM's: `steps` equal steps in eta^(1/7) from eta(T) to eta(eps). */
  | { readonly kind: "edm"; readonly steps: number }
  /** The times where eta has these values, falling: [1.4] is the paper's two-step schedule. */
  | { readonly kind: "explicit"; readonly etas: readonly number[] };

const RHO = 7;

/**
 * The time of an explicit eta: both are rounded to float32, as by the public code's `mid_nt`, whose
 * samples depend on it. So eta = 1.4 gives t = 0.58333331 with `fm` and not 7/12.
 */
export function explicitTime(config: ScheduleConfig, eta: number): number {
  return Math.fround(interpolant(config.interpolant).etaInverse(Math.fround(eta)));
}

/**
 * The N + 1 times of a schedule, the first T and the last eps exactly.
 *
 * @throws {UsageError} when the number of steps is not a whole number from 1 up, or the explicit
 * etas do not fall from below eta(T) to above eta(eps).
 */
export function scheduleTimes(config: ScheduleConfig, schedule: Schedule): number[] {
  const { T, eps } = config;
  const path = interpolant(config.interpolant);
  if (schedule.kind === "explicit") {
    const times = [T, ...schedule.etas.map((eta) => explicitTime(config, eta)), eps];
    if (!times.every((t, i) => i === 0 || t < times[i - 1])) {
      throw new UsageError(
        `the etas of a schedule must fall, from below ${path.eta(T)} (at T) to above ` +
          `${path.eta(eps)} (at eps), but they are ${schedule.etas.join(", ")}`,
      );
    }
    return times;
  }

  const { steps } = schedule;
  if (!Number.isInteger(steps) || steps < 1) {
    throw new UsageError(`a schedule needs a whole number of steps, at least 1, but got ${steps}`);
  }
  const between = Array.from({ length: steps - 1 }, (_, i) => (i + 1) / steps);
  if (schedule.kind === "uniform") {
    return [T, ...between.map((fraction) => T + fraction * (eps - T)), eps];
  }
  if (T === 1) {
    throw new UsageError("the edm schedule needs T below 1, because eta is infinite at 1");
  }
  const [high, low] = [path.eta(T) ** (1 / RHO), path.eta(eps) ** (1 / RHO)];
  return [
    T,
    ...between.map((fraction) => path.etaInverse((high + fraction * (low - high)) ** RHO)),
    eps,
  ];
}
