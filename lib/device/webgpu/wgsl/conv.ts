/**
 * Convolution and its gradients as matrix products whose operands are gathered from images on the
 * way into workgroup memory (implicit GEMM), NHWC and [kh, kw, C, O]:
 *
 * | product | rows | columns | k |
 * | --- | --- | --- | --- |
 * | forward: patches of x times w | output pixels | O | taps x C |
 * | input gradient: patches of dy times w | input pixels | C | taps x O |
 * | weight gradient: patches of x times dy | taps x C | O | output pixels |
 *
 * @module
 */

import type { Access, ConvKernel, Epilogue } from "../../../compile/plan.ts";
import { sizeOf } from "../../../tensor/tensor.ts";
import type { Dispatch, Target } from "../dispatch.ts";
import { type Gemm, type GemmOperand, generateGemm } from "./gemm.ts";
import { generateMatmul, loadFunction, matrixOperand } from "./matmul.ts";
import type { Memory, View } from "./memory.ts";

/** Code for a convolution or one of its gradients. */
export function generateConv(kernel: ConvKernel, target: Target): Dispatch[] {
  const { kernel: [kh, kw], stride, padding } = kernel.geometry;
  const pointwise = kh === 1 && kw === 1 && stride === 1 && padding === 0;
  if (pointwise) return generatePointwise(kernel, target);
  const [n, , , channels] = kernel.inputShape;
  const [, height, width, outputs] = kernel.outputShape;
  const pixels = n * height * width;
  const taps = kh * kw;
  const common = { batch: 1, epilogue: kernel.epilogue, label: kernel.label };
  const [first, second] = kernel.operands.map((block): Access => ({
    ...block,
    strides: [],
    dtype: "f32",
  }));
  switch (kernel.kind) {
    case "conv2d": {
      const gemm: Gemm = { ...common, rows: pixels, columns: outputs, depth: taps * channels };
      return generateGemm(gemm, target, (memory) => [
        patches(memory, kernel, first, "forward"),
        matrixOperand(
          memory,
          { ...second, strides: [0, outputs, 1] },
          [1, taps * channels, outputs],
          2,
          1,
        ),
      ]);
    }
    case "conv2dGradInput": {
      const rows = sizeOf(kernel.inputShape.slice(0, 3));
      const gemm: Gemm = { ...common, rows, columns: channels, depth: taps * outputs };
      return generateGemm(gemm, target, (memory) => [
        patches(memory, kernel, first, "gradient"),
        transposedWeights(memory, second, taps, channels, outputs),
      ]);
    }
    case "conv2dGradWeight": {
      const gemm: Gemm = { ...common, rows: taps * channels, columns: outputs, depth: pixels };
      return generateGemm(gemm, target, (memory) => [
        patchesByTap(memory, kernel, first),
        matrixOperand(memory, { ...second, strides: [0, outputs, 1] }, [1, pixels, outputs], 2, 1),
      ]);
    }
  }
}

/** 1x1 convolutions are plain matrix products. */
function generatePointwise(kernel: ConvKernel, target: Target): Dispatch[] {
  const channels = kernel.inputShape[3];
  const outputs = kernel.outputShape[3];
  const pixels = sizeOf(kernel.inputShape.slice(0, 3));
  const matrix = (operand: 0 | 1, rowStride: number, columnStride: number): Access => ({
    ...kernel.operands[operand],
    strides: [0, rowStride, columnStride],
    dtype: "f32",
  });
  const product = (m: number, n: number, k: number, a: Access, b: Access): Dispatch[] => {
    const epilogue: Epilogue = kernel.epilogue;
    const label = kernel.label;
    return generateMatmul({ kind: "matmul", batch: 1, m, n, k, a, b, epilogue, label }, target);
  };
  switch (kernel.kind) {
    case "conv2d":
      return product(pixels, outputs, channels, matrix(0, channels, 1), matrix(1, outputs, 1));
    case "conv2dGradInput":
      return product(pixels, channels, outputs, matrix(0, outputs, 1), matrix(1, 1, outputs));
    case "conv2dGradWeight":
      return product(channels, outputs, pixels, matrix(0, 1, channels), matrix(1, outputs, 1));
  }
}

/**
 * Rows are pixels, k runs over taps and channels of the image that is read: x around an output
 * pixel (`forward`), or dy around an input pixel (`gradient`).
 */
function patches(
  memory: Memory,
  kernel: ConvKernel,
  access: Access,
  direction: "forward" | "gradient",
): GemmOperand {
  const { kernel: [kh, kw], stride, padding } = kernel.geometry;
  const forward = direction === "forward";
  const shape = forward ? kernel.inputShape : kernel.outputShape;
  const [, height, width, channels] = shape;
  const [, rowsDown, rowsAcross] = forward ? kernel.outputShape : kernel.inputShape;
  const { view, vector } = imageView(memory, access, sizeOf(shape), channels);
  const lanes = vector ? "k" : "scalar";
  // The position that a tap reads along one axis; -1 where a strided gradient has none.
  const position = (axis: string, tap: string) =>
    forward
      ? `let ${axis} = i32(${axis}0 * ${stride}u + ${tap}) - ${padding};`
      : stride === 1
      ? `let ${axis} = i32(${axis}0) + ${padding} - i32(${tap});`
      : `let ${axis}t = i32(${axis}0) + ${padding} - i32(${tap}); let ${axis} = ` +
        `select(${axis}t / ${stride}, -1, (${axis}t < 0) | (${axis}t % ${stride} != 0));`;
  const code = `let tap = k / ${channels}u;
let x0 = line % ${rowsAcross}u;
let y0 = line / ${rowsAcross}u % ${rowsDown}u;
let n = line / ${rowsAcross * rowsDown}u;
${position("y", `tap / ${kw}u`)}
${position("x", `tap % ${kw}u`)}
let at = ((n * ${height}u + u32(y)) * ${width}u + u32(x)) * ${channels}u + k % ${channels}u;`;
  return {
    lanes,
    declare(name, exact) {
      const known = exact ? "" : ` & (tap < ${kh * kw}u)`;
      return loadFunction(name, view, lanes, code, `${inImage(height, width)}${known}`);
    },
  };
}

/** Rows are taps x channels of x, k runs over output pixels. */
function patchesByTap(memory: Memory, kernel: ConvKernel, access: Access): GemmOperand {
  const { kernel: [, kw], stride, padding } = kernel.geometry;
  const [, height, width, channels] = kernel.inputShape;
  const [, down, across] = kernel.outputShape;
  const pixels = sizeOf(kernel.outputShape.slice(0, 3));
  const { view, vector } = imageView(memory, access, sizeOf(kernel.inputShape), channels);
  const lanes = vector ? "line" : "scalar";
  const code = `let tap = line / ${channels}u;
let y = i32(k / ${across}u % ${down}u * ${stride}u + tap / ${kw}u) - ${padding};
let x = i32(k % ${across}u * ${stride}u + tap % ${kw}u) - ${padding};
let n = k / ${across * down}u;
let at = ((n * ${height}u + u32(y)) * ${width}u + u32(x)) * ${channels}u + line % ${channels}u;`;
  return {
    lanes,
    declare(name, exact) {
      const known = exact ? "" : ` & (k < ${pixels}u)`;
      return loadFunction(name, view, lanes, code, `${inImage(height, width)}${known}`);
    },
  };
}

/** w [taps, C, O] with columns C and k over taps x O. */
function transposedWeights(
  memory: Memory,
  access: Access,
  taps: number,
  channels: number,
  outputs: number,
): GemmOperand {
  const { view, vector } = imageView(memory, access, taps * channels * outputs, outputs);
  const lanes = vector ? "k" : "scalar";
  const code = `let at = (k / ${outputs}u * ${channels}u + line) * ${outputs}u + k % ${outputs}u;`;
  return {
    lanes,
    declare: (name, exact) =>
      loadFunction(name, view, lanes, code, exact ? "" : `k < ${taps * outputs}u`),
  };
}

/**
 * Whether the signed position (x, y) is a pixel; negative numbers are large unsigned ones. With &
 * rather than &&, which would be a branch.
 */
function inImage(height: number, width: number): string {
  return `(u32(y) < ${height}u) & (u32(x) < ${width}u)`;
}

function imageView(
  memory: Memory,
  access: Access,
  length: number,
  channels: number,
): { view: View; vector: boolean } {
  const vector = channels % 4 === 0 && access.offset % 4 === 0;
  return { view: memory.view(access, length, { vector }), vector };
}
