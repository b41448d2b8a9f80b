/**
 * What a run takes, known before it starts: parameters, arithmetic, memory, and the micro-batch that
 * fits.
 *
 * @module
 */

import { mebibytes } from "../../base/units.ts";
import { compile } from "../../compile/compile.ts";
import { planFlops } from "../../compile/flops.ts";
import { type PlanSummary, summarize } from "../../compile/print.ts";
import type { CompileOptions } from "../../compile/program.ts";
import { ImmError } from "../../base/errors.ts";
import type { Network } from "../../models/network.ts";
import { createNetwork } from "../../models/registry.ts";
import { objectiveOf } from "../../objectives/registry.ts";
import { input, type Tensor } from "../../tensor/mod.ts";
import type { TrainConfig } from "./config.ts";
import {
  allArenas,
  gradientProgram,
  passNetworks,
  trainedNetwork,
  trainingArenas,
  updateProgram,
} from "../step/programs.ts";

/** What a run would take. */
export interface RunDescription {
  /** Parameters of the network, frozen ones included. */
  readonly parameters: number;
  /** The plans of a training step. */
  readonly plans: readonly ({ readonly label: string } & PlanSummary)[];
  /** Parameters, gradients, moments and averages on the device. */
  readonly stateBytes: number;
  /** All memory on the device: the state, and what the plans need besides. */
  readonly deviceBytes: number;
  /** The largest single buffer; WebGPU devices limit it (maxStorageBufferBindingSize). */
  readonly largestBufferBytes: number;
  /**
   * Floating-point operations for one image, of products, convolutions and attention; a
   * multiplication and an addition are two. Papers' "GFLOPs" count them as one.
   */
  readonly flopsPerImage: {
    /** Of the network, once. */
    readonly forward: number;
    /** Of a training step: two passes, gradients, and what is computed again. */
    readonly training: number;
  };
}

/** Plans a run without a device. */
export function describeRun(config: TrainConfig): RunDescription {
  const { train: { batch, microBatch }, network } = config;
  const built = createNetwork(network);
  const { plans, state } = planStep(config, built);
  const summaries = plans.map((plan) => ({ label: plan.label, ...summarize(plan) }));
  const buffers = plans.flatMap((plan) => plan.buffers.map(({ length }) => length * 4));
  return {
    parameters: built.parameters.parameterCount,
    plans: summaries,
    stateBytes: state,
    deviceBytes: state + summaries.reduce((sum, each) => sum + ownBytes(each), 0),
    largestBufferBytes: Math.max(...buffers),
    flopsPerImage: {
      forward: forwardFlops(built),
      training: planFlops(plans[0]) / (microBatch ?? batch),
    },
  };
}

/** How many kernels each plan of a step would have if nothing was fused: one per operation. */
export function kernelsWithoutFusion(config: TrainConfig): number[] {
  const { plans } = planStep(config, createNetwork(config.network), { fuse: false });
  return plans.map((plan) => plan.kernels.length);
}

/** What a plan allocates for itself. */
function ownBytes({ slotBytes, inputBytes, outputBytes }: PlanSummary): number {
  return slotBytes + inputBytes + outputBytes;
}

function planStep(
  config: TrainConfig,
  built: Network = createNetwork(config.network),
  options: CompileOptions = { fuse: true },
) {
  const { train, optimizer } = config;
  const objective = objectiveOf(config);
  const networks = passNetworks(built, objective, train.precision);
  const student = trainedNetwork(networks, objective);
  const arenas = trainingArenas(built, { averages: train.ema.profiles.length, student });
  const plans = [
    compile(
      gradientProgram(networks, objective, arenas, {
        batch: train.batch,
        microBatch: train.microBatch ?? train.batch,
        recompute: train.recompute,
      }),
      options,
    ),
    compile(updateProgram(arenas, optimizer, optimizer.clip !== null), options),
  ];
  const state = allArenas(arenas).reduce((sum, arena) => sum + arena.bytes, 0);
  return { plans, state };
}

function forwardFlops(network: Network): number {
  const x = input("x", [1, ...network.sampleShape]);
  const conditioning = network.conditioningInputs(1);
  return planFlops(compile({
    label: "forward",
    inputs: [x, ...Object.values(conditioning).filter((t): t is Tensor => t !== null)],
    outputs: { F: network.forward(x, conditioning) },
    updates: [],
  }));
}

/** What a device can hold. */
export interface MemoryLimits {
  /** Bytes for everything together. */
  readonly total: number;
  /** Bytes of one buffer. */
  readonly buffer: number;
}

/** How a batch is cut into passes. */
export interface MicroBatchChoice {
  /** Images per pass: a divisor of the batch, and a multiple of M. */
  readonly microBatch: number;
  /** Whether blocks are computed again; see `StepSettings.recompute`. */
  readonly recompute: boolean;
  /** All memory on the device. */
  readonly deviceBytes: number;
}

/**
 * The largest micro-batch whose memory stays within the limits. Blocks are computed again (a fifth
 * more arithmetic) only where less than {@link ENOUGH} images would fit otherwise, and more do then.
 *
 * @throws {ImmError} when not even one group of M particles fits
 */
export function chooseMicroBatch(config: TrainConfig, limits: MemoryLimits): MicroBatchChoice {
  const { train: { batch } } = config;
  const { groupSize: M } = objectiveOf(config);
  const largest = (recompute: boolean): MicroBatchChoice | null => {
    const bytes = memoryOf(config, recompute);
    const sizes = divisors(batch).filter((size) => size % M === 0);
    // Memory grows with the size: the number of those that fit is found by halving.
    let [low, high] = [0, sizes.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (fits(bytes(sizes[middle]), limits)) low = middle + 1;
      else high = middle;
    }
    if (low === 0) return null;
    const microBatch = sizes[low - 1];
    return { microBatch, recompute, deviceBytes: bytes(microBatch).total };
  };
  const kept = largest(config.train.recompute);
  if (kept && (kept.recompute || kept.microBatch >= Math.min(batch, ENOUGH))) return kept;
  const again = config.train.recompute ? null : largest(true);
  const best = again && (!kept || again.microBatch > kept.microBatch) ? again : kept;
  if (best) return best;
  const least = memoryOf(config, true)(M);
  throw new ImmError(
    `one group of ${M} images needs ${mebibytes(least.total)} on the device and a buffer of ` +
      `${mebibytes(least.buffer)}, but there are ${mebibytes(limits.total)} and ` +
      `${mebibytes(limits.buffer)}; use a smaller network or another device`,
  );
}

/** Images that keep a device busy: beyond, a larger micro-batch hardly gains speed. */
const ENOUGH = 32;

function fits(bytes: MemoryLimits, limits: MemoryLimits): boolean {
  return bytes.total <= limits.total && bytes.buffer <= limits.buffer;
}

/** Memory by micro-batch, each planned once. */
function memoryOf(config: TrainConfig, recompute: boolean): (size: number) => MemoryLimits {
  const known = new Map<number, MemoryLimits>();
  return (size) => {
    const found = known.get(size);
    if (found) return found;
    const train = { ...config.train, microBatch: size, recompute };
    const { plans, state } = planStep({ ...config, train });
    const lengths = plans.flatMap((plan) => plan.buffers.map(({ length }) => length * 4));
    const bytes = {
      total: plans.reduce((sum, plan) => sum + ownBytes(summarize(plan)), state),
      buffer: Math.max(...lengths),
    };
    known.set(size, bytes);
    return bytes;
  };
}

/** Numbers that divide n, in ascending order. */
function divisors(n: number): number[] {
  const found = Array.from({ length: Math.floor(Math.sqrt(n)) }, (_, i) => i + 1)
    .filter((d) => n % d === 0);
  return [...new Set([...found, ...found.map((d) => n / d)])].sort((a, b) => a - b);
}
