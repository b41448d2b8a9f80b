/**
 * Shapes: broadcasting, axes and strides, and the error that people get who mix them up.
 *
 * @module
 */

import { sameShape, type Shape } from "../base/arrays.ts";
import { ImmError } from "../base/errors.ts";
import type { DType, Tensor } from "./tensor.ts";

/** A mistake in the shapes or types given to an operation: what it expects, what it was given. */
export function shapeError(operation: string, expected: string, found: string): ImmError {
  return new ImmError(`${operation} expects ${expected}, but was given ${found}`);
}

/** A shape as people read it. */
export function show(shape: Shape): string {
  return `[${shape.join(", ")}]`;
}

/** The axis counted from the front; -1 is the last one. Throws when it is outside the rank. */
export function normalizeAxis(operation: string, axis: number, rank: number): number {
  if (!Number.isInteger(axis) || axis < -rank || axis >= rank) {
    throw shapeError(operation, `an axis of a tensor of rank ${rank}`, `axis ${axis}`);
  }
  return axis < 0 ? axis + rank : axis;
}

/** The given axes in ascending order, all of them by default. Throws on duplicates. */
export function normalizeAxes(
  operation: string,
  axes: number | readonly number[] | undefined,
  rank: number,
): number[] {
  if (axes === undefined) return Array.from({ length: rank }, (_, i) => i);
  const list = (typeof axes === "number" ? [axes] : axes)
    .map((axis) => normalizeAxis(operation, axis, rank))
    .sort((a, b) => a - b);
  if (new Set(list).size !== list.length) {
    throw shapeError(operation, "each axis once", `axes [${axes}]`);
  }
  return list;
}

/** The common shape under numpy's rules: aligned at the last axis, size 1 repeats. */
export function broadcastShapes(operation: string, ...shapes: Shape[]): number[] {
  const rank = Math.max(0, ...shapes.map((shape) => shape.length));
  const result = new Array<number>(rank).fill(1);
  for (const shape of shapes) {
    for (let i = 0; i < shape.length; i++) {
      const at = rank - shape.length + i;
      if (shape[i] === 1 || shape[i] === result[at]) continue;
      if (result[at] !== 1) {
        throw shapeError(operation, "shapes that broadcast", shapes.map(show).join(" and "));
      }
      result[at] = shape[i];
    }
  }
  return result;
}

/** The shape after summing `axes` away while keeping them with size 1. */
export function reducedShape(shape: Shape, axes: readonly number[]): number[] {
  return shape.map((n, i) => axes.includes(i) ? 1 : n);
}

/** Throws unless the tensor has the given number of axes. */
export function requireRank(operation: string, name: string, x: Tensor, rank: number): void {
  if (x.shape.length !== rank) {
    throw shapeError(operation, `${name} of rank ${rank}`, `shape ${show(x.shape)}`);
  }
}

/** Throws unless the tensor has exactly this shape. */
export function requireShape(operation: string, name: string, x: Tensor, shape: Shape): void {
  if (!sameShape(x.shape, shape)) {
    throw shapeError(operation, `${name} of shape ${show(shape)}`, show(x.shape));
  }
}

/** Throws unless the tensor has this element type. */
export function requireType(operation: string, name: string, x: Tensor, dtype: DType): void {
  if (x.dtype !== dtype) throw shapeError(operation, `${name} of type ${dtype}`, x.dtype);
}
