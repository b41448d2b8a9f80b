/**
 * Matrix products over strided memory. Thin ones, where tiles would be mostly empty, are done as
 * reductions.
 *
 * @module
 */

import type { Access } from "../../../compile/kernels/kernel.ts";
import type { MatmulKernel } from "../../../compile/kernels/matmul.ts";
import type { Dispatch, Target } from "../dispatch.ts";
import { extent, times } from "./expression.ts";
import { type GemmOperand, generateGemm } from "./gemm.ts";
import type { LoadLanes } from "./gemm_tile.ts";
import type { Memory, View } from "./memory.ts";
import { generateReduce } from "./reduce.ts";

/** Below this many rows or columns a product is a reduction. */
const THIN = 8;

/** Code for a matrix product. */
export function generateMatmul(kernel: MatmulKernel, target: Target): Dispatch[] {
  const { batch, m, n, k, a, b, epilogue, label } = kernel;
  if (isThin(kernel, target)) return generateThin(kernel, target);
  return generateGemm(
    { batch, rows: m, columns: n, depth: k, epilogue, label },
    target,
    (memory) => [
      matrixOperand(memory, a, [batch, m, k], 1, 2),
      matrixOperand(memory, b, [batch, k, n], 2, 1),
    ],
  );
}

/** Whether a product is done as a reduction. */
export function isThin({ m, n }: MatmulKernel, target: Target): boolean {
  // Samples are rows here: where their number may not matter, few rows are tiled like many.
  return n < THIN || (m < THIN && !target.batchInvariant);
}

/** A matrix in memory as one side of a product; `line` and `k` are the numbers of its axes. */
export function matrixOperand(
  memory: Memory,
  access: Access,
  shape: readonly [number, number, number],
  line: 1 | 2,
  k: 1 | 2,
): GemmOperand {
  const axis = (number: 0 | 1 | 2) => ({ size: shape[number], stride: access.strides[number] });
  return stridedOperand(memory, access, extent(shape, access), {
    batch: [{ ...axis(0), index: "batch" }],
    line: axis(line),
    k: axis(k),
  });
}

/** Along which an operand of a product is strided. */
export interface OperandAxis {
  readonly size: number;
  readonly stride: number;
}

/** The axes of an operand; `batch` may be several, each with WGSL that makes its index. */
export interface OperandAxes {
  readonly batch: readonly (OperandAxis & { readonly index: string })[];
  readonly line: OperandAxis;
  readonly k: OperandAxis;
}

/** Strided memory as one side of a product: `length` elements from the access on. */
export function stridedOperand(
  memory: Memory,
  access: Access,
  length: number,
  { batch, line, k }: OperandAxes,
): GemmOperand {
  const alignedAlong = (axis: OperandAxis, across: OperandAxis) =>
    axis.stride === 1 && axis.size % 4 === 0 && access.offset % 4 === 0 &&
    across.stride % 4 === 0 && batch.every(({ size, stride }) => size === 1 || stride % 4 === 0);
  const lanes = alignedAlong(k, line) ? "k" : alignedAlong(line, k) ? "line" : "scalar";
  const view = memory.view(access, length, { vector: lanes !== "scalar" });
  const at = [...batch, { ...line, index: "line" }, { ...k, index: "k" }]
    .filter(({ size, stride }) => size !== 1 && stride !== 0)
    .map(({ index, stride }) => times(index, stride)).join(" + ") || "0u";
  return {
    lanes,
    declare: (name, exact) =>
      loadFunction(name, view, lanes, `let at = ${at};`, exact ? "" : `k < ${k.size}u`),
  };
}

/**
 * Declares a load function of a product: `code` computes the index `at`, and the result is zero
 * where `condition` does not hold. There is no branch: a branch costs more than a load.
 */
export function loadFunction(
  name: string,
  view: View,
  lanes: LoadLanes,
  code: string,
  condition: string,
): string {
  const type = lanes === "scalar" ? "f32" : "vec4<f32>";
  const load = (at: string) => lanes === "scalar" ? view.load(at) : view.load4(at);
  const result = condition === "" ? `return ${load("at")};` : `let inside = ${condition};
return select(${type}(0.0), ${load("select(0u, at, inside)")}, inside);`;
  return `fn ${name}(batch: u32, line: u32, k: u32) -> ${type} {
${code}
${result}
}
`;
}

function generateThin(kernel: MatmulKernel, target: Target): Dispatch[] {
  const { batch, m, n, k, a, b, epilogue, label } = kernel;
  const [ab, am, ak] = a.strides;
  const [bb, bk, bn] = b.strides;
  return generateReduce({
    kind: "reduce",
    body: {
      shape: [batch, m, n, k],
      operands: [{ ...a, strides: [ab, am, 0, ak] }, { ...b, strides: [bb, 0, bn, bk] }],
      instrs: [
        { op: "load", operand: 0 },
        { op: "load", operand: 1 },
        { op: "map", fn: "mul", args: [0, 1] },
      ],
    },
    keptRank: 3,
    reductions: [{ fn: "sum", value: 2 }],
    epilogue,
    label,
  }, target);
}
