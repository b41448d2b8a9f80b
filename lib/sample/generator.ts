/**
 * From seeds to samples on a device: a network compiled once for a batch, driven by the samplers of
 * lib/imm/sampler.ts.
 *
 * @module
 */

import { compile } from "../compile/compile.ts";
import type { Program } from "../compile/program.ts";
import { ArenaBuffer, arenaMap } from "../device/arena_buffer.ts";
import type { Device, Executable } from "../device/device.ts";
import { requireFloat16 } from "../device/float16.ts";
import { ImmError } from "../base/errors.ts";
import { guide } from "../imm/guidance.ts";
import type { Model, ModelFile } from "../models/model_file.ts";
import type { Network } from "../models/network.ts";
import type { Objective } from "../objectives/objective.ts";
import { objectiveOf, type ObjectiveSections } from "../objectives/registry.ts";
import {
  type Denoise,
  latents,
  restartNoise,
  sample,
  type SamplerStep,
  stepCount,
} from "../objectives/sampler.ts";
import { atPrecision, type Precision } from "../models/precision.ts";
import { createNetwork } from "../models/registry.ts";
import { input, sizeOf, type Tensor, withStorage } from "../tensor/mod.ts";
import { requireFinite } from "./finite.ts";

/** A network whose weights are on the device already: their memory is shared, never freed here. */
export interface SharedModel {
  /** The network. */
  readonly network: Network;
  /** What it was trained for, which is how it must be sampled. */
  readonly objective: Objective;
  /** Memory with the layout of its trainable parameters. */
  readonly parameters: ArenaBuffer;
  /** Memory with the layout of its frozen parameters. */
  readonly frozen: ArenaBuffer;
}

/** A model with its weights, in memory or in an open file. */
type Weighted = ObjectiveSections & Pick<Model | ModelFile, "network" | "weights">;

/** What to generate. Arrays hold one entry per image, whatever the batch. */
export interface GenerateOptions {
  /** Each image follows from its own seed: latents, and the noise of restarts. */
  readonly seeds: readonly number[];
  /** Class of each image, null for none. Left out: no image has one. */
  readonly labels?: readonly (number | null)[];
  /** From one of the objective's samplers. */
  readonly steps: readonly SamplerStep[];
  /**
   * Weight of classifier-free guidance, for all steps or one for each (default 1: the conditional
   * network alone, at half the price).
   */
  readonly guidance?: number | readonly number[];
  /** [images, ...sample], already times sigma_d, in place of those that the seeds give. */
  readonly latents?: Float32Array;
  /** Noise of each restart, [images, ...sample] and already times sigma_d, in place of the seeds'. */
  readonly noise?: readonly Float32Array[];
  /**
   * Called after every step of every batch with the number of the step, the state of the images from
   * number `first` on, and that number. The array is live: copy what is to be kept.
   */
  readonly onStep?: (step: number, x: Float64Array, first: number) => void;
  /** Stops between steps; the promise then rejects with the signal's reason. */
  readonly signal?: AbortSignal;
}

/** The samples of one batch. */
export interface GeneratedBatch {
  /** Number of the first image. */
  readonly first: number;
  /** Number of images. */
  readonly count: number;
  /** [count, ...sample], channels last; pixels run from -1 to 1. */
  readonly samples: Float32Array;
}

/**
 * A network ready to sample in batches of one size; the last batch of a run is filled up. An image
 * is the same, bit for bit on one device, in any batch of any size.
 *
 * @example Points from an untrained model in memory; `loadModel` reads a trained one.
 * ```ts
 * import { createNetwork, Generator, openDevice, uniformSteps } from "@imm/imm";
 * import { immConfig } from "@imm/imm/imm";
 * import assert from "node:assert/strict";
 *
 * const network = createNetwork({ type: "mlp", hidden: 16, depth: 1 });
 * const model = {
 *   network: network.config,
 *   imm: immConfig(),
 *   weights: network.parameters.initial(0),
 * };
 * const device = await openDevice();
 * const generator = await Generator.create(device, model, { batch: 2 });
 * const steps = uniformSteps(generator.objective, 2);
 * const samples = await generator.generate({ seeds: [5, 6, 7], steps }); // [3, 2]
 * assert.equal(samples.length, 6);
 * assert.deepEqual(await generator.generate({ seeds: [7], steps }), samples.slice(4));
 * generator.free();
 * device.close();
 * ```
 */
export class Generator {
  private constructor(
    readonly network: Network,
    readonly objective: Objective,
    /** Images per run of the network. */
    readonly batch: number,
    private readonly executable: Executable,
    private readonly owned: readonly ArenaBuffer[],
  ) {}

  /**
   * Compiles the network for batches of `batch` and uploads the weights of a model, one after the
   * other: those of an open file are never in memory together. Those of a shared model may change
   * between calls of {@link generate}; they are stored as their network says, those of a model in
   * `precision` (default float32).
   *
   * @throws {FormatError} when the weights are not those of the model's network
   * @throws {DeviceError} when the device cannot hold it, or does not know the precision
   */
  static async create(
    device: Device,
    model: Weighted | SharedModel,
    { batch, source, precision = "float32" }: {
      batch: number;
      source?: string;
      precision?: Precision;
    },
  ): Promise<Generator> {
    if (!Number.isSafeInteger(batch) || batch < 1) {
      throw new ImmError(`a batch must be a whole number of images, at least 1, but is ${batch}`);
    }
    if (!("weights" in model)) {
      const executable = await prepare(device, model, batch);
      return new Generator(model.network, model.objective, batch, executable, []);
    }
    if (precision === "float16") requireFloat16(device);
    const network = atPrecision(precision, () => createNetwork(model.network));
    const owned: ArenaBuffer[] = [];
    try {
      owned.push(new ArenaBuffer(device, network.parameters.arena));
      owned.push(new ArenaBuffer(device, network.parameters.frozen));
      const [trainable, frozen] = owned;
      await network.parameters.adoptEach(
        model.weights,
        (spec, values) => (spec.trainable ? trainable : frozen).write(spec.name, values),
        source,
      );
      const objective = objectiveOf(model);
      const shared = { network, objective, parameters: owned[0], frozen: owned[1] };
      const executable = await prepare(device, shared, batch);
      return new Generator(network, objective, batch, executable, owned);
    } catch (error) {
      for (const buffer of owned) buffer.free();
      throw error;
    }
  }

  /**
   * All samples, [images, ...sample].
   *
   * @throws {ImmError} when the options do not fit together
   * @throws {NotFiniteError} when samples hold NaN or infinity
   */
  async generate(options: GenerateOptions): Promise<Float32Array> {
    const size = sizeOf(this.network.sampleShape);
    const all = new Float32Array(options.seeds.length * size);
    for await (const { first, samples } of this.batches(options)) all.set(samples, first * size);
    return all;
  }

  /**
   * The same batch by batch, for runs whose samples do not fit in memory.
   *
   * @throws {NotFiniteError} when samples hold NaN or infinity
   */
  async *batches(options: GenerateOptions): AsyncGenerator<GeneratedBatch> {
    const { seeds, steps, onStep, signal } = options;
    const guidance = this.#checked(options);
    const size = sizeOf(this.network.sampleShape);
    for (let first = 0; first < seeds.length; first += this.batch) {
      const count = Math.min(this.batch, seeds.length - first);
      const own = seeds.slice(first, first + count);
      const filled = (values: Float32Array) => {
        const whole = new Float32Array(this.batch * size);
        whole.set(values);
        return whole;
      };
      const given = (values: Float32Array) => values.subarray(first * size, (first + count) * size);
      const { sigmaData } = this.objective.config;
      const start = options.latents ? given(options.latents) : latents(own, size, sigmaData);
      const noise = (restart: number) =>
        options.noise ? given(options.noise[restart]) : restartNoise(own, size, sigmaData, restart);
      const x = await sample(steps, filled(start), this.#denoise(options, guidance, first), {
        noise: (restart) => filled(noise(restart)),
        onStep: onStep && ((step, x) => onStep(step, x.subarray(0, count * size), first)),
        signal,
      });
      const samples = Float32Array.from(x.subarray(0, count * size));
      requireFinite(samples, size, {
        what: "samples made at once",
        name: (n) => `that of seed ${seeds[first + n]}`,
        reason: "the weights have exploded in training, or are damaged; take an earlier checkpoint",
      });
      yield { first, count, samples };
    }
  }

  /** Gives back what it holds on the device; shared weights stay. */
  free(): void {
    this.executable.destroy();
    for (const buffer of this.owned) buffer.free();
  }

  /** The network's raw output for the images of a batch, guided. */
  #denoise(
    { labels }: GenerateOptions,
    guidance: readonly number[],
    first: number,
  ): Denoise {
    const none = new Array<null>(this.batch).fill(null);
    const own = none.map((_, i) => labels?.[first + i] ?? null);
    let step = 0;
    return async (xIn, { cNoiseT, cNoiseS, inner }) => {
      const w = guidance[step];
      if (!inner) step++;
      const inputs = this.network.conditioningValues({
        cNoiseT: none.map(() => cNoiseT),
        cNoiseS: none.map(() => cNoiseS),
        labels: w === 0 ? none : own,
      });
      const F = await this.#run({ x: xIn, ...inputs });
      if (w === 1 || w === 0) return F;
      // The other inputs are on the device already, and stay as they are.
      const unconditional = await this.#run({ labels: this.network.labelInput(none)! });
      return guide(unconditional, F, w);
    };
  }

  async #run(inputs: Parameters<Executable["run"]>[0]): Promise<Float32Array> {
    this.executable.run(inputs);
    const { F } = await this.executable.read(["F"]);
    return F as Float32Array;
  }

  /** Checks the options and returns the guidance of each step. */
  #checked({ seeds, labels, steps, guidance = 1, ...given }: GenerateOptions): number[] {
    const images = seeds.length;
    const expect = (holds: boolean, what: string) => {
      if (!holds) {
        throw new ImmError(`to generate ${images} images in ${steps.length} steps, ${what}`);
      }
    };
    expect(!labels || labels.length === images, `expected as many labels, not ${labels?.length}`);
    const elements = images * sizeOf(this.network.sampleShape);
    const latents = given.latents?.length ?? elements;
    expect(latents === elements, `expected ${elements} numbers as latents, not ${latents}`);
    const restarts = steps.filter((step) => step.renoise).length;
    expect(
      !given.noise ||
        (given.noise.length >= restarts && given.noise.every((n) => n.length === elements)),
      `expected ${restarts} arrays of ${elements} numbers as noise`,
    );
    const count = stepCount(steps);
    const perStep = typeof guidance === "number" ? new Array(count).fill(guidance) : [...guidance];
    expect(
      perStep.length === count && perStep.every(Number.isFinite),
      `expected one number or ${count} as guidance, not ${guidance}`,
    );
    expect(
      this.network.conditioning.labels !== null || perStep.every((w) => w === 1),
      `expected no guidance, since the network has no classes`,
    );
    return perStep;
  }
}

/**
 * The network alone: from `x` [batch, ...sample] and the inputs that condition it to the raw output
 * `F` of the same shape. Activations are stored as the network's parameters are.
 */
export function samplingProgram(network: Network, batch: number): Program {
  const x = input("x", [batch, ...network.sampleShape]);
  const conditioning = network.conditioningInputs(batch);
  const { storage } = network.parameters.arena;
  return {
    label: "sampling",
    inputs: [x, ...Object.values(conditioning).filter((t): t is Tensor => t !== null)],
    outputs: { F: withStorage(storage, () => network.forward(x, conditioning)) },
    updates: [],
    batchInvariant: true,
  };
}

async function prepare(
  device: Device,
  { network, parameters, frozen }: SharedModel,
  batch: number,
): Promise<Executable> {
  const plan = compile(samplingProgram(network, batch));
  const arenas = arenaMap(parameters, frozen);
  // The memory may belong to arenas of the same layout, such as that of the averaged weights.
  arenas.set(network.parameters.arena, parameters.buffer);
  arenas.set(network.parameters.frozen, frozen.buffer);
  return await device.prepare(plan, arenas);
}
