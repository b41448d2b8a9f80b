/**
 * Options of the verbs that sample: how a model is asked for images.
 *
 * @module
 */

import { UsageError } from "../lib/errors.ts";
import {
  pushforwardSteps,
  restartSteps,
  type SamplerStep,
  type Schedule,
  scheduleTimes,
} from "../lib/imm/mod.ts";
import type { Model } from "../lib/models/model_file.ts";
import { type ClassChoice, parseClasses } from "../lib/sample/labels.ts";
import { choice, integer, type OptionTable, type Parsed, text } from "./options.ts";

/** Sampling steps where neither a number nor etas are given. */
const STEPS = 2;

/** How to sample; which model and which seeds is each verb's own business. */
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
  batch: integer({ help: "images at a time; does not change them", default: 64, min: 1 }),
  device: choice(["auto", "webgpu", "wasm"], { help: "where to compute", default: "auto" }),
} satisfies OptionTable;

/** The parsed options, as far as they do not depend on the model. */
export type SamplingArguments = Pick<
  Parsed<typeof samplingOptions>,
  "steps" | "sampler" | "schedule" | "classes" | "guidance"
>;

/** What the options ask for, before there is a model. */
export interface SamplingRequest {
  readonly sampler: "pushforward" | "restart";
  readonly schedule: Schedule;
  /** One weight, or one for each step. */
  readonly guidance: readonly number[];
  /** Null: all classes that the model has. */
  readonly classes: ClassChoice | null;
}

/** A request made definite for a model. */
export interface Sampling {
  readonly sampler: "pushforward" | "restart";
  /** From T to eps. */
  readonly times: readonly number[];
  readonly steps: readonly SamplerStep[];
  readonly guidance: number | readonly number[];
  readonly classes: ClassChoice;
}

/** Reads the options. @throws {UsageError} when one is malformed or two contradict each other */
export function parseSampling(args: SamplingArguments): SamplingRequest {
  return {
    sampler: args.sampler,
    schedule: parseSchedule(args.schedule, args.steps),
    guidance: parseGuidance(args.guidance),
    classes: args.classes === undefined ? null : parseClasses(args.classes, "--classes"),
  };
}

/**
 * Fits a request to a model.
 *
 * @param classCount number of classes that the model has, 0 for none
 * @throws {UsageError} when the model cannot do that
 */
export function resolveSampling(
  { sampler, schedule, guidance, classes }: SamplingRequest,
  { imm }: Pick<Model, "imm">,
  classCount: number,
): Sampling {
  const times = scheduleTimes(imm, schedule);
  const steps = (sampler === "restart" ? restartSteps : pushforwardSteps)(imm, times);
  if (guidance.length !== 1 && guidance.length !== steps.length) {
    throw new UsageError(
      `--guidance expects one weight or ${steps.length}, one for each step, but got ` +
        `${guidance.length}.`,
    );
  }
  if (classCount === 0 && guidance.some((w) => w !== 1)) {
    throw new UsageError("the model has no classes, which --guidance needs; leave it out.");
  }
  return {
    sampler,
    times,
    steps,
    guidance: guidance.length === 1 ? guidance[0] : guidance,
    classes: classes ?? (classCount > 0 ? { kind: "cycle", classes: null } : { kind: "none" }),
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

function parseGuidance(text: string): number[] {
  const weights = text.split(",").map((weight) => weight.trim() === "" ? NaN : Number(weight));
  if (!weights.every(Number.isFinite)) {
    throw new UsageError(`--guidance expects numbers as in 1.5 or 1,1.5, but got "${text}".`);
  }
  return weights;
}
