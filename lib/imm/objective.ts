/**
 * The objective of Inductive Moment Matching as a graph (paper, Eq. 13 and Eq. 67).
 *
 * A batch of B samples is cut into G = B/M groups whose M particles share (s, r, t); group g is the
 * rows g*M .. g*M + M - 1. Per group:
 *
 *     x_t = alpha_t x + sigma_t n        x_r = alpha_r x + sigma_r n       (the same n)
 *     y_t = c_skip(s,t) x_t + c_out(s,t) F(x_t, t, s)
 *     y_r = c_skip(s,r) x_r + c_out(s,r) F(x_r, r, s)                      (a constant)
 *     loss = w(s,t) MMD^2(y_t, y_r)
 *
 * x_r = DDIM(x_t, x, r, t) is written with the noise itself (appendix C.2), without dividing by
 * sigma_t. The host computes all numbers that depend on the times (times.ts); the network is the
 * caller's.
 *
 * @module
 */

import { UsageError } from "../base/errors.ts";
import {
  add,
  mul,
  narrow,
  reshape,
  type Shape,
  sizeOf,
  stopGradient,
  sum,
  type Tensor,
} from "../tensor/mod.ts";
import type { ImmConfig } from "./config.ts";
import { type KernelConfig, mmdSquared } from "./kernel.ts";
import { type CoefficientName, COEFFICIENTS } from "./times.ts";

/**
 * The two passes through the network: the student at (s, t), which is trained, and the target at
 * (s, r), which is a constant.
 */
export type Pass = "student" | "target";

/** What the objective is made from. */
export interface ObjectiveInputs {
  /** Data, [B, ...]. */
  readonly x: Tensor;
  /** N(0, sigma_d^2), of the shape of x. */
  readonly noise: Tensor;
  /** Row-major [COEFFICIENTS.length, G], uploaded from `packCoefficients`. */
  readonly coefficients: Tensor;
  /**
   * The network: from c_in x, of the shape of x, to the raw output F of that shape. Called for the
   * target, then for the student. The caller gives each pass its c_noise, its labels and, for
   * `target: "ema"`, its weights; both passes share augmentation labels and the dropout mask.
   */
  readonly network: (xIn: Tensor, pass: Pass) => Tensor;
  /**
   * Groups over which the loss is averaged, if not the G of this graph: the groups of all shards
   * and accumulation steps together. Their losses and gradients then add up to the batch's.
   */
  readonly batchGroups?: number;
}

/** The objective, and for those who look inside, what it is made of. */
export interface ImmLoss {
  /** What is minimised: the sum of `lossGroup` over `batchGroups`. Shape []. */
  readonly loss: Tensor;
  /** w(s,t) MMD^2 of each group, [G]. */
  readonly lossGroup: Tensor;
  /** Noisy samples of the two passes, of the shape of x. */
  readonly xT: Tensor;
  /** Noisy samples of the target pass, of the shape of x. */
  readonly xR: Tensor;
  /** Samples at time s of the two passes, of the shape of x. */
  readonly yT: Tensor;
  /** Samples at time s of the target pass, of the shape of x; a constant. */
  readonly yR: Tensor;
}

/**
 * Builds the objective.
 *
 * @throws {UsageError} when the batch is not a whole number of groups of config.M.
 */
export function objective(config: ImmConfig, inputs: ObjectiveInputs): ImmLoss {
  const { x, noise, network } = inputs;
  const [B, ...sampleShape] = x.shape;
  const { M } = config;
  if (B % M !== 0) {
    throw new UsageError(`the batch must be a multiple of M = ${M} particles, but it is ${B}`);
  }
  const G = B / M;
  const grouped: Shape = [G, M, sizeOf(sampleShape)];
  const c = coefficientRows(inputs.coefficients, G);
  const [data, n] = [reshape(x, grouped), reshape(noise, grouped)];

  // f_{s,u}(x_u) for u = t or r, in the grouped shape.
  const denoise = (xU: Tensor, cIn: Tensor, cSkip: Tensor, cOut: Tensor, pass: Pass): Tensor => {
    const F = network(reshape(mul(xU, cIn), x.shape), pass);
    return add(mul(xU, cSkip), mul(reshape(F, grouped), cOut));
  };
  const xT = add(mul(data, c.alphaT), mul(n, c.sigmaT));
  const xR = add(mul(data, c.alphaR), mul(n, c.sigmaR));
  // The target goes first: it keeps nothing for a backward pass, so its memory is free again when
  // the student's begins to pile up. Where r = s, c_skip is 1 and c_out is 0: the target is x_s
  // itself, whatever the network says.
  const yR = stopGradient(denoise(xR, c.cInR, c.cSkipR, c.cOutR, "target"));
  const yT = denoise(xT, c.cInT, c.cSkipT, c.cOutT, "student");

  const lossGroup = groupLosses(config, yT, yR, flat(c.weight), flat(c.kernelWeight));
  return {
    loss: mul(sum(lossGroup), 1 / (inputs.batchGroups ?? G)),
    lossGroup,
    xT: reshape(xT, x.shape),
    xR: reshape(xR, x.shape),
    yT: reshape(yT, x.shape),
    yR: reshape(yR, x.shape),
  };
}

/**
 * w(s,t) MMD^2(y_t, y_r) of each group: yT and yR are [G, M, D], the weights and the result [G].
 */
export function groupLosses(
  config: KernelConfig,
  yT: Tensor,
  yR: Tensor,
  weight: Tensor,
  kernelWeight: Tensor,
): Tensor {
  return mul(weight, mmdSquared(config, yT, yR, kernelWeight));
}

/** The rows of the upload by name, each [G, 1, 1]. */
function coefficientRows(packed: Tensor, G: number): Record<CoefficientName, Tensor> {
  return Object.fromEntries(
    COEFFICIENTS.map((name, row) => [name, reshape(narrow(packed, 0, row, 1), [G, 1, 1])]),
  ) as Record<CoefficientName, Tensor>;
}

function flat(perGroup: Tensor): Tensor {
  return reshape(perGroup, [perGroup.shape[0]]);
}
