/** What `imm train` says and decides about memory and speed before it trains. @module */

import type { Device } from "../../lib/device/device.ts";
import { type DeviceName, openDevice } from "../../lib/device/open.ts";
import { availableMemory } from "../../lib/base/environment.ts";
import { DeviceError, UsageError } from "../../lib/base/errors.ts";
import type { TrainConfig } from "../../lib/train/config/config.ts";
import { type MeasuredSpeed, measureSpeed } from "../../lib/train/reports/measure.ts";
import {
  chooseMicroBatch,
  describeRun,
  kernelsWithoutFusion,
  type MemoryLimits,
  type MicroBatchChoice,
  type RunDescription,
} from "../../lib/train/config/planner.ts";
import { presetScores } from "../../lib/train/config/presets.ts";
import { formatBytes, formatDuration, parseSize } from "../../lib/base/units.ts";
import type { Terminal } from "../base/terminal.ts";
import { objectiveOf } from "../../lib/objectives/registry.ts";

/** Arithmetic that is worth doing for a measurement, by kind of device. */
const MEASURED_FLOPS = { wasm: 2e10, webgpu: 2e12 };
/** State that is worth allocating for a measurement. */
const MEASURED_BYTES = 2 ** 30;

/** Taken for WebGPU, which does not tell how much memory there is. */
const ASSUMED_MEMORY = 4 * 2 ** 30;

/** What limits the memory, and why. */
interface Budget extends MemoryLimits {
  readonly reason: string;
}

/** What training may take of a device; `memory` is what the person allows. */
export function memoryBudget(device: Device | null, memory: string | undefined): Budget {
  const buffer = device?.limits.buffer ?? Infinity;
  if (memory !== undefined) {
    return { total: parseSize(memory, "--memory"), buffer, reason: "--memory" };
  }
  const total = device?.limits.total ?? null;
  if (total === null) {
    const reason = "assumed, since WebGPU does not tell; --memory sets it";
    return { total: ASSUMED_MEMORY, buffer, reason };
  }
  const available = availableMemory();
  return available !== null && available < total
    ? { total: available, buffer, reason: "free memory of this machine" }
    : { total, buffer, reason: "what the device can address" };
}

/** The configuration with the micro-batch that `--micro-batch` asks for: a number, or `auto`. */
export function withMicroBatch(config: TrainConfig, choice: MicroBatchChoice): TrainConfig {
  const { microBatch, recompute } = choice;
  return {
    ...config,
    train: {
      ...config.train,
      microBatch: microBatch === config.train.batch ? null : microBatch,
      recompute,
    },
  };
}

/** What `--micro-batch` was given. @throws {UsageError} when it is neither a number nor `auto` */
export function parseMicroBatch(text: string): number | "auto" {
  if (text === "auto") return "auto";
  if (/^\d+$/.test(text) && Number(text) > 0) return Number(text);
  throw new UsageError(`--micro-batch expects auto or a number of images, but got "${text}".`);
}

/** Prints what a run would take, and measures how fast it would be where that is quick. */
export async function dryRun(
  config: TrainConfig,
  args: {
    readonly preset?: string;
    readonly device: DeviceName;
    readonly threads?: number;
    readonly memory?: string;
    readonly microBatch?: number | "auto";
  },
  terminal: Terminal,
): Promise<void> {
  const device = await openDevice(args).catch((error) => {
    if (!(error instanceof DeviceError)) throw error;
    terminal.warn(`${error.message}. Nothing is measured.`);
    return null;
  });
  try {
    const budget = memoryBudget(device, args.memory);
    const suggestion = suggest(config, budget);
    const chosen = args.microBatch === "auto" && typeof suggestion !== "string"
      ? withMicroBatch(config, suggestion)
      : config;
    const description = describeRun(chosen);
    const speed = device && await measure(device, chosen, description, terminal);
    const result = {
      config: chosen,
      ...description,
      device: device?.description ?? null,
      memory: Number.isFinite(budget.total) ? budget.total : null,
      suggestion,
      speed,
    };
    terminal.result(result, () => [
      ...JSON.stringify(chosen, null, 2).split("\n"),
      ...(args.preset ? [`scores of ${args.preset}: ${presetScores(args.preset)}`] : []),
      ...describe(description, kernelsWithoutFusion(chosen)),
      ...(device ? [`device: ${device.description}`] : []),
      `memory for training: ${formatBytes(budget.total)} (${budget.reason})`,
      typeof suggestion === "string"
        ? suggestion
        : `micro-batch that fits: ${suggestion.microBatch} of ${chosen.train.batch}` +
          `${suggestion.recompute ? " with train.recompute=true" : ""}, ` +
          `${formatBytes(suggestion.deviceBytes)} (--micro-batch auto takes it)`,
      speedLine(chosen, speed),
    ]);
  } finally {
    device?.close();
  }
}

function suggest(config: TrainConfig, budget: Budget): MicroBatchChoice | string {
  try {
    return chooseMicroBatch(config, budget);
  } catch (error) {
    if (error instanceof UsageError || !(error instanceof Error)) throw error;
    return error.message;
  }
}

function describe(description: RunDescription, unfused: readonly number[]): string[] {
  const { flopsPerImage: { forward, training } } = description;
  const giga = (n: number) => `${(n / 1e9).toPrecision(4)} GFLOP`;
  return [
    `parameters: ${description.parameters.toLocaleString("en")}`,
    `arithmetic per image: ${giga(forward)} forward, ${giga(training)} for a training step`,
    `state on the device: ${formatBytes(description.stateBytes)}`,
    ...description.plans.map(({ label, kernels, slotBytes }, i) =>
      `${label}: ${kernels} kernels (${unfused[i]} without fusion), ` +
      `${formatBytes(slotBytes)} of scratch memory`
    ),
    `memory on the device: ${formatBytes(description.deviceBytes)}, largest buffer ` +
    formatBytes(description.largestBufferBytes),
  ];
}

/** A few steps, where they are quick: null where they are not. */
async function measure(
  device: Device,
  config: TrainConfig,
  { flopsPerImage, stateBytes }: RunDescription,
  terminal: Terminal,
): Promise<MeasuredSpeed | null> {
  if (config.train.precision === "float16" && !device.float16) {
    terminal.warn(`${device.description} does not know float16. Nothing is measured.`);
    return null;
  }
  const { train: { batch, microBatch } } = config;
  const { groupSize: M } = objectiveOf(config);
  const affordable = MEASURED_FLOPS[device.kind] / flopsPerImage.training;
  const size = Math.min(microBatch ?? batch, Math.floor(affordable / M) * M);
  if (size < M || stateBytes > MEASURED_BYTES) return null;
  return await measureSpeed(device, config, size);
}

function speedLine({ train: { images } }: TrainConfig, speed: MeasuredSpeed | null): string {
  if (!speed) return "speed: not measured, since a step of this network is no quick trial here";
  const { imagesPerSecond, microBatch } = speed;
  return `speed: ${imagesPerSecond.toPrecision(3)} images/s (measured with passes of ` +
    `${microBatch} images), so ${formatDuration(images / imagesPerSecond)} for the run`;
}
