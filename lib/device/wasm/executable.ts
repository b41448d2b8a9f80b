/**
 * A plan in linear memory: its buffers, and the program that all threads walk through at every run.
 *
 * @module
 */

import { debugLevel, summarize } from "../../compile/print.ts";
import type { Plan } from "../../compile/plan.ts";
import { type DeviceError, InternalError } from "../../base/errors.ts";
import type { Arena } from "../../tensor/state.ts";
import { sizeOf } from "../../tensor/tensor.ts";
import type { DeviceBuffer, Executable, HostArray } from "../device.ts";
import { checkComplete, checkInput, findArena, findOutput } from "../inputs.ts";
import { encodePlan } from "./encoder.ts";
import { asWasmBuffer, type Heap, OutOfMemory } from "./heap.ts";
import type { Team } from "./team.ts";
import { KernelTimes } from "./times.ts";

/** Bytes per element. */
const ELEMENT = 4;

/** A plan on the wasm device. */
export class WasmExecutable implements Executable {
  readonly #team: Team;
  /** Address of each buffer of the plan. */
  readonly #buffers: readonly number[];
  readonly #owned: readonly number[];
  /** Programs: one for all kernels, or one per kernel where they are timed. */
  readonly #programs: readonly number[];
  readonly #missing: Set<string>;
  readonly #times: KernelTimes | null;
  #destroyed = false;

  /**
   * @param onDestroy is told that it was destroyed
   * @throws {DeviceError} when the plan does not fit
   */
  constructor(
    team: Team,
    readonly plan: Plan,
    arenas: ReadonlyMap<Arena, DeviceBuffer>,
    private readonly onDestroy: (executable: WasmExecutable) => void,
  ) {
    const { heap } = team;
    const owned: number[] = [];
    const allocate = (bytes: number) => {
      const address = heap.allocate(bytes);
      owned.push(address);
      return address;
    };
    this.#team = team;
    this.#times = debugLevel() >= 3 ? new KernelTimes(plan) : null;
    try {
      this.#buffers = plan.buffers.map((buffer) =>
        buffer.role === "arena"
          ? asWasmBuffer(findArena(arenas, buffer.arena!)).address
          : allocate(buffer.length * ELEMENT)
      );
      const encoder = encodePlan(plan, this.#buffers);
      const scratch = allocate(team.scratchBytes);
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
      this.#team.heap.copyIn(this.#buffers[buffer], data);
      this.#missing.delete(name);
    }
    checkComplete(this.plan, this.#missing);
    this.#programs.forEach((program, kernel) => {
      const start = performance.now();
      this.#team.run(program);
      this.#times?.add(kernel, performance.now() - start);
    });
  }

  // deno-lint-ignore require-await -- the interface is asynchronous
  async read<const Names extends readonly string[]>(
    names: Names,
  ): Promise<{ [Name in Names[number]]: HostArray }> {
    this.#usable();
    return Object.fromEntries(names.map((name) => {
      const value = findOutput(this.plan, name);
      const bytes = sizeOf(value.shape) * ELEMENT;
      const data = this.#team.heap.copyOut(this.#buffers[value.buffer], bytes);
      return [name, value.dtype === "i32" ? new Int32Array(data) : new Float32Array(data)];
    })) as { [Name in Names[number]]: HostArray };
  }

  destroy(): void {
    if (this.#destroyed) return;
    this.#destroyed = true;
    this.#times?.print();
    for (const address of this.#owned) this.#team.heap.free(address);
    this.onDestroy(this);
  }

  #usable(): void {
    if (this.#destroyed) throw new InternalError(`${this.plan.label} was destroyed`);
  }
}

function tooLarge(plan: Plan, heap: Heap): DeviceError {
  const { slotBytes, inputBytes, outputBytes } = summarize(plan);
  return heap.refusal(plan.label, slotBytes + inputBytes + outputBytes);
}
