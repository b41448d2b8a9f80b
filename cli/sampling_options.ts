/**
 * Options of the verbs that sample: how a model is asked for images.
 *
 * @module
 */

import { UsageError } from "../lib/errors.ts";
import {
  type ImmConfig,
  pushforwardSteps,
  restartSteps,
  type SamplerStep,
  type Schedule,
  scheduleTimes,
} from "../lib/imm/mod.ts";
import { type ClassChoice, parseClasses } from "../lib/sample/labels.ts";
import { choice, integer, number, type OptionTable, type Parsed, text } from "./options.ts";

/** Steps, guidance and classes; which model and which seeds is each verb's own business. */
export const samplingOptions = {
  steps: integer({ help: "network evaluations per image (default: 1)", min: 1, max: 1000 }),
  sampler: choice(["pushforward", "restart"], {
    help: "from one time to the next, or always to the end and back by fresh noise",
    default: "pushforward",
  }),
  schedule: choice(["uniform", "edm"], { help: "how times are spaced (default: uniform)" }),
  etas: text({
    help: "noise levels between the steps instead; 1.4 is the paper's choice for two steps",
    value: "X,...",
  }),
  guidance: number({ help: "weight of classifier-free guidance; 1 is none", default: 1 }),
  classes: text({
    help: "all (in turn), random, none, or a list such as 0-4,7 (default: all if there are any)",
    value: "LIST",
  }),
  batch: integer({ help: "images computed at once; no image depends on it", default: 64, min: 1 }),
  device: choice(["auto", "webgpu", "wasm"], { help: "where to compute", default: "auto" }),
} satisfies OptionTable;

/** The parsed options. */
export type SamplingArguments = Parsed<typeof samplingOptions>;

/** How images are sampled, with everything resolved. */
export interface Sampling {
  readonly sampler: "pushforward" | "restart";
  readonly schedule: Schedule;
  /** From T to eps. */
  readonly times: readonly number[];
  readonly steps: readonly SamplerStep[];
  readonly guidance: number;
  readonly classes: ClassChoice;
}

/**
 * Resolves the options for a model.
 *
 * @param hasClasses whether the model is class-conditional
 * @throws {UsageError} when they contradict each other or do not fit the model
 */
export function resolveSampling(
  args: SamplingArguments,
  imm: ImmConfig,
  hasClasses: boolean,
): Sampling {
  const { sampler, guidance, classes } = args;
  if (!hasClasses && guidance !== 1) {
    throw new UsageError(
      "The model has no classes, so there is nothing to guide; use --guidance 1.",
    );
  }
  const schedule = chooseSchedule(args);
  const times = scheduleTimes(imm, schedule);
  return {
    sampler,
    schedule,
    times,
    steps: sampler === "restart" ? restartSteps(imm, times) : pushforwardSteps(imm, times),
    guidance,
    classes: parseClasses(classes ?? (hasClasses ? "all" : "none"), "--classes"),
  };
}

function chooseSchedule({ steps, schedule, etas }: SamplingArguments): Schedule {
  if (etas === undefined) return { kind: schedule ?? "uniform", steps: steps ?? 1 };
  const values = etas.split(",").map((part) => part.trim() === "" ? NaN : Number(part));
  if (!values.every(Number.isFinite)) {
    throw new UsageError(`--etas expects numbers, as in 1.4 or 5,1.4, but got "${etas}".`);
  }
  if (schedule !== undefined) throw new UsageError("Give either --etas or --schedule, not both.");
  if (steps !== undefined && steps !== values.length + 1) {
    throw new UsageError(
      `--etas ${etas} makes ${values.length + 1} steps, but --steps is ${steps}; leave one out.`,
    );
  }
  return { kind: "explicit", etas: values };
}
