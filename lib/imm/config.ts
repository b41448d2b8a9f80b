/**
 * The configuration of the method: everything of the paper's Table 5 that is not the network, the
 * optimiser or the data.
 *
 * @module
 */

import { UsageError } from "../base/errors.ts";
import { didYouMean } from "../base/suggest.ts";
import type { InterpolantName } from "./interpolant.ts";
import type { KernelName } from "./kernel.ts";
import type { MappingName } from "./mapping.ts";
import type { ParameterizationName, TimeConditioning } from "./parameterization.ts";

/** Settings of Inductive Moment Matching, with the paper's names. */
export interface ImmConfig {
  /** Path between data and noise. */
  readonly interpolant: InterpolantName;
  /** How the network's output becomes a sample. `euler_fm` needs the interpolant `fm`. */
  readonly parameterization: ParameterizationName;
  /** Second time the network sees: s (`identity`) or t - s (`stride`). */
  readonly timeConditioning: TimeConditioning;
  /** c_noise(t) = timeScale * t. */
  readonly timeScale: number;
  /** Standard deviation of the data, and of the noise. */
  readonly sigmaData: number;
  /** Largest time: training draws t ~ U(eps, T), sampling starts at T. */
  readonly T: number;
  /** Smallest time: training draws s ~ U(eps, t), sampling ends at eps. */
  readonly eps: number;
  /** Mapping r(s, t). */
  readonly mapping: MappingName;
  /** The decrement of the mapping is its range over 2^k. Need not be an integer. */
  readonly k: number;
  /** Smallest t - r, or null. The FP16 run of the paper has 1e-4. */
  readonly minGap: number | null;
  /** Range of eta for the mapping `eta`, or null for [eta(eps), eta(T)]. */
  readonly etaRange: readonly [number, number] | null;
  /** `elbo`: w(t) of Eq. 13; `none`: 1. */
  readonly weighting: "elbo" | "none";
  /** Power of alpha_t in w(t). */
  readonly a: number;
  /** Shift of the sigmoid in w(t). */
  readonly b: number;
  /** Kernel of the MMD. */
  readonly kernel: KernelName;
  /** Smallest distance the Laplace kernel sees; nearer particles get no gradient. */
  readonly kernelEps: number;
  /** Extra bandwidth that divides the exponents of the Laplace and RBF kernels. */
  readonly bandwidth: number;
  /** c of the pseudo-Huber kernel. */
  readonly pseudoHuberC: number;
  /** Particles per group that share (s, r, t): the paper's M. */
  readonly M: number;
  /** Weights of the target pass: the current ones, or their average (an ablation). */
  readonly target: "current" | "ema";
  /** Probability that a sample's label is replaced by the null label. */
  readonly labelDropout: number;
  /** Where dropped labels are dropped: in the student pass only, or in both. */
  readonly labelDropoutPasses: "student" | "both";
}

/** The paper's ImageNet settings (Table 5, DiT-XL/2 in TF32), without label dropout. */
export const IMM_DEFAULTS: ImmConfig = Object.freeze({
  interpolant: "fm",
  parameterization: "euler_fm",
  timeConditioning: "identity",
  timeScale: 1000,
  sigmaData: 0.5,
  T: 0.994,
  eps: 0,
  mapping: "eta",
  k: 12,
  minGap: null,
  etaRange: null,
  weighting: "elbo",
  a: 1,
  b: 4,
  kernel: "laplace",
  kernelEps: 1e-4,
  bandwidth: 1,
  pseudoHuberC: 0.05,
  M: 4,
  target: "current",
  labelDropout: 0,
  labelDropoutPasses: "student",
});

const CHOICES = {
  interpolant: ["fm", "vp_cosine"],
  parameterization: ["identity", "simple_edm", "euler_fm"],
  timeConditioning: ["identity", "stride"],
  mapping: ["eta", "t", "lambda", "inverse_eta"],
  weighting: ["elbo", "none"],
  kernel: ["laplace", "rbf", "energy", "pseudo_huber"],
  target: ["current", "ema"],
  labelDropoutPasses: ["student", "both"],
} satisfies { [K in keyof ImmConfig]?: readonly ImmConfig[K][] };

const POSITIVE = ["timeScale", "sigmaData", "bandwidth", "pseudoHuberC", "kernelEps"] as const;

/**
 * The defaults with `settings` in place of some of them, checked.
 *
 * @throws {UsageError} naming the key: for an unknown key, a value outside its range, or a
 * combination for which the mapping has no finite decrement.
 */
export function immConfig(settings: Partial<ImmConfig> = {}): ImmConfig {
  for (const key of Object.keys(settings)) {
    if (!Object.hasOwn(IMM_DEFAULTS, key)) {
      const known = Object.keys(IMM_DEFAULTS);
      const hint = didYouMean(`imm.${key}`, known.map((name) => `imm.${name}`)) ||
        `; there are ${known.join(", ")}`;
      throw new UsageError(`imm.${key} is not a setting${hint}`);
    }
  }
  const config = { ...IMM_DEFAULTS, ...settings };
  for (const [key, value] of Object.entries(IMM_DEFAULTS)) {
    const found = config[key as keyof ImmConfig];
    if (typeof value === "number") check(Number.isFinite(found), key, "a finite number", found);
  }
  for (const [key, choices] of Object.entries(CHOICES)) {
    const value: string = config[key as keyof typeof CHOICES];
    check(
      (choices as readonly string[]).includes(value),
      key,
      `one of ${choices.join(", ")}`,
      value,
    );
  }
  for (const key of POSITIVE) check(config[key] > 0, key, "a positive number", config[key]);
  const { T, eps, k, a, b, M, minGap, etaRange, labelDropout } = config;
  check(T > 0 && T <= 1, "T", "a time above 0 and at most 1", T);
  check(eps >= 0 && eps < T, "eps", `a time from 0 to below T = ${T}`, eps);
  check(k >= 0 && k <= 40, "k", "a number from 0 to 40 (the range is cut into 2^k)", k);
  check(a >= 0 && Number.isFinite(a), "a", "a number that is not negative", a);
  check(Number.isFinite(b), "b", "a finite number", b);
  check(Number.isInteger(M) && M >= 1, "M", "a whole number of particles, at least 1", M);
  check(
    minGap === null || (typeof minGap === "number" && minGap > 0 && minGap < T - eps),
    "minGap",
    `null or a positive number below T - eps = ${T - eps}`,
    minGap,
  );
  check(
    etaRange === null ||
      (etaRange.length === 2 && etaRange[0] >= 0 && etaRange[1] > etaRange[0] &&
        Number.isFinite(etaRange[1])),
    "etaRange",
    "null or two numbers 0 <= low < high",
    etaRange,
  );
  check(labelDropout >= 0 && labelDropout < 1, "labelDropout", "from 0 to below 1", labelDropout);

  check(
    config.parameterization !== "euler_fm" || config.interpolant === "fm",
    "parameterization",
    "identity or simple_edm with the interpolant vp_cosine",
    config.parameterization,
  );
  if (config.mapping === "lambda" || (config.mapping === "eta" && etaRange === null)) {
    check(T < 1, "T", `below 1 for the mapping ${config.mapping} (eta is infinite at 1)`, T);
  }
  if (config.mapping === "lambda" || config.mapping === "inverse_eta") {
    check(
      eps > 0,
      "eps",
      `above 0 for the mapping ${config.mapping} (1/eta is infinite at 0)`,
      eps,
    );
  }
  return config;
}

function check(holds: boolean, key: string, expected: string, found: unknown): void {
  if (!holds) {
    const text = typeof found === "number" ? String(found) : JSON.stringify(found);
    throw new UsageError(`imm.${key} must be ${expected}, but it is ${text}`);
  }
}
