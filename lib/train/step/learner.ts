/**
 * A network being trained: its state on the device, and the step that changes it. What the data
 * are and when things are saved is the trainer's business (trainer.ts).
 *
 * @module
 */

import { compile } from "../../compile/compile.ts";
import { summarize } from "../../compile/print.ts";
import { ArenaBuffer, arenaMap } from "../../device/arena_buffer.ts";
import type { Device, Executable } from "../../device/device.ts";
import { requireFloat16 } from "../../device/float16.ts";
import { FormatError } from "../../base/errors.ts";
import type { Network } from "../../models/network.ts";
import type { Precision } from "../../models/precision.ts";
import type { HostTensor, StateDict } from "../../nn/parameters.ts";
import type { Objective, ObjectiveSettings, StepDraw } from "../../objectives/objective.ts";
import type { Key } from "../../random/threefry.ts";
import { sizeOf } from "../../tensor/mod.ts";
import { type LayerNorms, NORMS, normsByGroup, normsProgram } from "./norms.ts";
import { type OptimizerConfig, updateNumbers } from "./optimizer.ts";
import {
  gradientProgram,
  passNetworks,
  roundingProgram,
  STEP_SUMS,
  TIME_BINS,
  trainedNetwork,
  type TrainingArenas,
  trainingArenas,
  updateProgram,
} from "./programs.ts";
import { INITIAL_SCALING, numbersByStep, SCALING_STATE, type ScalingState } from "./scaling.ts";

/** How a learner is set up. */
export interface LearnerConfig {
  /** What is trained for. */
  readonly objective: Objective;
  /** The optimiser. */
  readonly optimizer: OptimizerConfig;
  /** Samples per step. */
  readonly batch: number;
  /** Samples per pass through the network; divides `batch`. */
  readonly microBatch: number;
  /** Whether steps are given a `maxNorm`. */
  readonly clip: boolean;
  /** Whether steps are given their noise instead of a key for it. */
  readonly givenNoise?: boolean;
  /** More averages of the weights; steps are given a weight for each. Default 0. */
  readonly averages?: number;
  /** Whether the network's blocks are computed again in the backward pass, to save memory. */
  readonly recompute?: boolean;
  /**
   * How the student's weights and activations are stored. Default `float32`; with `float16` the loss
   * is scaled, and everything else stays float32: the weights that are trained, their moments and
   * averages, the target pass and the loss.
   */
  readonly precision?: Precision;
  /** Whether what the objective lets tests inspect can be read back. */
  readonly inspect?: boolean;
}

/** One step's data, for the whole batch. */
export interface StepBatch {
  /** What the objective drew. */
  readonly draw: StepDraw;
  /** Key of the noise n; see `trainingKey`. */
  readonly noiseKey: Key;
  /** Key of the dropout masks, which all passes share. */
  readonly dropoutKey: Key;
  /** [batch, ...sample], already times sigma_d; with `givenNoise`. */
  readonly noise?: Float32Array;
}

/** Rates of one step. */
export interface StepRates {
  /** Learning rate. */
  readonly lr: number;
  /** Decay of the average of the weights. */
  readonly emaDecay: number;
  /** Weight of the new weights in each of the other averages, with `averages`. */
  readonly averageWeights?: readonly number[];
  /** Largest norm of the gradient, with `clip`. */
  readonly maxNorm?: number;
}

/** What is summed over the steps since the last reset. */
export interface StepSums {
  /** Of the loss. */
  readonly loss: number;
  /** Of the global norm of the gradient, before clipping. */
  readonly gradientNorm: number;
  /** Of the losses of groups by their t, {@link TIME_BINS} numbers; all 0 where left out. */
  readonly lossBins?: readonly number[];
  /** With float16: steps that were skipped. They are in `loss`, but not in `gradientNorm`. */
  readonly skipped?: number;
}

/** Parts of {@link LearnerState}: weights, their average, and the optimiser's moments. */
export type StatePart = "parameters" | "ema" | "m" | "v";

/** Arenas that there are one of each. */
type ArenaName = Exclude<keyof TrainingArenas, "averages" | "half" | "scaling">;

/** Arenas that hold one value per parameter and belong to the state of a run. */
const STATE: readonly StatePart[] = ["parameters", "ema", "m", "v"];

/** Everything that a resumed run needs of a learner, by official names. */
export interface LearnerState {
  /** Steps taken. */
  readonly step: number;
  /** Weights, their average, and the optimiser's moments. */
  readonly parts: Readonly<Record<StatePart, StateDict>>;
  /** The other averages of the weights. */
  readonly averages: readonly StateDict[];
  /** Sums since the last reset. */
  readonly sums: StepSums;
  /** With float16: the scale of the loss. */
  readonly scaling?: ScalingState;
}

/** What a student in float16 needs besides. */
interface HalfParts {
  readonly half: ArenaBuffer;
  readonly scaling: ArenaBuffer;
  /** Fills `half` from the weights. */
  readonly rounding: Executable;
}

/**
 * A network on a device with all that its training needs. A `TrainingRun` adds data, reports and
 * checkpoints.
 *
 * @example A few steps of a small network that learns one point.
 * ```ts
 * import { createNetwork, openDevice } from "@imm/imm";
 * import { createObjective, parseObjective } from "@imm/imm/objectives";
 * import { trainingKey } from "@imm/imm/random";
 * import { Learner } from "@imm/imm/train";
 * import assert from "node:assert/strict";
 *
 * const device = await openDevice();
 * const network = createNetwork({ type: "mlp", hidden: 16, depth: 1 });
 * const objective = createObjective(parseObjective({ imm: { M: 4 } }));
 * const source = {
 *   batch: (_position: number, count: number) => ({
 *     images: new Float32Array(count * 2).fill(0.5),
 *     labels: new Int32Array(count),
 *   }),
 * };
 * const learner = await Learner.create(device, network, {
 *   objective,
 *   optimizer: { name: "adam", lr: 1e-3, betas: [0.9, 0.999], eps: 1e-8, weightDecay: 0 },
 *   batch: 16,
 *   microBatch: 16,
 *   clip: false,
 * });
 * learner.initialize(network.parameters.initial(0));
 * for (let step = 0; step < 3; step++) {
 *   const key = (purpose: Parameters<typeof trainingKey>[1]) => trainingKey(0, purpose, step);
 *   const draw = await objective.draw({
 *     ...{ source, position: step * 16, batch: 16, step, steps: 3, hasLabels: false, key },
 *   });
 *   const keys = { noiseKey: key("noise"), dropoutKey: key("dropout") };
 *   learner.run({ draw, ...keys }, { lr: 1e-3, emaDecay: 0.99 });
 * }
 * const { loss } = await learner.sums(); // over the three steps
 * assert.ok(Number.isFinite(loss));
 * learner.free();
 * device.close();
 * ```
 */
export class Learner {
  /** Steps taken. */
  step = 0;
  readonly #buffers: Readonly<Record<ArenaName, ArenaBuffer>>;
  readonly #averages: readonly ArenaBuffer[];
  #numbers: Float32Array<ArrayBuffer> | null = null;
  /** With float16: steps skipped as of the last look at the device. */
  #skipped = 0;

  private constructor(
    private readonly device: Device,
    readonly network: Network,
    readonly config: LearnerConfig,
    buffers: Record<ArenaName, ArenaBuffer>,
    averages: readonly ArenaBuffer[],
    private readonly gradients: Executable,
    private readonly update: Executable,
    private readonly norms: Executable,
    private readonly float16: HalfParts | null,
  ) {
    this.#buffers = buffers;
    this.#averages = averages;
  }

  /**
   * Plans both programs and allocates everything; parameters are zero until loaded.
   *
   * @throws {DeviceError} when the device cannot hold it, or does not know the precision
   */
  static async create(device: Device, network: Network, config: LearnerConfig): Promise<Learner> {
    const { objective, optimizer, clip, precision } = config;
    if (precision === "float16") requireFloat16(device);
    const networks = passNetworks(network, objective, precision);
    const student = trainedNetwork(networks, objective);
    const arenas = trainingArenas(network, { averages: config.averages, student });
    const gradientPlan = compile(gradientProgram(networks, objective, arenas, config));
    const updatePlan = compile(updateProgram(arenas, optimizer, clip));
    const { averages: more, half, scaling, ...named } = arenas;
    const buffers = Object.fromEntries(
      Object.entries(named).map(([name, arena]) => [name, new ArenaBuffer(device, arena)]),
    ) as Record<ArenaName, ArenaBuffer>;
    const averages = more.map((arena) => new ArenaBuffer(device, arena));
    const extra = half && scaling
      ? { half: new ArenaBuffer(device, half), scaling: new ArenaBuffer(device, scaling) }
      : null;
    const memory = arenaMap(
      ...Object.values(buffers),
      ...averages,
      ...(extra ? [extra.half, extra.scaling] : []),
    );
    for (const [pass, { parameters }] of networks) {
      memory.set(parameters.frozen, buffers.frozen.buffer);
      // The arenas of a network with averaged weights are the average's memory.
      const { weights } = objective.passes[pass];
      if (weights === "ema") memory.set(parameters.arena, buffers.ema.buffer);
    }
    const normsPlan = compile(normsProgram(arenas));
    const [gradients, update, norms] = [
      await device.prepare(gradientPlan, memory),
      await device.prepare(updatePlan, memory),
      await device.prepare(normsPlan, memory),
    ];
    const float16 = extra && {
      ...extra,
      rounding: await device.prepare(
        compile(roundingProgram(arenas as Required<TrainingArenas>)),
        memory,
      ),
    };
    return new Learner(
      device,
      network,
      config,
      buffers,
      averages,
      gradients,
      update,
      norms,
      float16,
    );
  }

  /** Bytes on the device: of the state alone, and of all that a step needs. */
  get memory(): { readonly stateBytes: number; readonly deviceBytes: number } {
    const { half, scaling } = this.float16 ?? {};
    const buffers = [...Object.values(this.#buffers), ...this.#averages, half, scaling];
    const stateBytes = buffers.reduce((sum, buffer) => sum + (buffer?.arena.bytes ?? 0), 0);
    const own = [this.gradients.plan, this.update.plan].map(summarize)
      .reduce((sum, plan) => sum + plan.slotBytes + plan.inputBytes + plan.outputBytes, 0);
    return { stateBytes, deviceBytes: stateBytes + own };
  }

  /** The averaged weights' memory, for sampling while training. */
  get averaged(): { readonly parameters: ArenaBuffer; readonly frozen: ArenaBuffer } {
    return { parameters: this.#buffers.ema, frozen: this.#buffers.frozen };
  }

  /** Starts from these weights: the average equals them, moments are zero. */
  initialize(weights: ReadonlyMap<string, HostTensor>, source?: string): void {
    const { trainable, frozen } = this.network.parameters.adopt(weights, source);
    this.#buffers.parameters.writeAll(trainable);
    for (const average of [this.#buffers.ema, ...this.#averages]) average.writeAll(trainable);
    this.#buffers.frozen.writeAll(frozen);
    const zeros = new Float32Array(trainable.length);
    this.#buffers.m.writeAll(zeros);
    this.#buffers.v.writeAll(zeros);
    this.step = 0;
    this.resetSums();
    this.#beginHalf(INITIAL_SCALING);
  }

  /** Enqueues one step. */
  run(batch: StepBatch, rates: StepRates): void {
    const { microBatch } = this.config;
    for (let first = 0; first < this.config.batch; first += microBatch) {
      this.gradients.run(this.#microBatch(batch, first));
    }
    this.step++;
    const { optimizer } = this.config;
    const { lr, emaDecay } = rates;
    if (!this.float16) this.#numbers = updateNumbers(optimizer, this.step, lr, emaDecay);
    this.update.run({
      ...(this.#numbers
        ? { numbers: this.#numbers }
        : numbersByStep(optimizer, this.step, this.#skipped, lr, emaDecay)),
      ...(this.#averages.length > 0
        ? { averageWeights: Float32Array.from(rates.averageWeights!) }
        : {}),
      ...(this.config.clip ? { maxNorm: Float32Array.of(rates.maxNorm!) } : {}),
    });
  }

  /** Norms by group of layers, of the newest step. At least one step must have been taken. */
  async layerNorms(): Promise<Record<string, LayerNorms>> {
    this.norms.run(this.#numbers ? { numbers: this.#numbers } : {});
    return normsByGroup(this.network.parameters.arena, await this.norms.read(NORMS));
  }

  /** Outputs of the last micro-batch; with `inspect` also what the objective shows. */
  async inspect(names: readonly string[]): Promise<Record<string, Float32Array>> {
    return await this.gradients.read(names) as Record<string, Float32Array>;
  }

  /** Norm of the last gradient, before clipping; with float16 not finite where it overflowed. */
  async gradientNorm(): Promise<number> {
    return (await this.update.read(["gradientNorm"])).gradientNorm[0];
  }

  /** Reads what was summed up since the last reset. */
  async sums(): Promise<StepSums> {
    const { arena } = this.#buffers.sums;
    const values = await this.#buffers.sums.readAll();
    const at = (name: keyof StepSums) => arena.entries.get(name)!.offset;
    const lossBins = [...values.subarray(at("lossBins"), at("lossBins") + TIME_BINS)];
    return {
      loss: values[at("loss")],
      gradientNorm: values[at("gradientNorm")],
      lossBins,
      ...(this.float16 ? { skipped: values[at("skipped")] } : {}),
    };
  }

  /** With float16, the state of loss scaling; else null. */
  async scaling(): Promise<ScalingState | null> {
    if (!this.float16) return null;
    const { scaling } = this.float16;
    const values = await scaling.readAll();
    const state = Object.fromEntries(
      SCALING_STATE.map((name) => [name, values[scaling.arena.entries.get(name)!.offset]]),
    ) as Record<keyof ScalingState, number>;
    this.#skipped = state.skipped;
    return state;
  }

  /** Starts the sums again, from zero or from those of a saved state. */
  resetSums(sums: StepSums = { loss: 0, gradientNorm: 0 }): void {
    for (const name of STEP_SUMS) this.#buffers.sums.write(name, Float32Array.of(sums[name]));
    const { lossBins = new Array(TIME_BINS).fill(0) } = sums;
    this.#buffers.sums.write("lossBins", Float32Array.from(lossBins));
    if (this.float16) this.#buffers.sums.write("skipped", Float32Array.of(sums.skipped ?? 0));
  }

  /** Rounds the weights that the student reads, and sets the scale of the loss. */
  #beginHalf(state: ScalingState): void {
    if (!this.float16) return;
    const { rounding, scaling } = this.float16;
    for (const name of SCALING_STATE) scaling.write(name, Float32Array.of(state[name]));
    this.#skipped = state.skipped;
    rounding.run({});
  }

  /** Gradients of the last batch by official name and layout. */
  async readGradients(): Promise<StateDict> {
    const gradients = await this.#buffers.gradients.readAll();
    if (this.float16) {
      const [inverse] = await this.float16.scaling.read("inverse");
      gradients.forEach((value, i) => gradients[i] = value * inverse);
    }
    return this.#stateDict(gradients, new Float32Array());
  }

  /** The averaged weights as a state dict. */
  async averagedWeights(): Promise<StateDict> {
    const frozen = await this.#buffers.frozen.readAll();
    return this.network.parameters.stateDict({
      trainable: await this.#buffers.ema.readAll(),
      frozen,
    });
  }

  /** Reads the state of the run. */
  async save(): Promise<LearnerState> {
    const frozen = await this.#buffers.frozen.readAll();
    const parts = {} as Record<StatePart, StateDict>;
    for (const part of STATE) {
      parts[part] = this.#stateDict(
        await this.#buffers[part].readAll(),
        part === "ema" ? frozen : new Float32Array(),
      );
    }
    const averages: StateDict[] = [];
    for (const buffer of this.#averages) {
      averages.push(this.#stateDict(await buffer.readAll(), frozen));
    }
    const scaling = await this.scaling();
    const sums = await this.sums();
    return { step: this.step, parts, averages, sums, ...(scaling ? { scaling } : {}) };
  }

  /** Continues from a saved state. @throws {FormatError} when it is of another network */
  restore(state: LearnerState, source: string): void {
    const { parameters } = this.network;
    const { frozen } = parameters.adopt(state.parts.ema, source);
    this.#buffers.frozen.writeAll(frozen);
    for (const part of STATE) {
      const missing = [...parameters.arena.entries.keys()].find((n) => !state.parts[part].has(n));
      if (missing) {
        throw new FormatError(`${source}: the part ${part} of the state lacks ${missing}`);
      }
      // Moments have no frozen parameters and no buffers: the average lends them its own.
      const complete = new Map([...state.parts.ema, ...state.parts[part]]);
      this.#buffers[part].writeAll(parameters.adopt(complete, source).trainable);
    }
    if (state.averages.length !== this.#averages.length) {
      throw new FormatError(
        `${source}: expected ${this.#averages.length} averages beside the first, found ` +
          `${state.averages.length}; use the configuration that the file was made with`,
      );
    }
    for (const [i, average] of state.averages.entries()) {
      this.#averages[i].writeAll(parameters.adopt(average, source).trainable);
    }
    this.step = state.step;
    this.resetSums(state.sums);
    this.#beginHalf(state.scaling ?? INITIAL_SCALING);
  }

  /** Waits for the device. @throws {DeviceError} when something went wrong on it */
  finish(): Promise<void> {
    return this.device.finish();
  }

  /** Gives back what it holds on the device. */
  free(): void {
    this.gradients.destroy();
    this.update.destroy();
    this.norms.destroy();
    for (const buffer of [...Object.values(this.#buffers), ...this.#averages]) buffer.free();
    if (!this.float16) return;
    const { half, scaling, rounding } = this.float16;
    rounding.destroy();
    half.free();
    scaling.free();
  }

  /** Trainable entries alone unless frozen ones are given. */
  #stateDict(trainable: Float32Array, frozen: Float32Array): StateDict {
    const { parameters } = this.network;
    if (frozen.length > 0 || parameters.frozen.length === 0) {
      return parameters.stateDict({ trainable, frozen });
    }
    const all = parameters.stateDict({
      trainable,
      frozen: new Float32Array(parameters.frozen.length),
    });
    for (const name of all.keys()) if (!parameters.arena.entries.has(name)) all.delete(name);
    return all;
  }

  /** Inputs of the gradient program for the samples from `first` on. */
  #microBatch(batch: StepBatch, first: number): Record<string, Float32Array | Int32Array> {
    const { objective, microBatch, givenNoise } = this.config;
    const { groupSize, config, passes } = objective;
    const { draw } = batch;
    const size = sizeOf(this.network.sampleShape);
    const end = first + microBatch;
    const { augmentDim } = this.network.conditioning;
    const augment = draw.augment?.subarray(first * augmentDim, end * augmentDim);
    const key = ([k0, k1]: Key) => Int32Array.of(k0, k1, first);
    return {
      x: draw.x.subarray(first * size, end * size),
      ...draw.values(first, end),
      timeBins: oneHotBins(config, draw.times.subarray(first / groupSize, end / groupSize)),
      dropoutKey: key(batch.dropoutKey),
      ...(givenNoise
        ? { noise: batch.noise!.subarray(first * size, end * size) }
        : { noiseKey: key(batch.noiseKey) }),
      ...(microBatch < this.config.batch ? { keep: Float32Array.of(first > 0 ? 1 : 0) } : {}),
      ...Object.assign(
        {},
        ...Object.keys(passes).map((pass) =>
          this.network.conditioningValues(
            { ...draw.conditioning(pass, first, end), augment },
            `${pass}.`,
          )
        ),
      ),
    };
  }
}

/** Which of the {@link TIME_BINS} parts of [eps, T] a time lies in. */
export function timeBin({ eps, T }: Pick<ObjectiveSettings, "eps" | "T">, t: number): number {
  return Math.min(TIME_BINS - 1, Math.floor((t - eps) / (T - eps) * TIME_BINS));
}

/** [TIME_BINS, groups], row-major. */
function oneHotBins(config: ObjectiveSettings, t: Float64Array): Float32Array<ArrayBuffer> {
  const rows = new Float32Array(TIME_BINS * t.length);
  t.forEach((time, group) => rows[timeBin(config, time) * t.length + group] = 1);
  return rows;
}
