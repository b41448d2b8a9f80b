/**
 * The command line of the experiment.
 *
 * @module
 */

import { choice, integer, parseOptions, ranges, size, text } from "../../cli/base/options.ts";
import { commonOptions } from "../../cli/base/verb.ts";
import { UsageError } from "../../lib/base/errors.ts";
import { PRESET_NAMES } from "../../lib/train/config/presets.ts";
import { RUN_ENGINES } from "./plan.ts";

/** What is done, in this order. */
export const STAGES = ["classifier", "train", "sample", "eval", "table"] as const;
/** Name of a stage. */
export type Stage = typeof STAGES[number];

/** All options. */
export const options = {
  data: text({ help: "folder of the IDX files", default: "/usr/share/datasets/fashion-mnist" }),
  out: text({ help: "folder for everything that is made", value: "DIR", required: true }),
  preset: choice(PRESET_NAMES, {
    help: "the configuration",
    default: "fashion-mnist",
    value: "NAME",
  }),
  images: size({ help: "images of training, of every run", default: 64_000, min: 1 }),
  set: text({ help: "override a key of the configuration", value: "KEY=VALUE", repeat: true }),
  engines: text({ help: "imm, pytorch or both", default: RUN_ENGINES.join(","), value: "LIST" }),
  seeds: ranges({ help: "seeds of the comparison of the engines", default: [0, 1, 2] }),
  particles: ranges({ help: "values of M that are compared", default: [1, 2, 4, 8] }),
  particleSeeds: ranges({ help: "seeds of the comparison of M", default: [0, 1, 2] }),
  samplers: text({ help: "numbers of steps, or eta:X", default: "1,2,4,8", value: "LIST" }),
  num: integer({ help: "samples of each set", default: 5000, min: 20 }),
  metrics: text({ help: "metrics in the classifier's features", default: "fd,kd", value: "LIST" }),
  pixelMetrics: text({ help: "metrics in pixels", default: "fd", value: "LIST" }),
  reference: text({ help: "real images (default: the test images of --data)", value: "DATA" }),
  only: text({ help: `of ${STAGES.join(", ")} (default: all)`, value: "LIST" }),
  device: choice(["auto", "webgpu", "wasm"], { help: "of imm", default: "auto" }),
  torchDevice: choice(["cpu", "cuda"], { help: "of PyTorch", default: "cpu" }),
  python: text({ help: "a Python with torch and numpy (default: IMM_PYTHON, python3)" }),
  jobs: integer({ help: "processes at a time", default: 1, min: 1 }),
  threads: integer({ help: "threads of each process", default: 1, min: 1 }),
  ...commonOptions,
};

/** The arguments, parsed. */
export type Args = ReturnType<typeof parseArguments>;

/** Parses them. @throws {UsageError} for what is wrong */
export function parseArguments(args: readonly string[]) {
  return parseOptions("deno task evidence", options, args);
}

/** Words of a list. @throws {UsageError} for one that is not known */
export function listed<Word extends string>(
  given: string,
  known: readonly Word[],
  option: string,
): Word[] {
  return given.split(",").map((word) => {
    const found = known.find((each) => each === word);
    if (!found) throw new UsageError(`${option} takes ${known.join(", ")}, but got "${word}"`);
    return found;
  });
}
