/** `imm train`. @module */

import { openDevice } from "../lib/device/open.ts";
import { UsageError } from "../lib/errors.ts";
import { PRESET_NAMES } from "../lib/train/presets.ts";
import {
  describeRun,
  resolveConfig,
  type ResolvedConfig,
  resolveResumed,
  TrainingRun,
} from "../lib/train/run.ts";
import { formatBytes } from "../lib/units.ts";
import { interruptible } from "./interrupt.ts";
import { choice, flag, text } from "./options.ts";
import type { Terminal } from "./terminal.ts";
import { defineVerb } from "./verb.ts";

/** The verb. */
export const verb = defineVerb({
  name: "train",
  summary: "train a model",
  usage: "imm train --preset NAME --out DIR [options]\n       imm train --resume DIR",
  examples: [
    {
      command: "imm train --preset digits --out runs/digits",
      does: "train on the embedded 8x8 digits",
    },
    {
      command: "imm train --preset digits --out runs/k14 --set imm.k=14 --set train.seed=1",
      does: "change keys of the configuration",
    },
    {
      command: "imm train --config my.json --data photos/ --out runs/photos",
      does: "train your own configuration on a folder of pictures",
    },
    { command: "imm train --resume runs/digits", does: "continue a run that was stopped" },
  ],
  options: {
    preset: choice(PRESET_NAMES, { help: "start from a named configuration", value: "NAME" }),
    config: text({ help: "start from a configuration file instead", value: "FILE" }),
    data: text({ help: "data set: digits, a folder, .zip, .npz or IDX file", value: "DATA" }),
    out: text({ help: "folder of the run; must not hold one yet", value: "DIR" }),
    resume: text({ help: "continue the run in this folder", value: "DIR" }),
    set: text({ help: "override a key of the configuration", value: "KEY=VALUE", repeat: true }),
    device: choice(["auto", "webgpu", "wasm"], { help: "where to compute", default: "auto" }),
    dryRun: flag({ help: "print the configuration and the plan, and stop" }),
  },
  async run(args, terminal) {
    if (args.resume !== undefined) rejectWithResume(args);
    const source = {
      preset: args.preset,
      configFile: args.config,
      data: args.data,
      settings: args.set,
    };
    const resolve = () =>
      args.resume !== undefined ? resolveResumed(args.resume) : resolveConfig(source);
    if (args.dryRun) return dryRun(await resolve(), terminal);
    if (args.resume === undefined && args.out === undefined) {
      throw new UsageError("imm train needs --out DIR, the folder for the run (or --resume DIR)");
    }
    // What is wrong with the configuration is said before a device is looked for.
    const resolved = await resolve();
    const device = await openDevice({ device: args.device }).catch((error) => {
      resolved.dataset.close();
      throw error;
    });
    try {
      terminal.detail(`device: ${device.description}`);
      await using run = args.resume !== undefined
        ? await TrainingRun.resume(device, args.resume, resolved)
        : await TrainingRun.start(device, resolved, args.out!);
      const result = await trainVisibly(run, terminal);
      const loss = result.last ? `, loss ${result.last.loss.toPrecision(4)}` : "";
      terminal.result(
        { folder: run.path, ...result },
        `trained on ${result.images} images${loss}; the model is ${run.path}/model.safetensors`,
      );
    } finally {
      device.close();
    }
  },
});

/** Runs the training with a progress bar; Ctrl-C saves a checkpoint. */
export async function trainVisibly(run: TrainingRun, terminal: Terminal) {
  const progress = terminal.progress("training", run.config.train.images, "images");
  let note = "";
  try {
    const result = await interruptible(terminal, (signal) =>
      run.train({
        signal,
        observer: {
          step: (images) => progress.update(images, note),
          report: ({ loss }) => note = `loss ${loss.toPrecision(3)}`,
          wrote: (path) => terminal.detail(`wrote ${path}`),
          warn: (message) => terminal.warn(message),
        },
      }));
    progress.update(result.images, note);
    return result;
  } finally {
    progress.finish();
  }
}

function dryRun({ config, dataset }: ResolvedConfig, terminal: Terminal): void {
  dataset.close();
  const description = describeRun(config);
  terminal.result({ config, ...description }, () =>
    [
      JSON.stringify(config, null, 2),
      `parameters: ${description.parameters.toLocaleString("en")}`,
      `state on the device: ${formatBytes(description.stateBytes)}`,
      ...description.plans.map(({ label, kernels, slotBytes }) =>
        `${label}: ${kernels} kernels, ${formatBytes(slotBytes)} of scratch memory`
      ),
    ].join("\n"));
}

function rejectWithResume(args: Readonly<Record<string, unknown>>): void {
  for (const name of ["preset", "config", "data", "out"]) {
    if (args[name] !== undefined) {
      throw new UsageError(
        `--resume continues with the run's own configuration; leave out --${name}`,
      );
    }
  }
  if ((args.set as string[]).length > 0) {
    throw new UsageError("--resume continues with the run's own configuration; leave out --set");
  }
}
