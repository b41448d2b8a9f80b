/**
 * What the compiler hands to a device: a flat list of kernels over numbered buffers, with every
 * shape, stride and offset a constant. A device turns each kernel into code once and replays the
 * list for every run. What kinds of kernels there are stands in kernels/mod.ts.
 *
 * @module
 */

import type { Arena } from "../tensor/state.ts";
import type { DType, Shape } from "../tensor/tensor.ts";
import type { Kernel } from "./kernels/mod.ts";

/** A buffer of the plan. Its index in {@link Plan.buffers} is its name. */
export interface PlanBuffer {
  /** Length in words of four bytes: one element, or two of type f16. */
  readonly length: number;
  /** `slot`: scratch, reused between values whose lifetimes do not overlap. */
  readonly role: "slot" | "input" | "output" | "arena";
  /** The arena, for role `arena`. */
  readonly arena?: Arena;
  /** Name of the input or output; for slots, what it holds first. */
  readonly label: string;
}

/** A compiled program. */
export interface Plan {
  /** Name of the program, for debug output and errors. */
  readonly label: string;
  /** All memory that it touches. */
  readonly buffers: readonly PlanBuffer[];
  /** The steps, in order. */
  readonly kernels: readonly Kernel[];
  /** Where each input goes. */
  readonly inputs: ReadonlyMap<string, PlanValue>;
  /** Where each output is. */
  readonly outputs: ReadonlyMap<string, PlanValue>;
  /**
   * Whether a sample's results must be the same, bit for bit, in a batch of any size: then a device
   * may not let the size decide how a sum is cut into parts, though it costs speed.
   */
  readonly batchInvariant?: boolean;
}

/** An input or output of a plan: always a buffer of its own, contiguous. */
export interface PlanValue {
  /** Index in {@link Plan.buffers}. */
  readonly buffer: number;
  /** As the program declared it. */
  readonly shape: Shape;
  /** As the program declared it. */
  readonly dtype: DType;
}
