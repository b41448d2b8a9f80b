/**
 * The host's half of a training step: the times of every group, and all numbers that follow from
 * them, in float64. The device's half is objective.ts.
 *
 * @module
 */

import { openUniform } from "../random/keys.ts";
import { type Key, threefry2x32 } from "../random/threefry.ts";
import type { ImmConfig } from "./config.ts";
import { interpolant } from "./interpolant.ts";
import { Mapping } from "./mapping.ts";
import { cIn, cNoise, cNoiseSecond, cOut, cSkip } from "./parameterization.ts";
import { kernelWeight, weight } from "./weighting.ts";

/** Times of the groups of a step: eps < s < t < T, and s <= r < t. One entry per group. */
export interface GroupTimes {
  /** The time that both passes go to. */
  readonly s: Float64Array;
  /** The time that the target starts from. */
  readonly r: Float64Array;
  /** The time that the student starts from. */
  readonly t: Float64Array;
}

/**
 * t ~ U(eps, T), s | t ~ U(eps, t), both ends excluded, and r(s, t), for `groups` groups.
 *
 * Group g of a key has the same times in every batch and on every shard: pass the number of the
 * shard's first group. Draws have 52 random bits, for the smallest gaps that the
 * paper trains on are below float32's resolution.
 */
export function sampleTimes(
  config: ImmConfig,
  key: Key,
  groups: number,
  firstGroup = 0,
): GroupTimes {
  const { T, eps } = config;
  const s = new Float64Array(groups);
  const t = new Float64Array(groups);
  for (let g = 0; g < groups; g++) {
    t[g] = eps + openUniform(key, 0, firstGroup + g) * (T - eps);
    s[g] = eps + openUniform(key, 1, firstGroup + g) * (t[g] - eps);
  }
  return withTargets(config, s, t);
}

/** The times s and t of some groups together with their r(s, t). */
export function withTargets(
  config: ImmConfig,
  s: ArrayLike<number>,
  t: ArrayLike<number>,
): GroupTimes {
  const mapping = new Mapping(config);
  return {
    s: Float64Array.from(s),
    r: Float64Array.from(s, (sg, g) => mapping.r(sg, t[g])),
    t: Float64Array.from(t),
  };
}

/**
 * What the device needs to know about a group, in the order of the rows of the upload. `T` and `R`
 * stand for the student pass at (s, t) and the target pass at (s, r).
 */
export const COEFFICIENTS = [
  "alphaT",
  "sigmaT",
  "alphaR",
  "sigmaR",
  "cInT",
  "cInR",
  "cSkipT",
  "cOutT",
  "cSkipR",
  "cOutR",
  "kernelWeight",
  "weight",
] as const;

/** Name of one coefficient. */
export type CoefficientName = typeof COEFFICIENTS[number];

/** The coefficients of each group, in float64. */
export function groupCoefficients(
  config: ImmConfig,
  { s, r, t }: GroupTimes,
): Record<CoefficientName, Float64Array> {
  const path = interpolant(config.interpolant);
  const perGroup = (f: (s: number, r: number, t: number) => number) =>
    Float64Array.from(s, (_, g) => f(s[g], r[g], t[g]));
  return {
    alphaT: perGroup((_s, _r, t) => path.alpha(t)),
    sigmaT: perGroup((_s, _r, t) => path.sigma(t)),
    alphaR: perGroup((_s, r) => path.alpha(r)),
    sigmaR: perGroup((_s, r) => path.sigma(r)),
    cInT: perGroup((_s, _r, t) => cIn(config, t)),
    cInR: perGroup((_s, r) => cIn(config, r)),
    cSkipT: perGroup((s, _r, t) => cSkip(config, s, t)),
    cOutT: perGroup((s, _r, t) => cOut(config, s, t)),
    cSkipR: perGroup((s, r) => cSkip(config, s, r)),
    cOutR: perGroup((s, r) => cOut(config, s, r)),
    kernelWeight: perGroup((s, _r, t) => kernelWeight(config, s, t)),
    weight: perGroup((_s, _r, t) => weight(config, t)),
  };
}

/** {@link groupCoefficients} as one upload: row-major [COEFFICIENTS.length, groups]. */
export function packCoefficients(config: ImmConfig, times: GroupTimes): Float32Array<ArrayBuffer> {
  const values = groupCoefficients(config, times);
  const groups = times.t.length;
  const packed = new Float32Array(COEFFICIENTS.length * groups);
  COEFFICIENTS.forEach((name, row) => packed.set(values[name], row * groups));
  return packed;
}

/** c_noise of both times for every sample of a batch of `times.t.length * M` samples. */
export interface NoiseLabels {
  /** c_noise(t), or c_noise(r) in the target pass. */
  readonly first: Float64Array;
  /** c_noise of the second time: of s, or of the stride. */
  readonly second: Float64Array;
}

/** What the network is told about the times in the two passes. */
export function noiseLabels(
  config: ImmConfig,
  { s, r, t }: GroupTimes,
): { readonly student: NoiseLabels; readonly target: NoiseLabels } {
  const labels = (upper: Float64Array): NoiseLabels => {
    const perSample = (f: (s: number, upper: number) => number) =>
      Float64Array.from({ length: config.M * s.length }, (_, i) => {
        const g = Math.floor(i / config.M);
        return f(s[g], upper[g]);
      });
    return {
      first: perSample((_s, upper) => cNoise(config, upper)),
      second: perSample((s, upper) => cNoiseSecond(config, s, upper)),
    };
  };
  return { student: labels(t), target: labels(r) };
}

/**
 * Class labels of a batch for the two passes, with each label replaced by `nullLabel` with
 * probability config.labelDropout: in the student pass only, or in both.
 *
 * Sample i of a key has its label dropped in every batch and on every shard, or in none.
 */
export function dropLabels(
  config: Pick<ImmConfig, "labelDropout" | "labelDropoutPasses">,
  labels: ArrayLike<number>,
  nullLabel: number,
  [k0, k1]: Key,
  firstSample = 0,
): { readonly student: Int32Array<ArrayBuffer>; readonly target: Int32Array<ArrayBuffer> } {
  const kept = Int32Array.from(labels);
  const dropped = kept.map((label, i) => {
    const [word] = threefry2x32(k0, k1, 0, firstSample + i);
    return word * 2 ** -32 < config.labelDropout ? nullLabel : label;
  });
  return { student: dropped, target: config.labelDropoutPasses === "both" ? dropped : kept };
}
