/**
 * Buffers for values. WebGPU does not allow a buffer to be read and written by one dispatch through
 * two bindings, so scratch values share whole buffers (slots) and never ranges of one buffer; a
 * slot is free again after its value's last use.
 *
 * @module
 */

import { InternalError } from "../base/errors.ts";
import type { Arena } from "../tensor/state.ts";
import { blocksOf, mapBlocks } from "./blocks.ts";
import { type Block, elementBytes } from "./kernels/kernel.ts";
import type { Kernel } from "./kernels/mod.ts";
import type { PlanBuffer } from "./plan.ts";
import type { Value } from "./values.ts";

/** Kernels over buffers, and where inputs and outputs lie. */
export interface Assignment {
  readonly buffers: PlanBuffer[];
  readonly kernels: Kernel[];
  /** Buffer of each value that kernels touch. */
  readonly bufferOf: ReadonlyMap<number, number>;
}

/** Assigns buffers to the values that the (ordered) kernels use. */
export function assignBuffers(kernels: readonly Kernel[], values: readonly Value[]): Assignment {
  const lastUse = new Map<number, number>();
  kernels.forEach((kernel, k) => {
    const { reads, writes } = blocksOf(kernel);
    for (const block of [...reads, ...writes]) lastUse.set(block.buffer, k);
  });

  const buffers: { -readonly [K in keyof PlanBuffer]: PlanBuffer[K] }[] = [];
  const bufferOf = new Map<number, number>();
  const arenas = new Map<Arena, number>();
  const free: number[] = [];

  const takeSlot = (value: Value): number => {
    // Best fit: the smallest free slot that is large enough, else the largest one, grown.
    const length = wordsOf(value);
    free.sort((a, b) => buffers[a].length - buffers[b].length);
    const fit = free.findIndex((slot) => buffers[slot].length >= length);
    const slot = fit >= 0 ? free.splice(fit, 1)[0] : free.pop();
    if (slot === undefined) {
      return buffers.push({ length, role: "slot", label: value.label }) - 1;
    }
    buffers[slot].length = Math.max(buffers[slot].length, length);
    return slot;
  };
  const assign = (number: number): number => {
    const value = values[number];
    const { place } = value;
    switch (place.kind) {
      case "slot":
        return takeSlot(value);
      case "input":
      case "output":
        return buffers.push({ length: wordsOf(value), role: place.kind, label: place.name }) - 1;
      case "arena": {
        const known = arenas.get(place.arena);
        if (known !== undefined) return known;
        const buffer = buffers.push({
          length: place.arena.bytes / 4,
          role: "arena",
          arena: place.arena,
          label: place.arena.name,
        }) - 1;
        arenas.set(place.arena, buffer);
        return buffer;
      }
    }
  };

  const placed = kernels.map((kernel, k) => {
    const { reads, writes } = blocksOf(kernel);
    for (const block of reads) {
      if (!bufferOf.has(block.buffer) && values[block.buffer].place.kind === "slot") {
        throw new InternalError(`${kernel.label} reads ${values[block.buffer].label} too early`);
      }
    }
    const touched = new Set([...reads, ...writes].map((block) => block.buffer));
    for (const number of touched) {
      if (!bufferOf.has(number)) bufferOf.set(number, assign(number));
    }
    for (const number of touched) {
      if (lastUse.get(number) === k && values[number].place.kind === "slot") {
        free.push(bufferOf.get(number)!);
      }
    }
    return mapBlocks(kernel, <B extends Block>(block: B): B => {
      const { place } = values[block.buffer];
      const start = place.kind === "arena" ? place.offset : 0;
      return { ...block, buffer: bufferOf.get(block.buffer)!, offset: start + block.offset };
    });
  });
  return { buffers, kernels: placed, bufferOf };
}

/** Words of four bytes that a value fills. */
function wordsOf({ length, dtype }: Value): number {
  return Math.ceil(length * elementBytes(dtype) / 4);
}
