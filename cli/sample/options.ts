/**
 * Options of the verbs that sample: sampler, schedule, steps, classes and guidance.
 *
 * @module
 */

import { UsageError } from "../../lib/base/errors.ts";
import { type Schedule, scheduleTimes } from "../../lib/imm/schedule.ts";
import type { Objective } from "../../lib/objectives/objective.ts";
import { objectiveTitle, SAMPLER_NAMES } from "../../lib/objectives/registry.ts";
import { type SamplerStep, stepCount } from "../../lib/objectives/sampler.ts";
import { chooseLabels, type ClassChoice, parseClasses } from "../../lib/sample/labels.ts";
import {
  SAMPLING_PRESET_NAMES,
  SAMPLING_PRESETS,
  type SamplingPreset,
} from "../../lib/sample/presets.ts";
import { choice, integer, type Parsed, text } from "../base/options.ts";

/** What is done when neither the options nor a preset say it. */
const DEFAULTS: SamplingPreset = { steps: 2, schedule: () => "uniform", guidance: "1" };

/** The options, to be spread into the table of a verb. */
export const samplingOptions = {
  preset: choice(SAMPLING_PRESET_NAMES, {
    help: "sample as the public release does: steps, schedule, guidance and classes that are not " +
      "given otherwise",
  }),
  steps: integer({
    help: `sampling steps (default ${DEFAULTS.steps}, or the preset's)`,
    min: 1,
    max: 10_000,
  }),
  sampler: choice(SAMPLER_NAMES, {
    help:
      "pushforward (the default) or restart for models of IMM; heun (the default), midpoint or " +
      "euler for models of flow matching",
  }),
  schedule: text({
    help: "uniform or edm, or the etas between the ends, as in eta:1.4,0.5 (default uniform)",
    value: "SCHEDULE",
  }),
  classes: text({
    help: "classes of the images by their seeds: all in turn, random, none, or a list to repeat " +
      "such as 0-4,7 or cat,dog (default all, or none for a model without classes)",
    value: "all|random|none|LIST",
  }),
  guidance: text({
    help: "weight of classifier-free guidance, or one for each step as in 1,1.5 (default 1: none)",
    value: "W",
  }),
};

/** The parsed options. */
export type SamplingArgs = Omit<Parsed<typeof samplingOptions>, "_">;

/** How images are to be sampled. */
export interface SamplingPlan {
  /** Name of the sampler. */
  readonly sampler: string;
  /** As `--schedule` would name it. */
  readonly schedule: string;
  /** From T to eps. */
  readonly times: readonly number[];
  /** Calls of the network. */
  readonly steps: readonly SamplerStep[];
  /** Steps; a solver of higher order makes several calls in one. */
  readonly stepCount: number;
  /** One weight, or one for each step. */
  readonly guidance: number | readonly number[];
  readonly classes: ClassChoice;
  /** The rule, as `--classes` would name it. */
  readonly classRule: string;
  /** Class of the image with each seed. */
  readonly labels: readonly (number | null)[];
}

/**
 * What the options mean for a model.
 *
 * @param classes number of classes of the model, 0 for none
 * @param names of these classes, where it has some
 * @throws {UsageError} when they are wrong, or do not fit together or the model
 */
export function planSampling(
  args: SamplingArgs,
  { config, samplers }: Objective,
  seeds: readonly number[],
  classes: number,
  names: readonly string[] | null = null,
): SamplingPlan {
  const preset = args.preset === undefined ? DEFAULTS : SAMPLING_PRESETS[args.preset];
  const schedule = args.schedule ?? preset.schedule(args.steps ?? preset.steps);
  const times = scheduleTimes(config, parseSchedule(schedule, args.steps, preset.steps));
  const [standard] = Object.keys(samplers);
  const sampler = args.sampler ?? standard;
  if (!Object.hasOwn(samplers, sampler)) {
    throw new UsageError(
      `--sampler ${sampler} is not for this model, which was trained with ${
        objectiveTitle(config)
      }; choose one of ${Object.keys(samplers).join(", ")}.`,
    );
  }
  const steps = samplers[sampler](times);
  const guidance = parseGuidance(args.guidance ?? preset.guidance, stepCount(steps));
  if (classes === 0 && guidance.some((w) => w !== 1)) {
    throw new UsageError(
      args.guidance === undefined
        ? `--preset ${args.preset} guides by classes, but the model has none; give --guidance 1.`
        : "the model has no classes, which --guidance needs; leave it out.",
    );
  }
  const presetRule = "classes" in preset ? preset.classes : undefined;
  const classRule = args.classes ?? (classes > 0 ? presetRule ?? "all" : "none");
  const choice = parseClasses(classRule, "--classes", names);
  if (choice.kind === "none" && guidance.some((w) => w !== 1)) {
    throw new UsageError(
      args.guidance === undefined
        ? `--preset ${args.preset} guides by classes, but --classes is none; give --guidance 1.`
        : "--guidance leads towards the classes of images, but --classes is none; leave one of the two " +
          "out.",
    );
  }
  return {
    sampler,
    schedule,
    times,
    steps,
    stepCount: stepCount(steps),
    guidance: guidance.length === 1 ? guidance[0] : guidance,
    classes: choice,
    classRule,
    labels: chooseLabels(choice, seeds, classes),
  };
}

/** `uniform`, `edm` or `eta:1.4,0.5`, with the number of steps that was asked for. */
function parseSchedule(text: string, steps: number | undefined, otherwise: number): Schedule {
  if (text === "uniform" || text === "edm") return { kind: text, steps: steps ?? otherwise };
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
