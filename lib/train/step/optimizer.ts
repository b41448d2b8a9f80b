/**
 * Adam, AdamW and RAdam over a whole arena, and the exponential moving average of its parameters.
 *
 * All three are one formula on the device,
 *
 *     p <- decay p - stepSize m / (rootScale sqrt(v) + constant),
 *
 * whose four numbers change from step to step and are uploaded, never compiled in. The update runs
 * as one element-wise kernel over the arena.
 *
 * @module
 */

import { UsageError } from "../../base/errors.ts";
import {
  add,
  div,
  mul,
  narrow,
  reshape,
  sqrt,
  square,
  sub,
  type Tensor,
  where,
} from "../../tensor/mod.ts";

/** Names of the optimisers. */
export const OPTIMIZERS = ["adam", "adamw", "radam"] as const;

/** Name of an optimiser. */
export type OptimizerName = typeof OPTIMIZERS[number];

/** Settings of an optimiser; the defaults are PyTorch's, but for the rate. */
export interface OptimizerConfig {
  /** Which optimiser: Kingma & Ba 2015, Loshchilov & Hutter 2019, Liu et al. 2020. */
  readonly name: OptimizerName;
  /** Learning rate after the warm-up. Default 1e-4. */
  readonly lr: number;
  /** Decay of the averages of the gradient and of its square. Default [0.9, 0.999]. */
  readonly betas: readonly [number, number];
  /** Added to the root of the average square. Default 1e-8. */
  readonly eps: number;
  /** Decoupled for `adamw`; for the others added to the gradient. Default 0. */
  readonly weightDecay: number;
}

/** Names of the uploaded numbers, in order. */
const NUMBERS = [
  "decay",
  "stepSize",
  "rootScale",
  "constant",
  /** Weight of the new parameters in the average: 1 - decay of the EMA. */
  "averageWeight",
] as const;

/** How many numbers an update reads. */
export const UPDATE_NUMBERS: number = NUMBERS.length;

/** What one update changes, each of the arena's shape. */
export interface OptimizerState {
  /** The weights themselves. */
  readonly parameters: Tensor;
  /** Average of the gradients. */
  readonly m: Tensor;
  /** Average of the squared gradients. */
  readonly v: Tensor;
  /** Moving average of the parameters. */
  readonly ema: Tensor;
}

/**
 * The state after one step.
 *
 * @param gradient Of the arena's shape.
 * @param numbers [UPDATE_NUMBERS], from {@link updateNumbers}.
 * @param applied 0 leaves weights and moments as they are, whatever the gradient; the average goes on.
 */
export function optimizerStep(
  config: OptimizerConfig,
  { parameters, m, v, ema }: OptimizerState,
  gradient: Tensor,
  numbers: Tensor,
  applied?: Tensor,
): OptimizerState {
  const [beta1, beta2] = config.betas;
  const number = (name: typeof NUMBERS[number]) => optimizerNumber(numbers, name);
  const coupled = config.name !== "adamw" && config.weightDecay > 0;
  const g = coupled ? add(gradient, mul(parameters, config.weightDecay)) : gradient;
  const unlessSkipped = (next: Tensor, old: Tensor) => applied ? where(applied, next, old) : next;
  const newM = unlessSkipped(add(m, mul(sub(g, m), 1 - beta1)), m);
  const newV = unlessSkipped(add(mul(v, beta2), mul(square(g), 1 - beta2)), v);
  const step = optimizerStride(newM, newV, numbers);
  const newParameters = unlessSkipped(sub(mul(parameters, number("decay")), step), parameters);
  return {
    parameters: newParameters,
    m: newM,
    v: newV,
    ema: add(ema, mul(sub(newParameters, ema), number("averageWeight"))),
  };
}

/** One of the uploaded numbers by its name, of shape []. */
export function optimizerNumber(numbers: Tensor, name: typeof NUMBERS[number]): Tensor {
  return reshape(narrow(numbers, 0, NUMBERS.indexOf(name), 1), []);
}

/** stepSize m / (rootScale sqrt(v) + constant): what a step takes from the weights. */
export function optimizerStride(m: Tensor, v: Tensor, numbers: Tensor): Tensor {
  const number = (name: typeof NUMBERS[number]) => optimizerNumber(numbers, name);
  const denominator = add(mul(sqrt(v), number("rootScale")), number("constant"));
  return mul(div(m, denominator), number("stepSize"));
}

/**
 * The numbers of step `step` (the first is 1).
 *
 * @param lr Learning rate of this step.
 * @param emaDecay Decay of the average at this step.
 */
export function updateNumbers(
  config: OptimizerConfig,
  step: number,
  lr: number,
  emaDecay: number,
): Float32Array<ArrayBuffer> {
  const [beta1, beta2] = config.betas;
  const bias1 = 1 - beta1 ** step;
  const bias2 = 1 - beta2 ** step;
  const values: Record<typeof NUMBERS[number], number> = {
    decay: config.name === "adamw" ? 1 - lr * config.weightDecay : 1,
    stepSize: lr / bias1,
    rootScale: 1 / Math.sqrt(bias2),
    constant: config.eps,
    averageWeight: 1 - emaDecay,
  };
  if (config.name === "radam") {
    const rectification = radamRectification(beta2, step);
    if (rectification === null) {
      values.rootScale = 0;
      values.constant = 1;
    } else {
      // PyTorch adds eps before the bias correction of v, unlike in Adam.
      values.stepSize *= rectification * Math.sqrt(bias2);
      values.rootScale = 1;
    }
  }
  return Float32Array.from(NUMBERS, (name) => values[name]);
}

/**
 * The factor r_t of RAdam (Liu et al. 2020, Algorithm 2), or null while the variance of the
 * adaptive rate is intractable (the length of the average is at most 5): then momentum alone.
 */
function radamRectification(beta2: number, step: number): number | null {
  const longest = 2 / (1 - beta2) - 1;
  const length = longest - 2 * step * beta2 ** step / (1 - beta2 ** step);
  if (length <= 5) return null;
  return Math.sqrt(
    ((length - 4) * (length - 2) * longest) / ((longest - 4) * (longest - 2) * length),
  );
}

/** Throws when a setting is out of range. */
export function checkOptimizer(config: OptimizerConfig): void {
  const expect = (holds: boolean, key: string, expected: string, found: unknown) => {
    if (!holds) throw new UsageError(`optimizer.${key} must be ${expected}, but it is ${found}`);
  };
  expect(config.lr > 0, "lr", "a positive number", config.lr);
  expect(config.eps > 0, "eps", "a positive number", config.eps);
  expect(config.weightDecay >= 0, "weightDecay", "a number from 0 up", config.weightDecay);
  for (const beta of config.betas) {
    expect(beta >= 0 && beta < 1, "betas", "two numbers from 0 to below 1", config.betas);
  }
}
