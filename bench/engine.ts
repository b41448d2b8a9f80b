/**
 * What an engine that is compared has to offer, in a process of its own (serve.ts).
 *
 * @module
 */

import type { Timed } from "../lib/base/clock.ts";
import type { KernelTask } from "../lib/measure/tasks.ts";
import type { Job } from "../lib/measure/training.ts";
import type { TrainConfig } from "../lib/train/config/config.ts";

/** Numbers by name: inputs and outputs of a task, in the layouts of lib/measure/tasks.ts. */
export type Values = Record<string, Float32Array<ArrayBuffer>>;

/** A task that has been given to an engine, with its inputs in the engine's memory. */
export interface PreparedTask extends Timed {
  /** The outputs of the last run. */
  read(): Promise<Values>;
  /** Gives back what it holds. */
  free(): void;
}

/** An engine. */
export interface Engine {
  /** Version, device, threads; for the report. */
  readonly description: string;
  /** @throws {Unsupported} with a sentence when it lacks the operation */
  prepare(task: KernelTask, inputs: Values): Promise<PreparedTask>;
  /** Training steps or batches of samples; only this project's devices have it. */
  prepareJob?(job: JobSpec): Promise<Job>;
}

/** Work of a whole network. */
export interface JobSpec {
  readonly kind: "training" | "sampling";
  readonly config: TrainConfig;
  /** Images per run; of training the same as in the configuration. */
  readonly batch: number;
}

/** An engine cannot do a task, or cannot run on this machine. */
export class Unsupported extends Error {
  override readonly name = "Unsupported";
}

/** How an engine is opened. */
export interface EngineOptions {
  /** Threads on the processor. */
  readonly threads: number;
}

/**
 * What passes: on a quiet machine the wall's time; `cpu`, the time that the process has had of the
 * processors, all threads together, is nearly the same on a busy one. Compare it at one thread.
 */
export type ClockName = "wall" | "cpu";

/** What the parent asks of a child, one line of JSON each. */
export type Request =
  | { readonly command: "prepare"; readonly task: KernelTask; readonly folder: string }
  | { readonly command: "prepare job"; readonly job: JobSpec }
  | { readonly command: "time"; readonly seconds: number; readonly clock: ClockName }
  | { readonly command: "free" };

/** What a child answers, one line of JSON each; the first line of all describes the engine. */
export type Answer =
  | { readonly description: string }
  /** Names of the outputs, each in `FOLDER/out-NAME.f32`. */
  | { readonly outputs: readonly string[] }
  /** Of the network, so that both sides can be seen to have the same. */
  | { readonly parameters: number }
  /** Seconds per run, and the most memory that the process has had, where the system tells. */
  | { readonly samples: readonly number[]; readonly peakBytes: number | null }
  | { readonly done: true }
  /** A sentence. */
  | { readonly skipped: string };
