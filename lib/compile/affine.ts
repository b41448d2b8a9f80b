/**
 * Coordinates as affine functions of a kernel's index: what makes reshapes, slices, transposes and
 * broadcasts free. Evaluating a tensor inside a kernel means knowing its coordinates in terms of
 * the kernel's own axes; each view turns the coordinates of its output into those of its input.
 *
 * @module
 */

import { contiguousStrides, type Shape } from "../base/arrays.ts";
import type { Node, Tensor } from "../tensor/tensor.ts";
import { InternalError } from "../base/errors.ts";

/** offset + sum(strides[k] * index[k]) over the axes k of the kernel. */
export interface Affine {
  readonly offset: number;
  readonly strides: readonly number[];
}

/** Thrown when a view needs axis `axis` of the kernel as two axes; the caller splits and retries. */
export class SplitAxis {
  constructor(readonly axis: number, readonly inner: number) {}
}

/** Thrown when a view cannot be expressed; `tensor` must be in memory as it is. */
export class NeedsStorage {
  constructor(readonly tensor: Tensor) {}
}

/** The coordinate that is always 0. */
export function zero(rank: number): Affine {
  return { offset: 0, strides: new Array<number>(rank).fill(0) };
}

/** sum(factors[i] * coordinates[i]). */
export function combine(
  coordinates: readonly Affine[],
  factors: readonly number[],
  rank: number,
): Affine {
  let offset = 0;
  const strides = new Array<number>(rank).fill(0);
  coordinates.forEach((coordinate, i) => {
    offset += factors[i] * coordinate.offset;
    for (let k = 0; k < rank; k++) strides[k] += factors[i] * coordinate.strides[k];
  });
  return { offset, strides };
}

/** Coordinates of an operand of an element-wise operation under numpy broadcasting. */
export function broadcastCoordinates(
  coordinates: readonly Affine[],
  operand: Shape,
  rank: number,
): Affine[] {
  const lead = coordinates.length - operand.length;
  return operand.map((size, axis) => size === 1 ? zero(rank) : coordinates[lead + axis]);
}

/** Coordinates in the input of a view node (not a reshape) from those in output `output`. */
export function viewCoordinates(
  node: Node,
  output: number,
  coordinates: readonly Affine[],
  rank: number,
): Affine[] {
  const op = node.op;
  const shift = (coordinate: Affine, by: number): Affine => ({
    offset: coordinate.offset + by,
    strides: coordinate.strides,
  });
  switch (op.kind) {
    case "permute": {
      const result = new Array<Affine>(coordinates.length);
      op.axes.forEach((axis, i) => result[axis] = coordinates[i]);
      return result;
    }
    case "slice":
      return coordinates.map((coordinate, axis) => shift(coordinate, op.starts[axis]));
    case "expand":
      return broadcastCoordinates(coordinates, node.inputs[0].shape, rank);
    case "split": {
      let start = 0;
      for (let i = 0; i < output; i++) start += node.outputs[i].shape[op.axis];
      return coordinates.map((c, axis) => axis === op.axis ? shift(c, start) : c);
    }
    default:
      throw new InternalError(`${op.kind} is not a view`);
  }
}

/**
 * Coordinates in the input of a reshape. Axes are matched in groups of equal size; a group's
 * coordinates are joined into one row-major position and taken apart again.
 *
 * @throws {SplitAxis} when the position can be taken apart once a kernel axis is split
 * @throws {NeedsStorage} when it cannot
 */
export function reshapeCoordinates(
  input: Tensor,
  outputShape: Shape,
  coordinates: readonly Affine[],
  axes: Shape,
): Affine[] {
  const result: Affine[] = [];
  let i = 0;
  let o = 0;
  while (i < input.shape.length) {
    const from = o;
    const start = i;
    let inputSize = input.shape[i++];
    let outputSize = 1;
    while (inputSize !== outputSize) {
      if (outputSize < inputSize) outputSize *= outputShape[o++];
      else inputSize *= input.shape[i++];
    }
    const group = outputShape.slice(from, o);
    const position = combine(coordinates.slice(from, o), contiguousStrides(group), axes.length);
    result.push(...unpack(position, input.shape.slice(start, i), axes, input));
  }
  return result;
}

/** Takes a row-major position in `sizes` apart into one coordinate per axis. */
function unpack(position: Affine, sizes: Shape, axes: Shape, tensor: Tensor): Affine[] {
  const result = new Array<Affine>(sizes.length);
  let rest = position;
  for (let axis = sizes.length - 1; axis > 0; axis--) {
    const size = sizes[axis];
    const inner = new Array<number>(axes.length).fill(0);
    const outer = new Array<number>(axes.length).fill(0);
    rest.strides.forEach((stride, k) => {
      if (stride % size === 0) outer[k] = stride / size;
      else inner[k] = stride;
    });
    const offset = rest.offset % size;
    const largest = inner.reduce((sum, stride, k) => sum + stride * (axes[k] - 1), offset);
    if (largest >= size) {
      inner.forEach((stride, k) => {
        const part = size / stride;
        if (stride > 0 && axes[k] > part && size % stride === 0 && axes[k] % part === 0) {
          throw new SplitAxis(k, part);
        }
      });
      throw new NeedsStorage(tensor);
    }
    result[axis] = { offset, strides: inner };
    rest = { offset: Math.floor(rest.offset / size), strides: outer };
  }
  result[0] = rest;
  return result;
}
