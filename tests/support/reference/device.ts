/**
 * A device for tests that runs plans through the plan interpreter, in float64: slow and exact, the
 * oracle for everything that is built on devices.
 */

import type { Plan } from "../../../lib/compile/plan.ts";
import type { Device, DeviceBuffer, Executable, HostArray } from "../../../lib/device/device.ts";
import { InternalError } from "../../../lib/base/errors.ts";
import type { Arena } from "../../../lib/tensor/state.ts";
import { sizeOf } from "../../../lib/tensor/tensor.ts";
import { interpretPlan } from "./plan.ts";

/** Bytes per element, as far as the interface is concerned, which knows no float16. */
const ELEMENT = 4;

/** Memory in float64: an element for each float32, or float16, that there would be room for. */
class InterpreterBuffer implements DeviceBuffer {
  readonly data: Float64Array;

  constructor(readonly bytes: number, readonly label: string) {
    this.data = new Float64Array(2 * Math.ceil(bytes / ELEMENT));
  }
}

/** Runs plans without a device. Counts what is allocated, so that tests can look for leaks. */
export class InterpreterDevice implements Device {
  // There is no third kind: nothing that a device is used for may depend on which one it is.
  readonly kind = "wasm";
  readonly float16 = true;
  readonly description = "plan interpreter";
  readonly limits = { total: null, buffer: Infinity };
  readonly #buffers = new Set<DeviceBuffer>();
  #executables = 0;

  /** Buffers and executables that have not been given back. */
  get live(): number {
    return this.#buffers.size + this.#executables;
  }

  allocate(bytes: number, label: string): DeviceBuffer {
    const buffer = new InterpreterBuffer(bytes, label);
    this.#buffers.add(buffer);
    return buffer;
  }

  write(buffer: DeviceBuffer, data: HostArray, byteOffset = 0): void {
    this.#memory(buffer).set(data, byteOffset / ELEMENT);
  }

  read(
    buffer: DeviceBuffer,
    byteOffset = 0,
    byteLength = buffer.bytes - byteOffset,
  ): Promise<ArrayBuffer> {
    const start = byteOffset / ELEMENT;
    const values = this.#memory(buffer).subarray(start, start + byteLength / ELEMENT);
    return Promise.resolve(Float32Array.from(values).buffer);
  }

  free(buffer: DeviceBuffer): void {
    this.#memory(buffer);
    this.#buffers.delete(buffer);
  }

  prepare(plan: Plan, arenas: ReadonlyMap<Arena, DeviceBuffer>): Promise<Executable> {
    const state = new Map(
      [...arenas].map(([arena, buffer]) => [arena, this.#memory(buffer).subarray(0, arena.length)]),
    );
    this.#executables++;
    return Promise.resolve(new InterpreterExecutable(plan, state, () => this.#executables--));
  }

  finish(): Promise<void> {
    return Promise.resolve();
  }

  close(): void {
    this.#buffers.clear();
  }

  #memory(buffer: DeviceBuffer): Float64Array {
    if (!(buffer instanceof InterpreterBuffer) || !this.#buffers.has(buffer)) {
      throw new InternalError(`${buffer.label} is not memory of this device, or was freed`);
    }
    return buffer.data;
  }
}

class InterpreterExecutable implements Executable {
  #inputs: Record<string, HostArray> = {};
  #outputs: Record<string, Float64Array> = {};

  constructor(
    readonly plan: Plan,
    private readonly state: ReadonlyMap<Arena, Float64Array>,
    readonly destroy: () => void,
  ) {}

  run(inputs: Readonly<Record<string, HostArray>>): void {
    for (const [name, data] of Object.entries(inputs)) {
      const value = this.plan.inputs.get(name);
      if (!value || data.length !== sizeOf(value.shape)) {
        throw new InternalError(
          `${this.plan.label}: ${data.length} elements for the input ${name} [${value?.shape}]`,
        );
      }
      this.#inputs[name] = data.slice();
    }
    const missing = [...this.plan.inputs.keys()].filter((name) => !(name in this.#inputs));
    if (missing.length > 0) throw new InternalError(`${this.plan.label} needs ${missing}`);
    this.#outputs = interpretPlan(this.plan, this.#inputs, this.state);
  }

  read<const Names extends readonly string[]>(
    names: Names,
  ): Promise<{ [Name in Names[number]]: HostArray }> {
    const found = names.map((name) => {
      const i32 = this.plan.outputs.get(name)!.dtype === "i32";
      return [name, (i32 ? Int32Array : Float32Array).from(this.#outputs[name])];
    });
    return Promise.resolve(Object.fromEntries(found));
  }
}
