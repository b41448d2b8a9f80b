/**
 * Functions that a tape computes in one pass over its registers instead of several: most of an
 * element-wise function's time is spent on loading and storing registers. The bits are the same.
 *
 * @module
 */

import { type Expression, type Instr, scalarType } from "../../compile/kernels/kernel.ts";
import type { DType, MapFn } from "../../tensor/tensor.ts";
import { resultType } from "./opcodes.ts";

/**
 * What several functions of float32 amount to: `mulAdd` a b + c, `mulSubFrom` c - a b, `subMul`
 * (a - b) c, `silu` a sigmoid(a), and `siluGrad`, its derivative.
 */
export type FusedFn = "mulAdd" | "mulSubFrom" | "subMul" | "silu" | "siluGrad";

/** An instruction of a tape; null: not computed. */
export type TapeInstr =
  | Instr
  | { readonly op: "map"; readonly fn: FusedFn; readonly args: readonly number[] }
  | null;

/**
 * The instructions of an expression, with the same numbers, in which some are fused into the one
 * that uses them. Those that are `needed` otherwise stay.
 */
export function fuse({ instrs, operands }: Expression, needed: readonly number[]): TapeInstr[] {
  const list: TapeInstr[] = [...instrs];
  const types: DType[] = [];
  const uses = instrs.map(() => 0);
  for (const i of needed) uses[i]++;
  instrs.forEach((instr) => {
    types.push(typeOf(instr, operands, types));
    if (instr.op === "map") { for (const arg of instr.args) uses[arg]++; }
  });

  /** The arguments of instruction `i`, if it is `fn` and used `count` times in all. */
  const args = (i: number, fn: MapFn, count = 1): readonly number[] | null => {
    const instr = list[i];
    return instr?.op === "map" && instr.fn === fn && uses[i] === count ? instr.args : null;
  };
  const isOne = (i: number) => {
    const instr = list[i];
    return instr?.op === "const" && instr.value === 1;
  };
  const drop = (i: number) => {
    const instr = list[i];
    list[i] = null;
    if (instr?.op !== "map") return;
    for (const arg of instr.args) {
      uses[arg]--;
      if (uses[arg] === 0 && list[arg]?.op === "const") list[arg] = null;
    }
  };
  const replace = (i: number, absorbed: readonly number[], fn: FusedFn, to: readonly number[]) => {
    for (const arg of to) uses[arg]++;
    for (const j of [i, ...absorbed]) drop(j);
    list[i] = { op: "map", fn, args: to };
  };

  /** s (1 + u (1 - s)) with s = sigmoid(u). */
  const siluGrad = (i: number, s: number, sum: number): boolean => {
    const [u] = args(s, "sigmoid", 2) ?? [];
    const terms = args(sum, "add");
    if (u === undefined || !terms) return false;
    for (const [product, one] of bothWays(terms)) {
      for (const [factor, rest] of bothWays(args(product, "mul") ?? [])) {
        const difference = args(rest, "sub");
        if (factor !== u || !isOne(one) || !difference) continue;
        if (difference[1] !== s || !isOne(difference[0])) continue;
        replace(i, [sum, product, rest, s], "siluGrad", [u]);
        return true;
      }
    }
    return false;
  };

  for (let i = list.length - 1; i >= 0; i--) {
    const instr = list[i];
    if (instr?.op !== "map" || types[i] !== "f32" || types[instr.args[0]] !== "f32") continue;
    const pairs = bothWays(instr.args);
    if (instr.fn === "mul") {
      if (pairs.some(([s, sum]) => siluGrad(i, s, sum))) continue;
      const gate = pairs.find(([u, s]) => args(s, "sigmoid")?.[0] === u);
      if (gate) {
        replace(i, [gate[1]], "silu", [gate[0]]);
        continue;
      }
      const scaled = pairs.find(([difference]) => args(difference, "sub"));
      if (!scaled) continue;
      replace(i, [scaled[0]], "subMul", [...args(scaled[0], "sub")!, scaled[1]]);
    } else if (instr.fn === "add") {
      const sum = pairs.find(([product]) => args(product, "mul"));
      if (sum) replace(i, [sum[0]], "mulAdd", [...args(sum[0], "mul")!, sum[1]]);
    } else if (instr.fn === "sub") {
      const [whole, product] = instr.args;
      const factors = args(product, "mul");
      if (factors) replace(i, [product], "mulSubFrom", [...factors, whole]);
    }
  }
  return list;
}

function bothWays(pair: readonly number[]): readonly [number, number][] {
  const [a, b] = pair;
  return pair.length === 2 ? [[a, b], [b, a]] : [];
}

function typeOf(instr: Instr, operands: Expression["operands"], types: readonly DType[]): DType {
  switch (instr.op) {
    case "load":
      return scalarType(operands[instr.operand].dtype);
    case "const":
      return instr.dtype;
    case "map":
      return resultType(instr.fn, instr.args.map((arg) => types[arg]));
    default:
      return "f32";
  }
}
