/**
 * Dynamic loss scaling (Micikevicius et al. 2018, "Mixed Precision Training"): with activations in
 * float16 their gradients are too, and small ones would be rounded to zero. So the loss is multiplied
 * by a scale before it is differentiated and the gradients are divided by it, in float32. Where a
 * gradient overflows, the step is skipped and the scale halved; after many good steps it doubles.
 *
 * The rules and their numbers are those of torch.amp.GradScaler. All of it runs on the device, so
 * that nobody waits for a number to be read back.
 *
 * @module
 */

import {
  add,
  Arena,
  div,
  equal,
  input,
  less,
  lessEqual,
  minimum,
  mul,
  reshape,
  sub,
  sum,
  type Tensor,
  type Update,
  where,
} from "../../tensor/mod.ts";
import { type OptimizerConfig, UPDATE_NUMBERS, updateNumbers } from "./optimizer.ts";

/** The defaults of torch.amp.GradScaler. */
export const LOSS_SCALING = {
  /** Scale of the first step. */
  initial: 65536,
  /** Factor after `interval` steps in a row without an overflow. */
  growth: 2,
  /** Factor after a step with one. */
  backoff: 0.5,
  /** Steps. */
  interval: 2000,
} as const;

/** What a resumed run needs to go on with the same scale. */
export interface ScalingState {
  /** Of the next step. */
  readonly scale: number;
  /** Steps without an overflow since the scale was last changed. */
  readonly goodSteps: number;
  /** Steps that have been skipped, in all. */
  readonly skipped: number;
}

/** Entries of the arena that make the {@link ScalingState}. */
export const SCALING_STATE = ["scale", "goodSteps", "skipped"] as const;

/** The state of loss scaling at the start of a run. */
export const INITIAL_SCALING: ScalingState = {
  scale: LOSS_SCALING.initial,
  goodSteps: 0,
  skipped: 0,
};

/** Numbers above are no longer told from infinity. */
const LARGEST = 3e38;

/**
 * Rows of `numbersByStep`: so many steps may be skipped before the host knows of it. By then the scale
 * has fallen by 2^31, and training has long come to nothing.
 */
const ROWS = 32;

/**
 * The arena of loss scaling: its state; and of the newest step, whether it was `applied`, 1 / scale,
 * and the optimiser's numbers.
 */
export function scalingArena(): Arena {
  const arena = new Arena("scaling");
  for (const name of [...SCALING_STATE, "applied", "inverse"]) arena.add(name, []);
  arena.add("numbers", [UPDATE_NUMBERS]);
  return arena;
}

/** What scaling has to say about a step; all but `numbers` of shape []. */
export interface ScaledStep {
  /** 1 / scale, for the gradients. */
  readonly inverse: Tensor;
  /** Whether the gradients are finite: 1 or 0. */
  readonly applied: Tensor;
  /** Numbers of the optimiser's step, [UPDATE_NUMBERS]. */
  readonly numbers: Tensor;
  /** What must be given: see {@link numbersByStep}. */
  readonly inputs: readonly Tensor[];
  /** Changes of the arena. */
  readonly updates: readonly Update[];
}

/** 1 / scale of the step at hand. */
export function inverseScale(arena: Arena): Tensor {
  return div(1, arena.tensor("scale"));
}

/** One step of scaling, from the norm of the unscaled gradients. */
export function scaledStep(arena: Arena, norm: Tensor): ScaledStep {
  const [scale, goodSteps, skipped] = SCALING_STATE.map((name) => arena.tensor(name));
  // A comparison with NaN does not hold either.
  const applied = less(norm, LARGEST);
  const inverse = inverseScale(arena);

  const known = input("skippedBefore", []);
  const rows = input("rows", [ROWS, 1]);
  const table = input("numbers", [ROWS, UPDATE_NUMBERS]);
  const row = minimum(sub(skipped, known), ROWS - 1);
  const numbers = sum(mul(table, equal(rows, row)), 0);

  const good = add(goodSteps, 1);
  const grows = lessEqual(LOSS_SCALING.interval, good);
  const larger = mul(scale, LOSS_SCALING.growth);
  const grown = where(less(larger, LARGEST), larger, scale);
  const updates: [name: string, value: Tensor][] = [
    [
      "scale",
      where(applied, where(grows, grown, scale), mul(scale, LOSS_SCALING.backoff)),
    ],
    ["goodSteps", mul(applied, where(grows, 0, good))],
    ["skipped", add(skipped, sub(1, applied))],
    ["applied", applied],
    ["inverse", inverse],
    ["numbers", numbers],
  ];
  return {
    inverse,
    applied,
    numbers,
    inputs: [known, rows, table],
    updates: updates.map(([name, value]) => {
      const target = arena.tensor(name);
      return { target, value: reshape(value, target.shape) };
    }),
  };
}

/**
 * Values of the inputs of {@link scaledStep}. A skipped step is none of the optimiser's: how many it
 * has taken decides its numbers, and only the device knows, so it is given those of all counts that
 * may be.
 *
 * @param step Step of training, from 1.
 * @param skippedBefore Steps that were skipped when the host last looked.
 */
export function numbersByStep(
  config: OptimizerConfig,
  step: number,
  skippedBefore: number,
  lr: number,
  emaDecay: number,
): Record<"skippedBefore" | "rows" | "numbers", Float32Array> {
  const numbers = new Float32Array(ROWS * UPDATE_NUMBERS);
  for (let row = 0; row < ROWS; row++) {
    const taken = Math.max(1, step - skippedBefore - row);
    numbers.set(updateNumbers(config, taken, lr, emaDecay), row * UPDATE_NUMBERS);
  }
  return {
    skippedBefore: Float32Array.of(skippedBefore),
    rows: Float32Array.from({ length: ROWS }, (_, row) => row),
    numbers,
  };
}
