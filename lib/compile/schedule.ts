/**
 * The order of kernels. Values must be written before they are read, and state must be read for the
 * last time before an update overwrites it; apart from that the original order is kept, but for
 * updates, which are made as early as they can be.
 *
 * @module
 */

import type { Arena } from "../tensor/state.ts";
import { blocksOf, mapBlocks } from "./blocks.ts";
import type { Block } from "./kernels/kernel.ts";
import type { Kernel } from "./kernels/mod.ts";
import type { Value } from "./values.ts";

/** The update of this value cannot be made in place; it needs a copy at the end. */
export class UpdateConflict {
  /** `value` is null when the conflict is not due to one update alone. */
  constructor(readonly value: number | null) {}
}

/** Sorts the kernels. @throws {UpdateConflict} */
export function schedule(kernels: readonly Kernel[], values: readonly Value[]): Kernel[] {
  const accesses = kernels.map(blocksOf);
  const writers = new Map<number, number[]>();
  accesses.forEach(({ writes }, k) => {
    for (const value of new Set(writes.map((block) => block.buffer))) {
      writers.set(value, [...writers.get(value) ?? [], k]);
    }
  });
  const after: Set<number>[] = kernels.map(() => new Set());
  const waits = new Array<number>(kernels.length).fill(0);
  const order = (first: number, second: number) => {
    if (first === second || after[first].has(second)) return;
    after[first].add(second);
    waits[second]++;
  };
  const updates = updatesByArena(writers, values);
  accesses.forEach(({ reads }, k) => {
    for (const value of new Set(reads.map((block) => block.buffer))) {
      for (const writer of writers.get(value) ?? []) order(writer, k);
      for (const update of overlapping(value, values, updates)) {
        for (const writer of writers.get(update)!) {
          if (writer === k) checkInPlace(kernels[k], value, update, values);
          else order(k, writer);
        }
      }
    }
  });

  // What writes state alone frees its operands and takes no memory: it runs as soon as it can.
  const onlyState = accesses.map(({ writes }) =>
    writes.every((block) => values[block.buffer].place.kind === "arena")
  );
  const sorted: Kernel[] = [];
  const ready = new Set(kernels.keys().filter((k) => waits[k] === 0));
  while (ready.size > 0) {
    const urgent = ready.keys().find((k) => onlyState[k]);
    const next = urgent ?? Math.min(...ready);
    ready.delete(next);
    sorted.push(kernels[next]);
    for (const k of after[next]) if (--waits[k] === 0) ready.add(k);
  }
  if (sorted.length < kernels.length) throw new UpdateConflict(null);
  return sorted;
}

/** Values that updates store, by the arena they go to. */
function updatesByArena(
  writers: ReadonlyMap<number, readonly number[]>,
  values: readonly Value[],
): Map<Arena, number[]> {
  const updates = new Map<Arena, number[]>();
  for (const value of writers.keys()) {
    const { place } = values[value];
    if (place.kind !== "arena") continue;
    updates.set(place.arena, [...updates.get(place.arena) ?? [], value]);
  }
  return updates;
}

/** Updates that overwrite (part of) the old state `value`. */
function overlapping(
  value: number,
  values: readonly Value[],
  updates: ReadonlyMap<Arena, readonly number[]>,
): number[] {
  const { place, length } = values[value];
  if (place.kind !== "arena" || place.updated) return [];
  return (updates.get(place.arena) ?? []).filter((update) => {
    const other = values[update].place;
    return other.kind === "arena" && other.offset < place.offset + length &&
      place.offset < other.offset + values[update].length;
  });
}

/** A kernel may overwrite state that it reads only where each point reads what it writes. */
function checkInPlace(
  kernel: Kernel,
  old: number,
  update: number,
  values: readonly Value[],
): void {
  const position = (block: Block) => {
    const { place } = values[block.buffer];
    const start = place.kind === "arena" ? place.offset : 0;
    return JSON.stringify([
      start + block.offset,
      "strides" in block ? block.strides : null,
    ]);
  };
  const stored = new Set<string>();
  const loaded = new Set<string>();
  mapBlocks(kernel, (block, mode) => {
    if (mode === "write" && block.buffer === update) stored.add(position(block));
    if (mode === "read" && block.buffer === old) loaded.add(position(block));
    return block;
  });
  // Reductions read with other strides than they write: their old value is in the epilogue.
  if ([...loaded].some((place) => !stored.has(place))) throw new UpdateConflict(update);
}
