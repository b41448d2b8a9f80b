/**
 * From a plan to a program: the list of phases that all threads walk through.
 *
 * @module
 */

import type { Block } from "../../compile/kernels/kernel.ts";
import type { Kernel } from "../../compile/kernels/mod.ts";
import type { Plan } from "../../compile/plan.ts";
import { encodeKernel } from "./encode/mod.ts";
import type { PHASE } from "./opcodes.ts";
import { type Field, type Pointer, Words } from "./words.ts";

interface Phase {
  readonly kind: number;
  readonly tasks: number;
  readonly parameters: Pointer;
}

/** Collects the phases of a plan and the records that they refer to. */
export class Encoder {
  readonly words = new Words();
  /** The phases of each kernel. */
  readonly #kernels: Phase[][] = [];
  #workspace = 0;
  #largestWorkspace = 0;
  #zeros = 0;

  constructor(
    /** Address of each buffer of the plan. */
    private readonly buffers: readonly number[],
    /** See `Plan.batchInvariant`: sums may not be cut by the number of rows. */
    readonly batchInvariant: boolean,
  ) {}

  /** Bytes of the region "workspace": what kernels need between their phases. */
  get workspaceBytes(): number {
    return this.#largestWorkspace;
  }

  /** Bytes of the region "zeros". */
  get zeroBytes(): number {
    return this.#zeros;
  }

  /** Appends the phases of a kernel. */
  kernel(kernel: Kernel): void {
    this.#workspace = 0;
    this.#kernels.push([]);
    encodeKernel(this, kernel);
  }

  /** Appends a phase of independent tasks. */
  phase(kind: typeof PHASE[keyof typeof PHASE], tasks: number, parameters: readonly Field[]): void {
    if (tasks === 0) return;
    this.#kernels.at(-1)!.push({ kind, tasks, parameters: this.words.add(parameters) });
  }

  /** The address of a block of the plan. */
  address(block: Block): number {
    return this.buffers[block.buffer] + block.offset * 4;
  }

  /** Memory for the kernel at hand, for so many numbers; undefined until a phase writes it. */
  workspace(elements: number): Pointer {
    const pointer: Pointer = { region: "workspace", offset: this.#workspace };
    this.#workspace += Math.ceil(elements / 16 + 1) * 64;
    this.#largestWorkspace = Math.max(this.#largestWorkspace, this.#workspace);
    return pointer;
  }

  /** So many zeros, for reading only. */
  zeros(elements: number): Pointer {
    this.#zeros = Math.max(this.#zeros, elements * 4 + 64);
    return { region: "zeros", offset: 0 };
  }

  /**
   * Writes the program, or one program per kernel where they are wanted `separately`.
   *
   * @param scratch the address of the threads' scratch
   */
  finish(scratch: number, separately: boolean): Pointer[] {
    return separately
      ? this.#kernels.map((phases) => this.#program(phases, scratch))
      : [this.#program(this.#kernels.flat(), scratch)];
  }

  /**
   * Neighbouring phases of a single task are all run by the first thread, and need no barrier
   * between them.
   */
  #program(phases: readonly Phase[], scratch: number): Pointer {
    const list = this.words.add(phases.flatMap(({ kind, tasks, parameters }, i) => {
      const barrier = i === phases.length - 1 || tasks > 1 || phases[i + 1].tasks > 1;
      return [kind, tasks, parameters, barrier ? 1 : 0];
    }));
    const counters = this.words.add(phases.map(() => 0));
    return this.words.add([list, phases.length, counters, scratch]);
  }
}

/** Appends all kernels of a plan. */
export function encodePlan(plan: Plan, buffers: readonly number[]): Encoder {
  const encoder = new Encoder(buffers, plan.batchInvariant ?? false);
  for (const kernel of plan.kernels) encoder.kernel(kernel);
  return encoder;
}
