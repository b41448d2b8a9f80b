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

import type { ConvKernel } from "../../../compile/kernels/conv.ts";
import type { Access } from "../../../compile/kernels/kernel.ts";
import type { MatmulKernel } from "../../../compile/kernels/matmul.ts";
import { sizeOf } from "../../../tensor/tensor.ts";
import type { Dispatch, Target } from "../dispatch.ts";
import type { ProductSizes } from "../tiles.ts";
import { type Gemm, type GemmOperand, generateGemm } from "./gemm.ts";
import { generateMatmul, loadFunction, matrixOperand } from "./matmul.ts";
import type { Memory, View } from "./memory.ts";

/** Code for a convolution or one of its gradients. */
export function generateConv(kernel: ConvKernel, target: Target): Dispatch[] {
  const matmul = asMatmul(kernel);
  if (matmul) return generateMatmul(matmul, target);
  const gemm: Gemm = { ...convSizes(kernel), epilogue: kernel.epilogue, label: kernel.label };
  const outputs = kernel.outputShape[3];
  const [first, second] = kernel.operands.map((block): Access => ({
    ...block,
    strides: [0, outputs, 1],
  }));
  // The right side of the forward product and of that of the weight gradient: [k, outputs].
  const rowsOfOutputs = (memory: Memory) =>
    matrixOperand(memory, second, [1, gemm.depth, outputs], 2, 1);
  switch (kernel.kind) {
    case "conv2d":
      return generateGemm(
        gemm,
        target,
        (memory) => [patches(memory, kernel, first, "forward"), rowsOfOutputs(memory)],
      );
    case "conv2dGradInput":
      return generateGemm(
        gemm,
        target,
        (memory) => [
          patches(memory, kernel, first, "gradient"),
          transposedWeights(memory, second, kernel),
        ],
      );
    case "conv2dGradWeight":
      return generateGemm(
        gemm,
        target,
        (memory) => [patchesByTap(memory, kernel, first), rowsOfOutputs(memory)],
      );
  }
}

/** The product that a convolution is. */
export function convSizes({ kind, geometry, inputShape, outputShape }: ConvKernel): ProductSizes {
  const taps = geometry.kernel[0] * geometry.kernel[1];
  const [channels, outputs] = [inputShape[3], outputShape[3]];
  const inputPixels = sizeOf(inputShape.slice(0, 3));
  const outputPixels = sizeOf(outputShape.slice(0, 3));
  switch (kind) {
    case "conv2d":
      return { batch: 1, rows: outputPixels, columns: outputs, depth: taps * channels };
    case "conv2dGradInput":
      return { batch: 1, rows: inputPixels, columns: channels, depth: taps * outputs };
    case "conv2dGradWeight":
      return { batch: 1, rows: taps * channels, columns: outputs, depth: outputPixels };
  }
}

/** 1x1 convolutions are plain matrix products; null for others. */
export function asMatmul(kernel: ConvKernel): MatmulKernel | null {
  const { kernel: [kh, kw], stride, padding } = kernel.geometry;
  if (kh !== 1 || kw !== 1 || stride !== 1 || padding !== 0) return null;
  const channels = kernel.inputShape[3];
  const outputs = kernel.outputShape[3];
  const { batch, rows: m, columns: n, depth: k } = convSizes(kernel);
  const matrix = (operand: 0 | 1, rowStride: number, columnStride: number): Access => ({
    ...kernel.operands[operand],
    strides: [0, rowStride, columnStride],
  });
  const [a, b] = {
    conv2d: [matrix(0, channels, 1), matrix(1, outputs, 1)],
    conv2dGradInput: [matrix(0, outputs, 1), matrix(1, 1, outputs)],
    conv2dGradWeight: [matrix(0, 1, channels), matrix(1, outputs, 1)],
  }[kernel.kind];
  return { kind: "matmul", batch, m, n, k, a, b, epilogue: kernel.epilogue, label: kernel.label };
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
function transposedWeights(memory: Memory, access: Access, kernel: ConvKernel): GemmOperand {
  const { columns: channels, depth } = convSizes(kernel);
  const outputs = kernel.outputShape[3];
  const { view, vector } = imageView(memory, access, channels * depth, outputs);
  const lanes = vector ? "k" : "scalar";
  const code = `let at = (k / ${outputs}u * ${channels}u + line) * ${outputs}u + k % ${outputs}u;`;
  return {
    lanes,
    declare: (name, exact) => loadFunction(name, view, lanes, code, exact ? "" : `k < ${depth}u`),
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
