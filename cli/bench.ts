/** `imm bench`: how fast this machine computes, trains and samples. @module */

import { cpus } from "node:os";
import { compile } from "../lib/compile/compile.ts";
import { planFlops } from "../lib/compile/flops.ts";
import type { Device } from "../lib/device/device.ts";
import { openDevice } from "../lib/device/open.ts";
import type { TuningProgress } from "../lib/device/mod.ts";
import { DeviceError } from "../lib/base/errors.ts";
import { median, timeRuns } from "../lib/base/clock.ts";
import { type KernelTask, taskInputs, taskName, taskProgram } from "../lib/measure/tasks.ts";
import {
  describeSampling,
  type Job,
  presetConfig,
  samplingJob,
  trainingJob,
} from "../lib/measure/training.ts";
import { type Precision, PRECISIONS } from "../lib/models/precision.ts";
import { PRESET_NAMES } from "../lib/train/config/presets.ts";
import { describeRun } from "../lib/train/config/planner.ts";
import { formatBytes, formatDuration } from "../lib/base/units.ts";
import { VERSION } from "../lib/base/version.ts";
import { choice, flag, integer, number } from "./base/options.ts";
import type { Terminal } from "./base/terminal.ts";
import { defineVerb } from "./base/verb.ts";
import { objectiveOf } from "../lib/objectives/registry.ts";

/** What `imm bench --json` prints. */
export interface BenchReport {
  readonly version: string;
  readonly deno: string;
  /** Name of the processor, where the system tells. */
  readonly processor: string;
  readonly devices: readonly DeviceBench[];
}

/** What one device reached. */
export interface DeviceBench {
  readonly device: "webgpu" | "wasm";
  readonly description: string;
  readonly kernels: readonly KernelBench[];
  readonly presets: readonly PresetBench[];
}

/** One operation. */
export interface KernelBench {
  readonly name: string;
  readonly seconds: number;
  /** Multiplications and additions per second. */
  readonly flops: number;
}

/** One preset: two rates, or why there are none. */
export interface PresetBench {
  readonly preset: string;
  readonly precision: Precision;
  readonly training: JobBench;
  readonly sampling: JobBench;
}

/** Training, or sampling in one step. */
export type JobBench =
  | {
    /** Images per step. */
    readonly batch: number;
    readonly imagesPerSecond: number;
    /** Multiplications and additions per second. */
    readonly flops: number;
    /** What it takes on the device. */
    readonly memoryBytes: number;
  }
  | {
    /** Why it was not measured. */
    readonly skipped: string;
  };

/** Seconds of measuring training, and again sampling, per preset. */
const SECONDS = 3;
/** Operations take less: there are more of them. */
const KERNEL_SHARE = 1 / 6;
/** A single step that would take longer than this is not begun. */
const LONGEST_STEP = 15;
/** Images per step, at most. */
const LARGEST_BATCH = 128;

const convolution = { kind: "conv", batch: 4, resolution: 16 } as const;
const channels = { inChannels: 256, outChannels: 256 };

/** What the networks spend their time on; the convolutions are those of the CIFAR-10 network. */
const KERNELS: readonly KernelTask[] = [
  { kind: "gemm", size: 512 },
  { kind: "gemm", size: 1024 },
  { ...convolution, ...channels, pass: "forward" },
  { ...convolution, ...channels, pass: "input gradient" },
  { ...convolution, ...channels, pass: "weight gradient" },
];

/** The verb. */
export const verb = defineVerb({
  name: "bench",
  summary: "measure how fast this machine computes, trains and samples",
  usage: "imm bench [options]",
  examples: [
    { command: "imm bench", does: "everything that this machine can do, in about a minute" },
    { command: "imm bench --device wasm --threads 1", does: "one thread of the processor" },
    { command: "imm bench --preset fashion-mnist --json", does: "one preset, for a script" },
    {
      command: "imm bench --device webgpu --preset cifar10 --precision float16",
      does: "activations and weights in half of the memory",
    },
    {
      command: "imm bench --device webgpu --preset digits --tune",
      does: "measure again which kernels suit this adapter, and keep them",
    },
  ],
  options: {
    device: choice(["all", "auto", "webgpu", "wasm"], { help: "what to measure", default: "all" }),
    threads: integer({ help: "threads of the wasm device (default: the cores)", min: 1 }),
    preset: choice(PRESET_NAMES, {
      help: "measure the training of this preset only",
      value: "NAME",
      repeat: true,
    }),
    seconds: number({
      help: "about how long to measure a training step; the rest follows",
      default: SECONDS,
      min: 0.001,
    }),
    precision: choice(PRECISIONS, {
      help: "how networks are stored (default: as the preset says)",
      value: "NAME",
    }),
    tune: flag({
      help: "first measure which WebGPU kernels suit the adapter, and remember it for all runs",
    }),
  },
  async run(args, terminal) {
    const presets = args.preset.length > 0
      ? [...new Set(args.preset)]
      : ["digits", "fashion-mnist", "cifar10"];
    const names = args.device === "all" ? ["webgpu", "wasm"] as const : [args.device] as const;
    const devices: DeviceBench[] = [];
    for (const name of names) {
      try {
        const device = await openDevice({
          device: name,
          threads: args.threads,
          ...(args.tune ? { tuning: "again", onTuning: tellTuning(terminal) } : {}),
        });
        try {
          devices.push(await measureDevice(device, presets, args, terminal));
        } finally {
          device.close();
        }
      } catch (error) {
        if (args.device !== "all" || !(error instanceof DeviceError)) throw error;
        terminal.warn(`${name} is not measured: ${error.message}`);
      }
    }
    if (devices.length === 0) throw new DeviceError("there is no device to measure");
    const report: BenchReport = {
      version: VERSION,
      deno: Deno.version.deno,
      processor: processor(),
      devices,
    };
    terminal.result(report, () => format(report));
  },
});

/** Says what the tuner chose. */
function tellTuning(terminal: Terminal): (progress: TuningProgress) => void {
  return ({ done, total, kernelClass, choice, speedup }) =>
    terminal.say(
      `tuning ${done}/${total}: ${kernelClass}: ${choice}` +
        (speedup > 1 ? `, ${speedup.toFixed(2)} times as fast` : ""),
    );
}

/** Measures operations first: their speed tells which steps are too long to be tried. */
async function measureDevice(
  device: Device,
  presets: readonly string[],
  { seconds, precision }: { readonly seconds: number; readonly precision?: Precision },
  terminal: Terminal,
): Promise<DeviceBench> {
  const total = KERNELS.length + 2 * presets.length;
  const progress = terminal.progress(`measuring ${device.kind}`, total, "measurements");
  let done = 0;
  const next = (name: string) => progress.update(done++, name);
  try {
    const kernels: KernelBench[] = [];
    for (const task of KERNELS) {
      next(taskName(task));
      kernels.push(await measureKernel(device, task, seconds * KERNEL_SHARE));
    }
    const expected = median(kernels.map(({ flops }) => flops));
    const measured: PresetBench[] = [];
    for (const preset of presets) {
      next(`${preset}, training`);
      const training = await measureJob(trainingWork(device, preset, precision), expected, seconds);
      next(`${preset}, sampling`);
      const sampling = await measureJob(samplingWork(device, preset, precision), expected, seconds);
      measured.push({
        preset,
        precision: precision ?? presetConfig(preset).train.precision,
        training,
        sampling,
      });
    }
    progress.update(total, "");
    return { device: device.kind, description: device.description, kernels, presets: measured };
  } finally {
    progress.finish();
  }
}

async function measureKernel(
  device: Device,
  task: KernelTask,
  duration: number,
): Promise<KernelBench> {
  const plan = compile(taskProgram(task));
  const executable = await device.prepare(plan, new Map());
  try {
    executable.run(taskInputs(task));
    const timed = { run: () => executable.run({}), finish: () => device.finish() };
    const seconds = median(await timeRuns(timed, { seconds: duration }));
    return { name: taskName(task), seconds, flops: planFlops(plan) / seconds };
  } finally {
    executable.destroy();
  }
}

/** A preset's work on a device. */
interface Work {
  /** What a batch takes, known without the device. */
  readonly describe: (batch: number) => { readonly flops: number; readonly memoryBytes: number };
  readonly open: (batch: number) => Promise<Job>;
  /** Smallest and largest batch; those between are the smallest doubled a few times. */
  readonly batches: readonly [smallest: number, largest: number];
}

function trainingWork(device: Device, preset: string, precision?: Precision): Work {
  const own = presetConfig(preset);
  const config = (batch: number) => presetConfig(preset, batch, precision);
  return {
    describe(batch) {
      const { plans, stateBytes } = describeRun(config(batch));
      const sum = (value: (plan: typeof plans[number]) => number) =>
        plans.reduce((total, plan) => total + value(plan), 0);
      return {
        flops: sum(({ flops }) => flops),
        memoryBytes: stateBytes + sum(({ slotBytes }) => slotBytes),
      };
    },
    open: (batch) => trainingJob(device, config(batch)),
    batches: [objectiveOf(own).groupSize, Math.min(own.train.batch, LARGEST_BATCH)],
  };
}

function samplingWork(device: Device, preset: string, precision?: Precision): Work {
  const config = presetConfig(preset, undefined, precision);
  return {
    describe(batch) {
      const { flops, slotBytes, arenaBytes } = describeSampling(config, batch);
      return { flops, memoryBytes: slotBytes + arenaBytes };
    },
    open: (batch) => samplingJob(device, config, batch),
    batches: [1, LARGEST_BATCH],
  };
}

/**
 * @param expected multiplications and additions per second
 * @param seconds about how long to measure
 */
async function measureJob(work: Work, expected: number, seconds: number): Promise<JobBench> {
  const [smallest, largest] = work.batches;
  const least = work.describe(smallest).flops / expected;
  if (least > LONGEST_STEP) {
    const images = smallest === 1 ? "one image" : `${smallest} images`;
    return { skipped: `${images} would take about ${formatDuration(least)}` };
  }
  let batch = smallest;
  while (2 * batch <= largest && least * 2 * batch / smallest <= seconds / 3) batch *= 2;
  const { flops, memoryBytes } = work.describe(batch);
  let job: Job;
  try {
    job = await work.open(batch);
  } catch (error) {
    if (!(error instanceof DeviceError)) throw error;
    return { skipped: error.message };
  }
  try {
    const time = median(await timeRuns(job, { seconds, samples: 3 }));
    return { batch, imagesPerSecond: batch / time, flops: flops / time, memoryBytes };
  } finally {
    job.free();
  }
}

/** The processor's name. */
function processor(): string {
  try {
    return cpus()[0]?.model.trim() || Deno.build.arch;
  } catch { // no permission to ask
    return Deno.build.arch;
  }
}

function format({ processor, devices }: BenchReport): string[] {
  const lines = [`${processor}, Deno ${Deno.version.deno}`];
  for (const { device, description, kernels, presets } of devices) {
    lines.push("", `${device}: ${description}`, "");
    lines.push(row("operation (images x height x width)", "ms", "GFLOP/s"));
    for (const { name, seconds, flops } of kernels) {
      lines.push(row(name, (seconds * 1000).toFixed(1), (flops / 1e9).toFixed(1)));
    }
    lines.push("", row("preset", "batch", "GFLOP/s", "images/s", "memory"));
    for (const { preset, precision, training, sampling } of presets) {
      const name = precision === "float32" ? preset : `${preset} (${precision})`;
      lines.push(jobRow(`${name}, training`, training));
      lines.push(jobRow(`${name}, sampling in 1 step`, sampling));
    }
  }
  return lines;
}

function jobRow(name: string, job: JobBench): string {
  if ("skipped" in job) return `${name.padEnd(NAME_WIDTH)} not measured: ${job.skipped}`;
  const { batch, flops, imagesPerSecond, memoryBytes } = job;
  return row(
    name,
    String(batch),
    (flops / 1e9).toFixed(1),
    imagesPerSecond >= 100 ? imagesPerSecond.toFixed(0) : imagesPerSecond.toPrecision(3),
    formatBytes(memoryBytes),
  );
}

const NAME_WIDTH = 52;

function row(name: string, ...cells: readonly string[]): string {
  return name.padEnd(NAME_WIDTH) + cells.map((cell) => cell.padStart(10)).join("");
}
