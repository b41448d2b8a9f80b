/** `imm train`. @module */

import { openDevice } from "../../lib/device/open.ts";
import { UsageError } from "../../lib/base/errors.ts";
import { PRECISIONS } from "../../lib/models/precision.ts";
import { TRAIN_SETTINGS } from "../../lib/train/config/config.ts";
import type { TrainConfig } from "../../lib/train/config/config.ts";
import {
  expectedLine,
  resumedLines,
  scoreLine,
  startLines,
} from "../../lib/train/run/narrative.ts";
import { gridLayout } from "../../lib/train/reports/grids.ts";
import { PRESET_NAMES } from "../../lib/train/config/presets.ts";
import { chooseMicroBatch, type MemoryLimits } from "../../lib/train/config/planner.ts";
import {
  resolveConfig,
  type ResolvedConfig,
  resolveResumed,
  resolveWithoutData,
  TrainingRun,
} from "../../lib/train/run/run.ts";
import { interruptible } from "../base/interrupt.ts";
import { deviceOptions } from "../base/device_options.ts";
import { pictureCare, strict } from "../base/picture_options.ts";
import { Dashboard } from "./dashboard.ts";
import { choice, flag, flagName, integer, settings, text } from "../base/options.ts";
import { NullProgress, type Progress } from "../base/progress.ts";
import { shellWord } from "../base/shell_word.ts";
import type { Terminal } from "../base/terminal.ts";
import { dryRun, memoryBudget, parseMicroBatch, withMicroBatch } from "./plan.ts";
import { defineVerb } from "../base/verb.ts";

/** The verb. */
export const verb = defineVerb({
  name: "train",
  summary: "train a model",
  usage:
    "imm train --preset NAME --out DIR [options]\n       imm train --init MODEL --data DATA --out DIR [options]\n       imm train --resume DIR [--data DATA] [--set KEY=VALUE]",
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
      command: "imm train --preset cifar10-small --config my.json --data photos/ --out runs/1",
      does: "train on a folder of pictures, your settings over those of a preset",
    },
    {
      command: "imm train --preset imagenet256-s --data latents.zip --out runs/imagenet",
      does: "train on latents of an autoencoder, as EDM2's tool encodes them",
    },
    {
      command: "imm train --preset imagenet256-s --dry-run --memory 8Gi",
      does: "say what a run takes: arithmetic, memory, the micro-batch that fits, speed",
    },
    {
      command: "imm train --preset digits --out runs/live --dashboard 8080",
      does: "watch loss, scores, samples and speed in a browser on this machine",
    },
    {
      command: "imm train --preset digits --out runs/half --device webgpu --precision float16",
      does: "keep activations in half of the memory",
    },
    {
      command: "imm train --init runs/digits --data photos/ --reset-labels --out runs/2",
      does: "fine-tune: begin with the weights of a model",
    },
    { command: "imm train --resume runs/digits", does: "continue a run that was stopped" },
    {
      command: "imm train --resume runs/digits --set train.images=1Mi --set optimizer.lr=5e-5",
      does: "train on for longer than it was meant to, at another rate",
    },
  ],
  options: {
    preset: choice(PRESET_NAMES, { help: "start from a named configuration", value: "NAME" }),
    config: text({
      help: "start from a configuration file, or lay it over a preset",
      value: "FILE",
    }),
    init: text({
      help:
        "begin with the weights of a run or a model file (fine-tuning); how to train is said by " +
        "--preset, --config or the run's own configuration",
      value: "RUN|FILE",
    }),
    resetLabels: flag({
      help: "with --init: learn the classes anew, as where the data have others",
    }),
    data: text({
      help: "data set: digits, a folder, .zip, .npz, IDX or CIFAR file, or latents",
      value: "DATA",
    }),
    out: text({ help: "folder of the run; must not hold one yet", value: "DIR" }),
    resume: text({ help: "continue the run in this folder", value: "DIR" }),
    set: settings(TRAIN_SETTINGS, { help: "override a key of the configuration" }),
    ...deviceOptions,
    microBatch: text({
      help: "images per pass through the network, or auto: as many as fit in memory",
      value: "N|auto",
    }),
    precision: choice(PRECISIONS, {
      help: "how the student is stored: float16 halves its memory (WebGPU with shader-f16)",
      value: "NAME",
    }),
    memory: text({ help: "memory of the device for training, as in 6Gi", value: "SIZE" }),
    dataWorkers: integer({
      help: "threads that read and decode images beforehand; 0: none (default: as many as help)",
      value: "N",
      min: 0,
      max: 64,
    }),
    skipCorrupt: flag({
      help: "go on without pictures that cannot be read, instead of failing, and name them",
    }),
    strict,
    dashboard: integer({
      help: "show the run on a web page of this machine, at this port (0: any)",
      value: "PORT",
      min: 0,
      max: 65535,
    }),
    dryRun: flag({ help: "print the configuration, what it takes and how fast it is, and stop" }),
  },
  async run(args, terminal) {
    if (args.resume !== undefined) rejectWithResume(args);
    if (args.resetLabels && args.init === undefined) {
      throw new UsageError("--reset-labels goes with --init MODEL, whose classes are learned anew");
    }
    const microBatch = args.microBatch === undefined ? undefined : parseMicroBatch(args.microBatch);
    const source = {
      preset: args.preset,
      configFile: args.config,
      data: args.data,
      init: args.init,
      settings: [
        ...(args.resetLabels ? ["train.resetLabels=true"] : []),
        ...args.set,
        ...(typeof microBatch === "number" ? [`train.microBatch=${microBatch}`] : []),
        ...(args.precision === undefined ? [] : [`train.precision=${args.precision}`]),
      ],
    };
    const care = pictureCare(args, terminal);
    const resolve = () =>
      args.resume !== undefined
        ? resolveResumed(args.resume, source, care)
        : resolveConfig(source, care);
    if (args.dryRun) {
      const config = await resolve().then(({ config, data, notes = [] }) => {
        data.close();
        terminal.say(`data: ${data.summary}`);
        for (const note of notes) terminal.say(note);
        for (const warning of data.warnings) terminal.warn(warning);
        return config;
      }, (error) => {
        // Without its data, a preset that says its sizes can be planned all the same.
        if (args.resume !== undefined || args.data !== undefined) throw error;
        return resolveWithoutData(source).catch(() => Promise.reject(error));
      });
      const { preset, config: file, data, set } = args;
      // The scores are of the preset as it is, with its own data.
      const isPreset = file === undefined && data === undefined && set.length === 0;
      const scored = isPreset ? preset : undefined;
      return await dryRun(config, { ...args, preset: scored, microBatch }, terminal);
    }
    if (args.resume === undefined && args.out === undefined) {
      throw new UsageError("imm train needs --out DIR, the folder for the run (or --resume DIR)");
    }
    // What is wrong with the configuration is said before a device is looked for.
    let resolved = await resolve();
    const float16 = resolved.config.train.precision === "float16";
    const device = await openDevice({ ...args, float16 }).catch((error) => {
      resolved.data.close();
      throw error;
    });
    try {
      if (microBatch === "auto") resolved = fitted(resolved, memoryBudget(device, args.memory));
      const result = await interruptible(
        terminal,
        async (signal) => {
          await using run = args.resume !== undefined
            ? await TrainingRun.resume(device, args.resume, resolved)
            : await TrainingRun.start(device, resolved, args.out!);
          terminal.say(`device: ${device.description}`);
          terminal.say(`data: ${run.summary}`);
          for (const note of resolved.notes ?? []) terminal.say(note);
          for (const warning of run.warnings) terminal.warn(warning);
          if (run.config.data.latents !== null && run.config.report.decoder === null) {
            terminal.say(
              "Sample grids show the first channels of the latents; --set report.decoder=FILE.onnx " +
                "decodes them",
            );
          }
          await using dashboard = args.dashboard === undefined ? null : Dashboard.open({
            path: run.path,
            images: run.config.train.images,
            grid: gridLayout(run.config.network.labelDim, run.config.report.grid),
            classNames: run.classNames,
          }, args.dashboard);
          if (dashboard) terminal.say(`The run is shown at ${dashboard.url}`);
          const trained = await trainVisibly(run, terminal, { ...args, signal });
          return { path: run.path, ...trained };
        },
        undefined,
        "done",
      );
      const loss = result.last ? `, loss ${result.last.loss.toPrecision(4)}` : "";
      terminal.result(
        result,
        `trained on ${result.images} images${loss}; the model is ${result.path}/model.safetensors`,
      );
      terminal.say(nextCommands(resolved.config, result.path));
    } finally {
      device.close();
    }
  },
});

/** What people do with a model that has been trained. */
function nextCommands({ data, network }: TrainConfig, folder: string): string[] {
  const checkpoint = `--checkpoint ${shellWord(folder)}`;
  if ("dimensions" in network) {
    return [`next: imm sample ${checkpoint} --out points.safetensors`];
  }
  if (data.latents !== null) {
    return [`next: imm sample ${checkpoint} --decoder FILE.onnx --out samples.png`];
  }
  return [
    `next: imm sample ${checkpoint} --out samples.png`,
    `      imm eval ${checkpoint} --reference ${shellWord(data.source)}`,
  ];
}

/** Share of the time that goes into getting data from which on it is shown. */
const SHOWN_WAITING = 0.05;

/** Runs the training with a progress bar; an aborted signal saves a checkpoint. */
export async function trainVisibly(
  run: TrainingRun,
  terminal: Terminal,
  { dataWorkers, signal }: { readonly dataWorkers?: number; readonly signal?: AbortSignal } = {},
) {
  const total = run.config.train.images;
  let progress: Progress = new NullProgress();
  let note = "";
  try {
    const result = await run.train({
      signal,
      dataWorkers,
      observer: {
        resumed: (images, changes) => {
          for (const line of resumedLines(images, total, changes)) terminal.say(line);
        },
        start: (start) => {
          // The device and the data have been said already.
          terminal.say(startLines(start).filter((line) => !/^(device|data):/.test(line)));
          progress = terminal.progress("training", total, "images", start.images);
        },
        expects: (seconds, perSecond) => terminal.say(expectedLine(seconds, perSecond)),
        step: (images) => progress.update(images, note),
        report: ({ loss, time: { data, device, host } }) => {
          const waiting = data / (data + device + host);
          note = `loss ${loss.toPrecision(3)}` +
            (waiting < SHOWN_WAITING ? "" : `, ${Math.round(100 * waiting)} % for data`);
        },
        scored: ({ values }) => terminal.detail(scoreLine(values)),
        wrote: (path) => terminal.detail(`wrote ${path}`),
        warn: (message) => terminal.warn(message),
      },
    });
    progress.update(result.images, note);
    return result;
  } finally {
    progress.finish();
  }
}

/** The configuration with the largest micro-batch that fits. */
function fitted(resolved: ResolvedConfig, budget: MemoryLimits): ResolvedConfig {
  const { config } = resolved;
  try {
    return { ...resolved, config: withMicroBatch(config, chooseMicroBatch(config, budget)) };
  } catch (error) {
    resolved.data.close();
    throw error;
  }
}

function rejectWithResume(args: Readonly<Record<string, unknown>>): void {
  for (const name of ["preset", "config", "init", "out"]) {
    if (args[name] !== undefined) {
      throw new UsageError(
        `--resume continues with the run's own configuration; leave out ${flagName(name)}`,
      );
    }
  }
}
