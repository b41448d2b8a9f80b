/**
 * Inductive Moment Matching as an objective: what lib/imm says, put into the words of the seam.
 *
 * @module
 */

import {
  COEFFICIENTS,
  dropLabels,
  type GroupTimes,
  IMM_DEFAULTS,
  type ImmConfig,
  immConfig,
  noiseLabels,
  objective,
  packCoefficients,
  pushforwardSteps,
  restartSteps,
  sampleTimes,
} from "../imm/mod.ts";
import {
  labelsOf,
  NO_LABEL,
  type Objective,
  type ObjectiveKind,
  type StepDraw,
} from "./objective.ts";

/** Settings of IMM; the keys of the section `imm`. */
export interface ImmObjectiveConfig extends ImmConfig {
  /** Which objective it is. */
  readonly type: "imm";
}

/** What {@linkcode immDraw} turns into a step. */
export interface ImmBatch {
  /** [batch, ...sample], channels last. */
  readonly x: Float32Array;
  /** Times of the groups, batch / M of them. */
  readonly times: GroupTimes;
  /** Labels of both passes, null for none; left out where the network has no classes. */
  readonly labels?: {
    readonly student: readonly (number | null)[];
    readonly target: readonly (number | null)[];
  };
  /** [batch, augmentDim] */
  readonly augment?: Float32Array;
}

/** A step with given times and labels. */
export function immDraw(imm: ImmConfig, { x, times, labels, augment }: ImmBatch): StepDraw {
  const groups = (first: number, end: number): GroupTimes => ({
    s: times.s.subarray(first / imm.M, end / imm.M),
    r: times.r.subarray(first / imm.M, end / imm.M),
    t: times.t.subarray(first / imm.M, end / imm.M),
  });
  return {
    x,
    ...(augment ? { augment } : {}),
    times: times.t,
    values: (first, end) => ({ coefficients: packCoefficients(imm, groups(first, end)) }),
    conditioning: (pass, first, end) => {
      const which = pass === "student" ? "student" : "target";
      const { first: cNoiseT, second: cNoiseS } = noiseLabels(imm, groups(first, end))[which];
      return {
        cNoiseT,
        cNoiseS,
        ...(labels ? { labels: labels[which].slice(first, end) } : {}),
      };
    },
  };
}

/** IMM with checked settings. */
function createImm(config: ImmObjectiveConfig): Objective {
  return {
    config,
    groupSize: config.M,
    groupSetting: "imm.M",
    passes: {
      student: { weights: "current", trained: true },
      target: { weights: config.target, trained: false },
    },
    async draw({ source, position, batch, hasLabels, key }) {
      const { images, labels, augment } = await source.batch(position, batch);
      const times = sampleTimes(config, key("times"), batch / config.M);
      const dropped = hasLabels ? dropLabels(config, labels, NO_LABEL, key("labels")) : null;
      return immDraw(config, {
        x: images,
        times,
        ...(augment ? { augment } : {}),
        ...(dropped
          ? {
            labels: {
              student: labelsOf(dropped.student, 0, batch),
              target: labelsOf(dropped.target, 0, batch),
            },
          }
          : {}),
      });
    },
    build({ x, noise, batch, input, network }) {
      const groups = x.shape[0] / config.M;
      const outputs: Record<string, ReturnType<typeof network>> = {};
      const built = objective(config, {
        x,
        noise,
        coefficients: input("coefficients", [COEFFICIENTS.length, groups]),
        network: (xIn, pass) => outputs[`${pass}Output`] = network(xIn, pass),
        batchGroups: batch / config.M,
      });
      const { loss, lossGroup, yT, yR } = built;
      return { loss, lossGroup, inspect: { yT, yR, ...outputs } };
    },
    samplers: {
      pushforward: (times) => pushforwardSteps(config, times),
      restart: (times) => restartSteps(config, times),
    },
  };
}

/** The row of IMM. */
export const IMM: ObjectiveKind<ImmObjectiveConfig> = {
  type: "imm",
  title: "inductive moment matching",
  section: "imm",
  settings: Object.keys(IMM_DEFAULTS),
  samplers: ["pushforward", "restart"],
  parse(settings) {
    return { type: "imm", ...immConfig(settings as Partial<ImmConfig>) };
  },
  create: createImm,
};
