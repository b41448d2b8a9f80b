/**
 * How an index space is cut into blocks, and how the operands of a block lie in memory.
 *
 * @module
 */

import { InternalError } from "../../base/errors.ts";
import type { Shape } from "../../tensor/tensor.ts";
import { type Field, padded } from "./words.ts";

/** Points in a block, at most (tape.rs). */
export const BLOCK = 512;
/** Axes, at most (fill.rs). */
export const MAX_RANK = 8;

/** A block covers some steps of one axis and all of the axes inside it. */
export interface Blocks {
  readonly shape: Shape;
  /** The block axis. */
  readonly axis: number;
  /** Points per step of the block axis. */
  readonly inner: number;
  /** Steps of the block axis in a block, at most. */
  readonly steps: number;
}

/** Blocks that are as large as can be, of axes from `first` on. */
export function blocksOf(shape: Shape, first = 0): Blocks {
  let axis = shape.length - 1;
  let inner = 1;
  while (axis > first && inner * shape[axis] <= BLOCK) inner *= shape[axis--];
  const most = Math.floor(BLOCK / inner);
  const even = Math.ceil(shape[axis] / Math.ceil(shape[axis] / most));
  const steps = inner === 1 ? Math.min(most, Math.ceil(even / 4) * 4) : even;
  if (axis >= MAX_RANK) throw new InternalError(`an index space has ${shape.length} axes`);
  return { shape, axis, inner, steps };
}

/** A run of memory that a block consists of: axes outermost first, the first one per step. */
interface Run {
  readonly size: number;
  readonly stride: number;
}

/** The axes of a block, merged where the strides allow it. */
function runsOf({ shape, axis, steps }: Blocks, strides: readonly number[]): Run[] {
  const runs: Run[] = [];
  for (let i = shape.length - 1; i > axis; i--) {
    const last = runs.at(0);
    if (shape[i] === 1) continue;
    if (last && last.stride * last.size === strides[i]) {
      runs[0] = { size: last.size * shape[i], stride: last.stride };
    } else runs.unshift({ size: shape[i], stride: strides[i] });
  }
  const inner = runs.at(0);
  const whole = inner && (steps === 1 || inner.stride * inner.size === strides[axis]);
  if (!whole) runs.unshift({ size: 1, stride: strides[axis] });
  return runs;
}

/** Whether every block is contiguous in memory. */
export function isContiguousBlock(blocks: Blocks, strides: readonly number[]): boolean {
  const runs = runsOf(blocks, strides);
  return runs.length === 1 && runs[0].stride === 1;
}

/** The record of an access (fill.rs). `base` is an address, or the first of a list of numbers. */
export function accessFields(blocks: Blocks, base: Field, strides: readonly number[]): Field[] {
  const runs = runsOf(blocks, strides);
  if (runs.length > MAX_RANK) throw new InternalError(`a block has ${runs.length} axes`);
  return [
    base,
    ...padded(strides.slice(0, blocks.axis + 1), MAX_RANK),
    runs.length,
    ...padded(runs.map((run) => run.size), MAX_RANK),
    ...padded(runs.map((run) => run.stride), MAX_RANK),
  ];
}
