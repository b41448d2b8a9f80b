/**
 * Numbers that the kernels and the host agree on; wasm/kernels/src has the other side.
 *
 * @module
 */

import { InternalError } from "../../base/errors.ts";
import type { DType, MapFn } from "../../tensor/tensor.ts";
import type { FusedFn } from "./fuse.ts";

/** Kinds of phases (program.rs). */
export const PHASE = {
  elementwise: 0,
  reduce: 1,
  packPanels: 2,
  rowProduct: 3,
  packedProduct: 4,
  attention: 5,
  attentionDelta: 6,
  attentionGradQueries: 7,
  attentionGradKeys: 8,
  gather: 9,
  scatterAdd: 10,
  resample: 11,
  winogradWeights: 12,
  winograd: 13,
  winogradGrad: 14,
} as const;

/** Kinds of operands (tape.rs). */
export const OPERAND = {
  alias: 0,
  gather: 1,
  constant: 2,
  indices: 3,
  result: 4,
  partialSum: 5,
  partialMax: 6,
} as const;

/** Functions on float32 (functions.rs). */
const FLOAT: Readonly<Record<Exclude<MapFn | FusedFn, "toF32">, number>> = {
  add: 0,
  sub: 1,
  mul: 2,
  div: 3,
  min: 4,
  max: 5,
  lt: 6,
  le: 7,
  eq: 8,
  where: 9,
  neg: 10,
  abs: 11,
  exp: 12,
  expm1: 13,
  log: 14,
  sqrt: 15,
  rsqrt: 16,
  sin: 17,
  cos: 18,
  tanh: 19,
  sigmoid: 20,
  floor: 21,
  toI32: 23,
  mulAdd: 37,
  mulSubFrom: 38,
  subMul: 39,
  silu: 40,
  siluGrad: 41,
};

/** Functions on int32. */
const INTEGER: Readonly<Partial<Record<MapFn | FusedFn, number>>> = {
  where: 9,
  toF32: 22,
  add: 25,
  sub: 26,
  mul: 27,
  min: 28,
  max: 29,
  lt: 30,
  le: 31,
  eq: 32,
  neg: 33,
  abs: 34,
};

/** Integer to float. */
export const CONVERT = 22;

/** Random numbers from counters and a key. */
export const RANDOM = { uniform: 35, normal: 36 } as const;

/** The function for operands of a type, or null where it is the identity. */
export function opcode(fn: MapFn | FusedFn, dtype: DType): number | null {
  if (fn === (dtype === "f32" ? "toF32" : "toI32")) return null;
  const code = dtype === "f32" ? FLOAT[fn as keyof typeof FLOAT] : INTEGER[fn];
  if (code === undefined) throw new InternalError(`there is no ${fn} of ${dtype} numbers`);
  return code;
}

/** The type of a function's result. */
export function resultType(fn: MapFn | FusedFn, args: readonly DType[]): DType {
  switch (fn) {
    case "lt":
    case "le":
    case "eq":
    case "toF32":
      return "f32";
    case "toI32":
      return "i32";
    case "where":
      return args[1];
    default:
      return args[0];
  }
}
