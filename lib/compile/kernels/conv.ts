/**
 * Convolutions and their gradients.
 *
 * @module
 */

import { type ConvGeometry, type Shape, sizeOf } from "../../tensor/tensor.ts";
import { type Block, type Description, type Epilogue, type KernelOf, reads } from "./kernel.ts";
import { printEpilogue } from "./text.ts";

/** Convolution and its gradients, NHWC and [kh,kw,C,O], all operands contiguous. */
export interface ConvKernel extends KernelOf<"conv2d" | "conv2dGradInput" | "conv2dGradWeight"> {
  /** Of the convolution, also for its gradients. */
  readonly geometry: ConvGeometry;
  /** Shape of the convolution's input [N,H,W,C]. */
  readonly inputShape: Shape;
  /** Shape of the convolution's output [N,H',W',O]. */
  readonly outputShape: Shape;
  /** conv2d: x, w. conv2dGradInput: dy, w. conv2dGradWeight: x, dy. */
  readonly operands: readonly [Block, Block];
  /** Index space: rows x columns of the result, columns = its last axis. */
  readonly epilogue: Epilogue;
}

/** Of convolutions and their gradients. */
export const conv: Description<ConvKernel> = {
  operands({ kind, geometry, inputShape, outputShape }) {
    const x = reads(...inputShape);
    const w = reads(...geometry.kernel, inputShape[3], outputShape[3]);
    const y = reads(...outputShape);
    return {
      operands: { conv2d: [x, w], conv2dGradInput: [y, w], conv2dGradWeight: [x, y] }[kind],
    };
  },
  flops({ geometry: { kernel: [height, width] }, inputShape, outputShape }) {
    return 2 * sizeOf(outputShape) * height * width * inputShape[3];
  },
  print: ({ label, inputShape, epilogue }) =>
    `${label} of [${inputShape}] ${printEpilogue(epilogue)}`,
};
