/**
 * A plan in linear memory: its buffers, and the program that all threads walk through at every run.
 *
 * @module
 */

import { debugLevel, summarize } from "../../compile/print.ts";
import type { Plan, PlanBuffer } from "../../compile/plan.ts";
import { type DeviceError, InternalError } from "../../base/errors.ts";
import type { Arena } from "../../tensor/state.ts";
import { sizeOf } from "../../tensor/tensor.ts";
import type { DeviceBuffer, Executable, HostArray } from "../device.ts";
import { checkInput } from "../inputs.ts";
import { asWasmBuffer, type WasmDevice } from "./device.ts";
import { encodePlan } from "./encoder.ts";
import { type Heap, OutOfMemory } from "./heap.ts";
import { KernelTimes } from "./times.ts";

/** Bytes per element. */
const ELEMENT = 4;

/** A plan on the wasm device. */
export class WasmExecutable implements Executable {
  readonly #device: WasmDevice;
  /** Address of each buffer of the plan. */
  readonly #buffers: readonly number[];
  readonly #owned: readonly number[];
  /** Programs: one for all kernels, or one per kernel where they are timed. */
  readonly #programs: readonly number[];
  readonly #missing: Set<string>;
  readonly #times: KernelTimes | null;
  #destroyed = false;

  /** @throws {DeviceError} when the plan does not fit */
  constructor(device: WasmDevice, readonly plan: Plan, arenas: ReadonlyMap<Arena, DeviceBuffer>) {
    const { heap } = device.team;
    const owned: number[] = [];
    const allocate = (bytes: number) => {
      const address = heap.allocate(bytes);
      owned.push(address);
      return address;
    };
    this.#device = device;
    this.#times = debugLevel() >= 3 ? new KernelTimes(plan) : null;
    try {
      this.#buffers = plan.buffers.map((buffer) =>
        buffer.role === "arena" ? arenaAddress(arenas, buffer) : allocate(buffer.length * ELEMENT)
      );
      const encoder = encodePlan(plan, this.#buffers);
      const scratch = allocate(device.team.scratchBytes);
      const programs = encoder.finish(scratch, this.#times !== null);
      const workspace = allocate(encoder.workspaceBytes);
      const zeros = allocate(encoder.zeroBytes);
      const program = allocate(encoder.words.length);
      const words = encoder.words.resolve({ program, workspace, zeros });
      new Uint32Array(heap.memory.buffer, program, words.length).set(words);
      this.#programs = programs.map(({ offset }) => program + offset);
    } catch (error) {
      for (const address of owned) heap.free(address);
      throw error instanceof OutOfMemory ? tooLarge(plan, heap) : error;
    }
    this.#owned = owned;
    this.#missing = new Set(plan.inputs.keys());
  }

  run(inputs: Readonly<Record<string, HostArray>>): void {
    this.#usable();
    for (const [name, data] of Object.entries(inputs)) {
      const { buffer } = checkInput(this.plan, name, data);
      this.#device.copyIn(this.#buffers[buffer], data);
      this.#missing.delete(name);
    }
    if (this.#missing.size > 0) {
      throw new InternalError(
        `the first run of ${this.plan.label} needs the inputs ${[...this.#missing].join(", ")}`,
      );
    }
    this.#programs.forEach((program, kernel) => {
      const start = performance.now();
      this.#device.team.run(program);
      this.#times?.add(kernel, performance.now() - start);
    });
  }

  // deno-lint-ignore require-await -- the interface is asynchronous
  async read<const Names extends readonly string[]>(
    names: Names,
  ): Promise<{ [Name in Names[number]]: HostArray }> {
    this.#usable();
    return Object.fromEntries(names.map((name) => {
      const value = this.plan.outputs.get(name);
      if (!value) {
        throw new InternalError(
          `${this.plan.label} has no output ${name}; it has ${[...this.plan.outputs.keys()]}`,
        );
      }
      const bytes = sizeOf(value.shape) * ELEMENT;
      const data = this.#device.copyOut(this.#buffers[value.buffer], bytes);
      return [name, value.dtype === "i32" ? new Int32Array(data) : new Float32Array(data)];
    })) as { [Name in Names[number]]: HostArray };
  }

  destroy(): void {
    if (this.#destroyed) return;
    this.#destroyed = true;
    this.#times?.print();
    for (const address of this.#owned) this.#device.team.heap.free(address);
    this.#device.forget(this);
  }

  #usable(): void {
    if (this.#destroyed) throw new InternalError(`${this.plan.label} was destroyed`);
  }
}

function arenaAddress(arenas: ReadonlyMap<Arena, DeviceBuffer>, { arena }: PlanBuffer): number {
  const buffer = arenas.get(arena!);
  if (!buffer) throw new InternalError(`the plan needs a buffer for the arena ${arena!.name}`);
  if (buffer.bytes < arena!.bytes) {
    throw new InternalError(
      `the arena ${arena!.name} needs ${arena!.bytes} bytes, but its buffer has ` +
        `${buffer.bytes}`,
    );
  }
  return asWasmBuffer(buffer).address;
}

function tooLarge(plan: Plan, heap: Heap): DeviceError {
  const { slotBytes, inputBytes, outputBytes } = summarize(plan);
  return heap.refusal(plan.label, slotBytes + inputBytes + outputBytes);
}
