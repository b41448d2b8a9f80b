/**
 * What the rest of the program needs of a device. There are two: WebGPU (`webgpu/`) and
 * WebAssembly (`wasm/`).
 *
 * @module
 */

import type { Plan } from "../compile/plan.ts";
import type { Arena } from "../tensor/state.ts";

/** Memory on the device, owned by whoever allocated it. */
export interface DeviceBuffer {
  /** Size that was asked for. */
  readonly bytes: number;
  /** What it holds, for debug output and errors. */
  readonly label: string;
}

/** Typed arrays that can be uploaded or read back. */
export type HostArray = Float32Array | Int32Array;

/** A compute device. */
export interface Device {
  /** Which of the two it is. */
  readonly kind: "webgpu" | "wasm";
  /** Adapter or processor, for people. */
  readonly description: string;
  /** Whether plans may store values as float16. */
  readonly float16: boolean;
  /** What it can hold, in bytes: everything together (null where it does not say), and one buffer. */
  readonly limits: { readonly total: number | null; readonly buffer: number };

  /** Zero-filled memory. Throws `DeviceError` when it is too large for the device. */
  allocate(bytes: number, label: string): DeviceBuffer;
  /** Copies host data to the buffer; ordered with runs. */
  write(buffer: DeviceBuffer, data: HostArray, byteOffset?: number): void;
  /** Copies a range to the host once everything enqueued before has finished. */
  read(buffer: DeviceBuffer, byteOffset?: number, byteLength?: number): Promise<ArrayBuffer>;
  /** Gives the memory back. */
  free(buffer: DeviceBuffer): void;

  /**
   * Turns a plan into something that can be run again and again. `arenas` holds a buffer of at
   * least `arena.bytes` bytes for each arena that the plan touches.
   */
  prepare(plan: Plan, arenas: ReadonlyMap<Arena, DeviceBuffer>): Promise<Executable>;

  /** Waits until everything enqueued has finished; throws what went wrong on the device. */
  finish(): Promise<void>;
  /** Frees everything. */
  close(): void;
}

/** A plan on a device. */
export interface Executable {
  /** What it runs. */
  readonly plan: Plan;
  /**
   * Enqueues one run. Inputs that are not given keep the value of the run before; the first run
   * needs all of them. Throws on a missing or wrongly sized input.
   */
  run(inputs: Readonly<Record<string, HostArray>>): void;
  /** Outputs of the last run, in one read-back. */
  read<const Names extends readonly string[]>(
    names: Names,
  ): Promise<{ [Name in Names[number]]: HostArray }>;
  /** Frees its buffers and pipelines. */
  destroy(): void;
}
