/**
 * Index spaces in pieces, for kernels over more memory than a device binds at once.
 *
 * @module
 */

import type { Access, Expression } from "../../../compile/kernels/kernel.ts";

/** Cuts along the innermost axis are at multiples of this, so that vectors stay aligned. */
const ALIGNMENT = 64;

/** The positions from `start` on along one axis. */
export interface Piece {
  readonly axis: number;
  readonly start: number;
  readonly size: number;
}

/**
 * Two halves of an expression along the first axis from `firstAxis` on that can be cut, or null
 * where there is none. Random numbers depend on the index itself and are not cut.
 */
export function halve({ shape, instrs }: Expression, firstAxis = 0): [Piece, Piece] | null {
  const axis = shape.findIndex((n, i) => i >= firstAxis && n > 1);
  if (axis < 0 || instrs.some((i) => i.op === "random")) return null;
  let cut = Math.floor(shape[axis] / 2);
  if (axis === shape.length - 1) cut = Math.floor(cut / ALIGNMENT) * ALIGNMENT;
  if (cut === 0) return null;
  return [{ axis, start: 0, size: cut }, { axis, start: cut, size: shape[axis] - cut }];
}

/** An expression over a piece of its index space. */
export function pieceOfExpression(body: Expression, piece: Piece): Expression {
  return {
    shape: body.shape.with(piece.axis, piece.size),
    operands: body.operands.map((access) => pieceOfAccess(access, piece)),
    instrs: body.instrs,
  };
}

/** An access over a piece of its index space. */
export function pieceOfAccess(access: Access, { axis, start }: Piece): Access {
  return { ...access, offset: access.offset + start * access.strides[axis] };
}
