/**
 * Flow matching (Lipman et al. 2022, arXiv 2210.02747; Liu et al. 2022, arXiv 2209.03003): the
 * network learns the velocity of the path between data and noise,
 *
 *     x_t = alpha_t x + sigma_t n        v = alpha'_t x + sigma'_t n
 *     loss = mean (v_model(x_t, t) - v)^2
 *
 * and a sampler solves dx/dt = v_model from noise to data. It is the baseline of few-step methods:
 * the same network, conditioned on (t, s = t), so that models of both kinds can be compared. The
 * model's velocity is the derivative of f_{s,t}(x_t) by s at s = t (lib/imm/parameterization.ts):
 *
 * | parameterization | path      | v_model                                                  |
 * |------------------|-----------|----------------------------------------------------------|
 * | `euler_fm`       | fm        | sigma_d F                                                |
 * | `simple_edm`     | fm        | ((2t - 1) x_t + norm sigma_d F) / norm^2                 |
 * | `simple_edm`     | vp_cosine | pi/2 sigma_d F                                           |
 * | `identity`       | either    | (sigma'_t x_t + (alpha'_t sigma_t - sigma'_t alpha_t) F) / sigma_t |
 *
 * with norm^2 = alpha_t^2 + sigma_t^2.
 *
 * @module
 */

import { z } from "npm:zod@4.1.12";
import { UsageError } from "../base/errors.ts";
import { describeMistake, type Same } from "../base/schema.ts";
import { dropLabels, IMM_DEFAULTS, interpolant } from "../imm/mod.ts";
import {
  cIn,
  cNoise,
  cNoiseSecond,
  type ParameterizationName,
  type PrecondConfig,
  type TimeConditioning,
} from "../imm/parameterization.ts";
import { openNormal, openUniform } from "../random/keys.ts";
import type { Key } from "../random/threefry.ts";
import { add, mul, narrow, reshape, sizeOf, square, sub, sum, type Tensor } from "../tensor/mod.ts";
import {
  labelsOf,
  NO_LABEL,
  type Objective,
  type ObjectiveKind,
  type ObjectiveSettings,
  type StepDraw,
} from "./objective.ts";
import type { SamplerStep } from "./sampler.ts";

/** Settings of flow matching, the keys of the section `objective`. */
export interface FlowConfig extends ObjectiveSettings {
  /** Which objective it is. */
  readonly type: "flow";
  /** How the network's output becomes a velocity; see the table above. */
  readonly parameterization: ParameterizationName;
  /** Second time of the network, where it has one: s = t (`identity`), or t - s = 0 (`stride`). */
  readonly timeConditioning: TimeConditioning;
  /** c_noise(t) = timeScale * t. */
  readonly timeScale: number;
  /** Distribution of t: uniform in (eps, T), or of sigmoid(timeStd z + timeMean) with z ~ N(0, 1). */
  readonly times: "uniform" | "logit_normal";
  /** Mean of the logit of t. */
  readonly timeMean: number;
  /** Standard deviation of the logit of t. */
  readonly timeStd: number;
  /** Probability that a sample's label is replaced by the null label. */
  readonly labelDropout: number;
}

const schema = z.strictObject({
  type: z.literal("flow"),
  interpolant: z.enum(["fm", "vp_cosine"]).default(IMM_DEFAULTS.interpolant),
  parameterization: z.enum(["identity", "simple_edm", "euler_fm"])
    .default(IMM_DEFAULTS.parameterization),
  timeConditioning: z.enum(["identity", "stride"]).default(IMM_DEFAULTS.timeConditioning),
  timeScale: z.number().positive().default(IMM_DEFAULTS.timeScale),
  sigmaData: z.number().positive().default(IMM_DEFAULTS.sigmaData),
  T: z.number().gt(0).max(1).default(1),
  eps: z.number().min(0).lt(1).default(0),
  times: z.enum(["uniform", "logit_normal"]).default("uniform"),
  timeMean: z.number().default(0),
  timeStd: z.number().positive().default(1),
  labelDropout: z.number().min(0).lt(1).default(IMM_DEFAULTS.labelDropout),
});

// The interface is the schema's documentation: this line compiles only where both agree.
true satisfies Same<z.output<typeof schema>, FlowConfig>;

/** Settings that are those of IMM where the section `objective` does not say otherwise. */
const SHARED = [
  "interpolant",
  "parameterization",
  "timeConditioning",
  "timeScale",
  "sigmaData",
  "labelDropout",
] as const satisfies readonly (keyof FlowConfig)[];

/** v_model(x_t, t) = x x_t + F F: factors of the state and of the network's output. */
export function velocityFactors(config: PrecondConfig, t: number): { x: number; F: number } {
  const path = interpolant(config.interpolant);
  const [alpha, sigma] = [path.alpha(t), path.sigma(t)];
  const [dAlpha, dSigma] = [path.dAlpha(t), path.dSigma(t)];
  // d(cross(s, t))/ds at s = t, which is negative.
  const slope = dAlpha * sigma - dSigma * alpha;
  switch (config.parameterization) {
    case "euler_fm":
      return { x: 0, F: config.sigmaData };
    case "simple_edm": {
      const norm2 = path.normSquared(t);
      return {
        x: (alpha * dAlpha + sigma * dSigma) / norm2,
        F: -slope * config.sigmaData / Math.sqrt(norm2),
      };
    }
    case "identity":
      return { x: dSigma / sigma, F: slope / sigma };
  }
}

/** Rows of the upload, one number per sample each. */
const COEFFICIENTS = [
  "alpha",
  "sigma",
  "dAlpha",
  "dSigma",
  "cIn",
  "velocityX",
  "velocityF",
] as const;

function packCoefficients(config: FlowConfig, times: Float64Array): Float32Array<ArrayBuffer> {
  const path = interpolant(config.interpolant);
  const packed = new Float32Array(COEFFICIENTS.length * times.length);
  times.forEach((t, i) => {
    const velocity = velocityFactors(config, t);
    const values: Record<typeof COEFFICIENTS[number], number> = {
      alpha: path.alpha(t),
      sigma: path.sigma(t),
      dAlpha: path.dAlpha(t),
      dSigma: path.dSigma(t),
      cIn: cIn(config, t),
      velocityX: velocity.x,
      velocityF: velocity.F,
    };
    COEFFICIENTS.forEach((name, row) => packed[row * times.length + i] = values[name]);
  });
  return packed;
}

/** What {@linkcode flowDraw} turns into a step. */
export interface FlowBatch {
  /** [batch, ...sample], channels last. */
  readonly x: Float32Array;
  /** The time of each sample. */
  readonly times: Float64Array;
  /** Labels, null for none; left out where the network has no classes. */
  readonly labels?: readonly (number | null)[];
  /** [batch, augmentDim] */
  readonly augment?: Float32Array;
}

/** A step with given times and labels. */
export function flowDraw(
  config: FlowConfig,
  { x, times, labels, augment }: FlowBatch,
): StepDraw {
  return {
    x,
    ...(augment ? { augment } : {}),
    times,
    values: (first, end) => ({
      coefficients: packCoefficients(config, times.subarray(first, end)),
    }),
    conditioning: (_pass, first, end) => ({
      cNoiseT: times.slice(first, end).map((t) => cNoise(config, t)),
      cNoiseS: times.slice(first, end).map((t) => cNoiseSecond(config, t, t)),
      ...(labels ? { labels: labels.slice(first, end) } : {}),
    }),
  };
}

/** Times of the samples of a step. */
export function flowTimes(config: FlowConfig, key: Key, count: number): Float64Array {
  const { T, eps } = config;
  return Float64Array.from({ length: count }, (_, i) => {
    const u = config.times === "uniform"
      ? openUniform(key, 0, i)
      : 1 / (1 + Math.exp(-(config.timeStd * openNormal(key, i) + config.timeMean)));
    return eps + u * (T - eps);
  });
}

/** Flow matching with checked settings. */
function createFlow(config: FlowConfig): Objective {
  return {
    config,
    groupSize: 1,
    passes: { student: { weights: "current", trained: true } },
    async draw({ source, position, batch, hasLabels, key }) {
      const { images, labels, augment } = await source.batch(position, batch);
      const dropping = {
        labelDropout: config.labelDropout,
        labelDropoutPasses: "student",
      } as const;
      return flowDraw(config, {
        x: images,
        times: flowTimes(config, key("times"), batch),
        ...(augment ? { augment } : {}),
        ...(hasLabels
          ? {
            labels: labelsOf(
              dropLabels(dropping, labels, NO_LABEL, key("labels")).student,
              0,
              batch,
            ),
          }
          : {}),
      });
    },
    build({ x, noise, batch, input, network }) {
      const [b, ...sampleShape] = x.shape;
      const D = sizeOf(sampleShape);
      const packed = input("coefficients", [COEFFICIENTS.length, b]);
      const row = (name: typeof COEFFICIENTS[number]): Tensor =>
        reshape(narrow(packed, 0, COEFFICIENTS.indexOf(name), 1), [b, 1]);
      const [data, n] = [reshape(x, [b, D]), reshape(noise, [b, D])];
      const xT = add(mul(data, row("alpha")), mul(n, row("sigma")));
      const F = network(reshape(mul(xT, row("cIn")), x.shape), "student");
      const model = add(mul(xT, row("velocityX")), mul(reshape(F, [b, D]), row("velocityF")));
      const velocity = add(mul(data, row("dAlpha")), mul(n, row("dSigma")));
      const lossGroup = mul(reshape(sum(square(sub(model, velocity)), [1]), [b]), 1 / D);
      return {
        loss: mul(sum(lossGroup), 1 / batch),
        lossGroup,
        inspect: { xT: reshape(xT, x.shape), studentOutput: F },
      };
    },
    samplers: {
      heun: (times) => solverSteps(config, times, heun),
      midpoint: (times) => solverSteps(config, times, midpoint),
      euler: (times) => solverSteps(config, times, euler),
    },
  };
}

/** One call of the network in a solver's step from t to s. */
type Solver = (config: FlowConfig, t: number, s: number) => SamplerStep[];

function solverSteps(config: FlowConfig, times: readonly number[], solver: Solver): SamplerStep[] {
  return times.slice(1).flatMap((s, i) => solver(config, times[i], s));
}

/** x <- base x_before + x + factor v(x, at): the network is asked at (at, at). */
function call(
  config: FlowConfig,
  at: number,
  { keep, factor }: { readonly keep: number; readonly factor: number },
): Omit<SamplerStep, "t" | "s" | "base" | "inner"> {
  const velocity = velocityFactors(config, at);
  return {
    cIn: cIn(config, at),
    cNoiseT: cNoise(config, at),
    cNoiseS: cNoiseSecond(config, at, at),
    cSkip: keep + factor * velocity.x,
    cOut: factor * velocity.F,
    renoise: null,
  };
}

/** x <- x + (s - t) v(x, t). */
const euler: Solver = (config, t, s) => [
  { t, s, ...call(config, t, { keep: 1, factor: s - t }) },
];

/** Heun's: the mean of the velocities at both ends, x' = x + h v(x,t), x <- (x + x')/2 + h/2 v(x',s). */
const heun: Solver = (config, t, s) => [
  { t, s, inner: true, ...call(config, t, { keep: 1, factor: s - t }) },
  { t, s, base: 0.5, ...call(config, s, { keep: 0.5, factor: (s - t) / 2 }) },
];

/** The velocity half-way: x' = x + h/2 v(x,t), x <- x + h v(x', (s + t)/2). */
const midpoint: Solver = (config, t, s) => [
  { t, s, inner: true, ...call(config, t, { keep: 1, factor: (s - t) / 2 }) },
  { t, s, base: 1, ...call(config, (s + t) / 2, { keep: 0, factor: s - t }) },
];

/** The row of flow matching. */
export const FLOW: ObjectiveKind<FlowConfig> = {
  type: "flow",
  title: "flow matching",
  section: "objective",
  settings: Object.keys(schema.shape),
  samplers: ["heun", "midpoint", "euler"],
  parse(settings, base) {
    const shared = Object.fromEntries(
      SHARED.filter((key) => base[key] !== undefined).map((key) => [key, base[key]]),
    );
    const value = { ...shared, ...settings };
    const result = schema.safeParse(value);
    if (!result.success) {
      throw new UsageError(describeMistake(schema, value, result.error, { prefix: "objective" }));
    }
    const config = result.data;
    if (config.parameterization === "euler_fm" && config.interpolant !== "fm") {
      throw new UsageError(
        "objective.parameterization must be identity or simple_edm with the interpolant vp_cosine, " +
          "but it is euler_fm",
      );
    }
    if (config.eps >= config.T) {
      throw new UsageError(
        `objective.eps must be below T = ${config.T}, but it is ${config.eps}`,
      );
    }
    if (config.parameterization === "identity" && config.eps === 0) {
      throw new UsageError(
        "objective.eps must be above 0 for the parameterization identity, whose velocity is infinite " +
          "at 0, but it is 0",
      );
    }
    return config;
  },
  create: createFlow,
};
