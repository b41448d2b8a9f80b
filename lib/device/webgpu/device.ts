/**
 * The WebGPU device.
 *
 * Errors on the device are reported late and asynchronously. They are kept and thrown by the next
 * call that enqueues or waits, so that none is lost.
 *
 * @module
 */

import type { Plan } from "../../compile/plan.ts";
import { environmentVariable } from "../../base/environment.ts";
import { DeviceError, InternalError, UsageError } from "../../base/errors.ts";
import type { Arena } from "../../tensor/state.ts";
import type { Device, DeviceBuffer, HostArray } from "../device.ts";
import { requireFloat16, usesFloat16 } from "../float16.ts";
import { type AdapterSummary, type OpenAdapter, openAdapter } from "./adapter/adapter.ts";
import { asGpuBuffer, GpuBuffer, readBack, type ReadRange, upload } from "./buffers.ts";
import type { Target } from "./dispatch.ts";
import { WebGpuExecutable } from "./executable.ts";
import { memoryError } from "./adapter/memory_error.ts";
import { PipelineCache } from "./pipelines.ts";
import type { KernelTime } from "./timing.ts";
import { Tuner, type Tuning, type TuningProgress, TUNINGS } from "./tuning/tuner.ts";

/** Runs, and bytes of uploads, that may be enqueued before `run` waits for the GPU. */
const MOST_RUNS_AHEAD = 32;
const MOST_BYTES_AHEAD = 256 << 20;

/** Options of the device. */
export interface WebGpuOptions {
  /** 2: print WGSL to stderr; 3: also time every dispatch. Default: the variable IMM_DEBUG. */
  readonly debug?: number;
  /** Changes to what the generators are told about the device; for tests and benchmarks. */
  readonly target?: Partial<Target>;
  /**
   * When to measure which codes are fastest. Default: the variable IMM_TUNE, else `first-use` on
   * graphics processors and `cached` on software adapters, where compiling takes longer than it saves.
   */
  readonly tuning?: Tuning;
  /** Called for every kind of kernel that was measured. */
  readonly onTuning?: (progress: TuningProgress) => void;
  /** Folder of the tuner's cache; null: none. Default: that of the user. */
  readonly tuningFolder?: string | null;
}

/** A GPU, or a software rasteriser that acts as one. */
export class WebGpuDevice implements Device {
  readonly kind = "webgpu";
  readonly description: string;
  readonly summary: AdapterSummary;
  /** The underlying device. */
  readonly gpu: GPUDevice;
  readonly target: Target;
  readonly pipelines: PipelineCache;
  readonly tuner: Tuner;
  readonly debug: number;
  /** Called with the times per kernel whenever they are collected (IMM_DEBUG=3). */
  onKernelTimes: ((plan: string, times: readonly KernelTime[]) => void) | null = null;

  readonly #buffers = new Set<GpuBuffer>();
  readonly #executables = new Set<WebGpuExecutable>();
  #error: Error | null = null;
  #closed = false;
  #runsAhead = 0;
  #bytesAhead = 0;
  #waits: Promise<unknown>[] = [];

  private constructor({ summary, gpu, target }: OpenAdapter, options: WebGpuOptions) {
    this.summary = summary;
    this.description = summary.description;
    this.gpu = gpu;
    this.target = { ...target, ...options.target };
    this.pipelines = new PipelineCache(gpu);
    this.debug = options.debug ?? debugLevel();
    const measured = { adapter: summary.identity, deno: Deno.version.deno };
    this.tuner = new Tuner(gpu, this.pipelines, measured, {
      tuning: options.tuning ?? defaultTuning(summary, options),
      folder: options.tuningFolder,
      onProgress: options.onTuning ?? ((progress) => reportTuning(progress, this)),
    });
    gpu.addEventListener("uncapturederror", (event) => {
      const { error } = event as GPUUncapturedErrorEvent;
      event.preventDefault();
      this.#error ??= error instanceof GPUOutOfMemoryError
        ? memoryError(summary, error.message)
        : new DeviceError(`${summary.description} reported: ${error.message}`);
    });
    gpu.lost.then((info) => {
      if (this.#closed) return;
      this.#error ??= new DeviceError(
        `${summary.description} was lost (${info.message || info.reason}); ` +
          "start again from the last checkpoint",
      );
    });
  }

  get float16(): boolean {
    return this.summary.features.includes("shader-f16");
  }

  /** WebGPU does not tell how much memory there is. */
  get limits(): { total: null; buffer: number } {
    return { total: null, buffer: this.target.maxBindingBytes };
  }

  /** Opens the best adapter. Throws `DeviceError` when there is none. */
  static async open(options: WebGpuOptions = {}): Promise<WebGpuDevice> {
    return new WebGpuDevice(await openAdapter(), options);
  }

  allocate(bytes: number, label: string): GpuBuffer {
    this.check();
    const buffer = new GpuBuffer(this.gpu, bytes, label);
    this.#buffers.add(buffer);
    return buffer;
  }

  write(buffer: DeviceBuffer, data: HostArray, byteOffset = 0): void {
    this.check();
    upload(this.gpu.queue, asGpuBuffer(buffer), data, byteOffset);
    this.throttle(data.byteLength, 0);
  }

  async read(
    buffer: DeviceBuffer,
    byteOffset = 0,
    byteLength = buffer.bytes - byteOffset,
  ): Promise<ArrayBuffer> {
    const [data] = await this.readRanges([{ buffer: asGpuBuffer(buffer), byteOffset, byteLength }]);
    return data;
  }

  free(buffer: DeviceBuffer): void {
    const own = asGpuBuffer(buffer);
    if (!this.#buffers.delete(own)) {
      throw new InternalError(`the buffer ${buffer.label} was freed before`);
    }
    own.destroy();
  }

  async prepare(
    plan: Plan,
    arenas: ReadonlyMap<Arena, DeviceBuffer>,
  ): Promise<WebGpuExecutable> {
    this.check();
    if (usesFloat16(plan)) requireFloat16(this);
    const executable = await WebGpuExecutable.prepare(this, plan, arenas);
    this.#executables.add(executable);
    return executable;
  }

  async finish(): Promise<void> {
    this.check();
    await this.gpu.queue.onSubmittedWorkDone();
    await this.#settle();
    for (const executable of this.#executables) await executable.collectTimes();
    this.check();
  }

  close(): void {
    if (this.#closed) return;
    for (const executable of [...this.#executables]) executable.destroy();
    for (const buffer of this.#buffers) buffer.destroy();
    this.#buffers.clear();
    this.#closed = true;
    this.gpu.destroy();
  }

  /** Throws what went wrong on the device. */
  check(): void {
    if (this.#closed) throw new InternalError("the device was closed");
    if (this.#error) throw this.#error;
  }

  /** Copies ranges to the host in one wait. */
  async readRanges(ranges: readonly ReadRange[]): Promise<ArrayBuffer[]> {
    this.check();
    let data: ArrayBuffer[];
    try {
      data = await readBack(this.gpu, ranges);
    } catch (error) {
      // A device that was lost fails here first; its own message says more.
      await Promise.resolve();
      this.check();
      if (error instanceof InternalError) throw error;
      throw new DeviceError(`reading from ${this.description} failed: ${(error as Error).message}`);
    }
    await this.#settle();
    this.check();
    return data;
  }

  /**
   * Keeps the host from running far ahead of the GPU: what is enqueued holds memory. Deno waits for
   * the GPU inside the call of `onSubmittedWorkDone`, before the promise is there.
   */
  throttle(bytes: number, runs = 1): void {
    this.#runsAhead += runs;
    this.#bytesAhead += bytes;
    if (this.#runsAhead >= MOST_RUNS_AHEAD || this.#bytesAhead >= MOST_BYTES_AHEAD) this.wait();
  }

  /** Waits for the GPU without giving up the thread. */
  wait(): void {
    this.#runsAhead = 0;
    this.#bytesAhead = 0;
    this.#waits.push(this.gpu.queue.onSubmittedWorkDone());
    if (this.#waits.length > 64) this.#waits.splice(0, 32);
  }

  /** Called by an executable that was destroyed. */
  forget(executable: WebGpuExecutable): void {
    this.#executables.delete(executable);
  }

  async #settle(): Promise<void> {
    const waits = this.#waits;
    this.#waits = [];
    this.#runsAhead = 0;
    this.#bytesAhead = 0;
    await Promise.all(waits);
  }
}

/** What IMM_TUNE says; else what suits the adapter. Targets that were changed have no cache. */
function defaultTuning({ software }: AdapterSummary, { target }: WebGpuOptions): Tuning {
  const named = environmentVariable("IMM_TUNE");
  if (named) {
    const tuning = TUNINGS.find((t) => t === named);
    if (tuning) return tuning;
    throw new UsageError(`IMM_TUNE is ${named}, but it must be one of ${TUNINGS.join(", ")}`);
  }
  if (target) return "off";
  return software ? "cached" : "first-use";
}

/** People who wait want to know what for. */
function reportTuning(
  { done, total, kernelClass, choice, speedup }: TuningProgress,
  { description, debug }: WebGpuDevice,
): void {
  if (debug >= 1) {
    console.error(`tuned ${done}/${total} ${kernelClass}: ${choice} (x${speedup.toFixed(2)})`);
  } else if (done === 1 && Deno.stderr.isTerminal()) {
    console.error(`measuring which of its kernels suit ${description}, once (see IMM_TUNE) ...`);
  }
}

function debugLevel(): number {
  return Number(environmentVariable("IMM_DEBUG") ?? 0) || 0;
}
