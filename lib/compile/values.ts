/**
 * Values that lie in memory. While kernels are being made, an access names a value by number; which
 * buffer and offset that is, is decided when all kernels and lifetimes are known (memory.ts).
 *
 * @module
 */

import type { Arena } from "../tensor/state.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { isWide } from "./operations.ts";
import type { Block, ElementType } from "./kernels/kernel.ts";

/** Where a value must lie. `slot` leaves the choice to the planner. */
export type Place =
  | { readonly kind: "slot" }
  | { readonly kind: "input"; readonly name: string }
  | { readonly kind: "output"; readonly name: string }
  | {
    readonly kind: "arena";
    readonly arena: Arena;
    readonly offset: number;
    /** Whether this is what an update stores, as opposed to what the arena held before. */
    readonly updated: boolean;
  };

/** A value in memory. */
export interface Value {
  readonly length: number;
  readonly dtype: ElementType;
  readonly label: string;
  readonly place: Place;
}

/** All values of a plan under construction; a value's number is its index. */
export class Values {
  readonly list: Value[] = [];

  add(length: number, dtype: ElementType, label: string, place: Place = { kind: "slot" }): number {
    return this.list.push({ length, dtype, label, place }) - 1;
  }
}

/** How a tensor's elements lie in memory at a place. */
export function elementType(tensor: Tensor, place: Place): ElementType {
  const { dtype } = tensor;
  if (dtype === "i32" || place.kind === "input" || place.kind === "output") return dtype;
  if (place.kind === "arena") return place.arena.storage;
  return isWide(tensor) ? "f32" : tensor.node.storage;
}

/** A tensor's elements within a value: all of it, or (inside a concatenation) a box of it. */
export interface Location {
  readonly value: number;
  readonly dtype: ElementType;
  readonly offset: number;
  /** Over the tensor's axes. */
  readonly strides: readonly number[];
}

/** The location as a block; only right for contiguous locations. */
export function blockOf(location: Location): Block {
  const { value, offset, dtype } = location;
  return { buffer: value, offset, dtype };
}
