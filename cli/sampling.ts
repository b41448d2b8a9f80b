/**
 * Options of the verbs that sample: sampler, schedule, steps, classes and guidance.
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
import { chooseLabels, type ClassChoice, parseClasses } from "../lib/sample/labels.ts";
import { choice, integer, type Parsed, text } from "./options.ts";

/** Steps when neither `--steps` nor the schedule says how many. */
const STEPS = 2;

/** The options, to be spread into the table of a verb. */
export const samplingOptions = {
  steps: integer({ help: `sampling steps (default ${STEPS})`, min: 1, max: 10_000 }),
  sampler: choice(["pushforward", "restart"], {
    help: "the paper's two samplers",
    default: "pushforward",
  }),
  schedule: text({
    help: "uniform or edm, or the etas between the ends, as in eta:1.4,0.5",
    value: "SCHEDULE",
    default: "uniform",
  }),
  classes: text({
    help: "classes of the images by their seeds: all in turn, random, none, or a list to repeat " +
      "such as 0-4,7 (default all, or none for a model without classes)",
    value: "all|random|none|LIST",
  }),
  guidance: text({
    help: "weight of classifier-free guidance, or one for each step as in 1,1.5",
    value: "W",
    default: "1",
  }),
};

/** The parsed options. */
export type SamplingArgs = Omit<Parsed<typeof samplingOptions>, "_">;

/** How images are to be sampled. */
export interface SamplingPlan {
  /** From T to eps. */
  readonly times: readonly number[];
  readonly steps: readonly SamplerStep[];
  /** One weight, or one for each step. */
  readonly guidance: number | readonly number[];
  readonly classes: ClassChoice;
  /** Class of the image with each seed. */
  readonly labels: readonly (number | null)[];
}

/**
 * What the options mean for a model.
 *
 * @param classes number of classes of the model, 0 for none
 * @throws {UsageError} when they are wrong, or do not fit together or the model
 */
export function planSampling(
  args: SamplingArgs,
  imm: ImmConfig,
  seeds: readonly number[],
  classes: number,
): SamplingPlan {
  const times = scheduleTimes(imm, parseSchedule(args.schedule, args.steps));
  const steps = (args.sampler === "restart" ? restartSteps : pushforwardSteps)(imm, times);
  const guidance = parseGuidance(args.guidance, steps.length);
  if (classes === 0 && guidance.some((w) => w !== 1)) {
    throw new UsageError("the model has no classes, which --guidance needs; leave it out.");
  }
  const choice = args.classes === undefined
    ? classes > 0 ? parseClasses("all", "") : parseClasses("none", "")
    : parseClasses(args.classes, "--classes");
  return {
    times,
    steps,
    guidance: guidance.length === 1 ? guidance[0] : guidance,
    classes: choice,
    labels: chooseLabels(choice, seeds, classes),
  };
}

/** `uniform`, `edm` or `eta:1.4,0.5`, with the number of steps that was asked for. */
function parseSchedule(text: string, steps: number | undefined): Schedule {
  if (text === "uniform" || text === "edm") return { kind: text, steps: steps ?? STEPS };
  const match = /^eta:(.*)$/.exec(text);
  const etas = match ? match[1].split(",").map((eta) => eta.trim() === "" ? NaN : Number(eta)) : [];
  if (!match || !etas.every(Number.isFinite)) {
    throw new UsageError(
      `--schedule expects uniform, edm or etas as in eta:1.4,0.5, but got "${text}".`,
    );
  }
  if (steps !== undefined && steps !== etas.length + 1) {
    throw new UsageError(
      `--schedule ${text} makes ${etas.length + 1} steps, but --steps is ${steps}; leave it out.`,
    );
  }
  return { kind: "explicit", etas };
}

function parseGuidance(text: string, steps: number): number[] {
  const weights = text.split(",").map((weight) => weight.trim() === "" ? NaN : Number(weight));
  if (!weights.every(Number.isFinite)) {
    throw new UsageError(`--guidance expects numbers as in 1.5 or 1,1.5, but got "${text}".`);
  }
  if (weights.length !== 1 && weights.length !== steps) {
    throw new UsageError(
      `--guidance expects one weight or ${steps}, one for each step, but got ${weights.length}.`,
    );
  }
  return weights;
}
