/**
 * The tuner: which variant of each kernel is fastest on this adapter.
 *
 * A choice never changes a result. Variants add numbers in the same order, and one is taken only if it
 * gave the same bits as the first when it was tried on this adapter. So a run is the same with and
 * without tuning, with an old cache or none, and nothing about the choices needs to be kept with it.
 *
 * @module
 */

import type { Kernel } from "../../../compile/kernels/mod.ts";
import { ChoicesFile, type Measured } from "./choices_file.ts";
import type { Dispatch, Target, Variant } from "../dispatch.ts";
import { classOf, costOf, generate, variantsOf } from "../kernels.ts";
import type { PipelineCache } from "../pipelines.ts";
import { tryVariants } from "./trial.ts";

/**
 * When variants are measured:
 *
 * - `off`: never; every kernel takes the best guess, and the cache is not read.
 * - `cached`: never, but what was measured before counts.
 * - `first-use`: when a plan has kernels of a class that was not measured before.
 * - `again`: for every class once, whatever was measured before.
 */
export type Tuning = "off" | "cached" | "first-use" | "again";

/** All values of {@link Tuning}. */
export const TUNINGS: readonly Tuning[] = ["off", "cached", "first-use", "again"];

/** Seconds that tuning may take for one plan; what is left over waits for the next time. */
const SECONDS_PER_PLAN = { off: 0, cached: 0, "first-use": 10, again: 120 };

/** Kernels of which starting is most of the time are not worth measuring (see `costOf`). */
const LEAST_COST = 1 << 18;

/** A variant must be better than the first by so much: times are not exact. */
const ADVANTAGE = 0.92;

/** Classes between two writes of the file, so that an interrupted run keeps most of its work. */
const SAVE_EVERY = 8;

/** What has been tuned. */
export interface TuningProgress {
  /** Classes of this plan that are done. */
  readonly done: number;
  /** All that are to be measured for it. */
  readonly total: number;
  /** The class that was measured last. */
  readonly kernelClass: string;
  /** The variant that was chosen. */
  readonly choice: string;
  /** How many times as fast as the best guess it is. */
  readonly speedup: number;
}

/** Options of the tuner. */
export interface TunerOptions {
  readonly tuning: Tuning;
  /** Folder of the cache; null: none. Default: that of the user. */
  readonly folder?: string | null;
  /** Default: 10 at first use and 120 again. */
  readonly secondsPerPlan?: number;
  readonly onProgress?: (progress: TuningProgress) => void;
}

/** The choices for one adapter. */
export class Tuner {
  readonly #gpu: GPUDevice;
  readonly #pipelines: PipelineCache;
  readonly #measured: Measured;
  readonly #options: TunerOptions;
  readonly #seconds: number;
  /** Opened when it is needed. */
  #file: ChoicesFile | null = null;
  /** Classes that were measured by this object. */
  readonly #fresh = new Set<string>();

  constructor(
    gpu: GPUDevice,
    pipelines: PipelineCache,
    measured: Measured,
    options: TunerOptions,
  ) {
    this.#gpu = gpu;
    this.#pipelines = pipelines;
    this.#measured = measured;
    this.#options = options;
    this.#seconds = options.secondsPerPlan ?? SECONDS_PER_PLAN[options.tuning];
  }

  /** The dispatches of each kernel, by the variants of choice; measures what is to be measured. */
  async generate(kernels: readonly Kernel[], target: Target): Promise<Dispatch[][]> {
    const { tuning } = this.#options;
    if (tuning === "off") return kernels.map((kernel) => generate(kernel, target));
    const file = this.#file ??= await ChoicesFile.open(this.#measured, this.#options.folder);
    if (tuning !== "cached") await this.#tune(kernels, target, file);
    return kernels.map((kernel) => {
      const name = file.get(classOf(kernel, target));
      // A name that is not on this kernel's menu, from a file of other sources, is no choice.
      const variant = name && variantsOf(kernel, target).find((v) => v.name === name);
      return generate(kernel, variant ? { ...target, variant } : target);
    });
  }

  async #tune(kernels: readonly Kernel[], target: Target, file: ChoicesFile): Promise<void> {
    const end = performance.now() + 1000 * this.#seconds;
    const classes = new Map<string, Kernel>();
    const costly = kernels.filter((kernel) => costOf(kernel) >= LEAST_COST);
    for (const kernel of costly.toSorted((a, b) => costOf(b) - costOf(a))) {
      const kernelClass = classOf(kernel, target);
      const known = this.#options.tuning === "again"
        ? this.#fresh.has(kernelClass)
        : file.get(kernelClass) !== undefined;
      if (!known && !classes.has(kernelClass) && variantsOf(kernel, target).length > 1) {
        classes.set(kernelClass, kernel);
      }
    }
    let done = 0;
    for (const [kernelClass, kernel] of classes) {
      if (performance.now() >= end) break;
      const { variant, speedup } = await this.#fastest(kernel, target);
      file.set(kernelClass, variant.name);
      this.#fresh.add(kernelClass);
      if (++done % SAVE_EVERY === 0) await file.save();
      this.#options.onProgress?.({
        done,
        total: classes.size,
        kernelClass,
        choice: variant.name,
        speedup,
      });
    }
    if (done % SAVE_EVERY > 0) await file.save();
  }

  async #fastest(
    kernel: Kernel,
    target: Target,
  ): Promise<{ variant: Variant; speedup: number }> {
    const texts = new Set<string>();
    const candidates = variantsOf(kernel, target)
      .map((variant) => ({ variant, dispatches: generate(kernel, { ...target, variant }) }))
      .filter(({ dispatches }) => {
        // Several names may mean the same where a kernel is small.
        const text = dispatches.map((d) => `${d.workgroups} ${d.wgsl}`).join("\n");
        return texts.size < texts.add(text).size;
      });
    const first = { variant: candidates[0].variant, speedup: 1 };
    if (candidates.length === 1) return first;
    const results = await tryVariants(
      this.#gpu,
      this.#pipelines,
      candidates.map((c) => c.dispatches),
      // The timestamps of lavapipe are often equal.
      this.#gpu.features.has("timestamp-query") && !target.software ? "stamps" : "clock",
    );
    if (results.length === 0) return first;
    const best = results.reduce((a, b) => b.time < a.time ? b : a);
    if (best.time > ADVANTAGE * results[0].time) return first;
    const speedup = results[0].time / best.time;
    return { variant: candidates[best.index].variant, speedup };
  }
}
