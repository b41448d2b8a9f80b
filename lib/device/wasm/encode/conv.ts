/**
 * Convolutions and their gradients as matrix products.
 *
 * @module
 */

import type { ConvKernel } from "../../../compile/kernels/conv.ts";
import { InternalError } from "../../../base/errors.ts";
import type { Shape } from "../../../tensor/tensor.ts";
import type { Encoder } from "../encoder.ts";
import type { Pointer } from "../words.ts";
import {
  encodePackedProduct,
  encodeRowProduct,
  imagesTogether,
  type Matrix,
  segmented,
} from "./product.ts";
import { encodeWinograd, encodeWinogradGrad } from "./winograd.ts";

/** Appends a convolution or one of its gradients. */
export function encodeConv(encoder: Encoder, kernel: ConvKernel): void {
  const { geometry: { kernel: [kh, kw], stride, padding }, inputShape, outputShape } = kernel;
  const [first, second] = kernel.operands.map((block) => encoder.address(block));
  const taps = kh * kw;
  const channels = inputShape[3];
  const outs = outputShape[3];
  const inputPixels = inputShape[0] * inputShape[1] * inputShape[2];
  const outputPixels = outputShape[0] * outputShape[1] * outputShape[2];
  // A 1x1 convolution is a matrix product of pixels.
  const plain = taps === 1 && stride === 1 && padding === 0;
  const pixels = (start: number, width: number): Matrix => ({
    start,
    batchStride: 0,
    rowStride: width,
    columnStride: 1,
  });
  switch (kernel.kind) {
    case "conv2d": {
      const weights = {
        weights: second,
        strides: [channels * outs, outs, 1],
        flipped: false,
      } as const;
      const operands = { images: first, shape: inputShape, outputs: outs, ...weights };
      if (encodeWinograd(encoder, kernel, operands, kernel.epilogue)) return;
      const size = { batch: 1, m: outputPixels, n: outs, k: taps * channels };
      const rows = plain ? { kind: "matrix", matrix: pixels(first, channels) } as const : {
        kind: "image",
        image: image(encoder, kernel, first, inputShape, outputShape, false),
        taps,
        channels,
        pixels: outputShape[1] * outputShape[2],
        padded: padding > 0,
      } as const;
      const right = segmented(pixels(second, outs), size.k);
      return encodeRowProduct(encoder, size, rows, right, kernel.epilogue);
    }
    case "conv2dGradInput": {
      const weights = {
        weights: second,
        strides: [channels * outs, 1, outs],
        flipped: true,
      } as const;
      const operands = { images: first, shape: outputShape, outputs: channels, ...weights };
      if (encodeWinograd(encoder, kernel, operands, kernel.epilogue)) return;
      const size = { batch: 1, m: inputPixels, n: channels, k: taps * outs };
      const rows = plain ? { kind: "matrix", matrix: pixels(first, outs) } as const : {
        kind: "image",
        image: image(encoder, kernel, first, outputShape, inputShape, true),
        taps,
        channels: outs,
        pixels: inputShape[1] * inputShape[2],
        padded: padding > 0,
      } as const;
      const right = {
        start: second,
        batchStride: 0,
        rowStride: 1,
        columnStride: outs,
        segments: taps,
        segmentStride: channels * outs,
      };
      return encodeRowProduct(encoder, size, rows, right, kernel.epilogue);
    }
    case "conv2dGradWeight": {
      if (encodeWinogradGrad(encoder, kernel, first, second)) return;
      const size = { batch: 1, m: taps * channels, n: outs, k: outputPixels };
      const perImage = outputShape[1] * outputShape[2];
      const together = imagesTogether(outputShape[0], perImage, padding > 0);
      const columns = plain ? { kind: "matrix", matrix: pixels(first, channels) } as const : {
        kind: "image",
        image: image(encoder, kernel, first, inputShape, outputShape, false),
        together,
      } as const;
      // Images that take turns are packed as one segment.
      const segments = outputShape[0] / together;
      const right = together === 1 || plain ? segmented(pixels(second, outs), size.k) : {
        ...pixels(second, outs),
        segments,
        segmentStride: together * perImage * outs,
      };
      return encodePackedProduct(encoder, size, columns, right, kernel.epilogue);
    }
    default:
      throw new InternalError(`${kernel.kind satisfies never} is not a convolution`);
  }
}

/** Images that a product reads (convolution.rs): `shape` seen from the pixels of `other`. */
function image(
  encoder: Encoder,
  { geometry }: ConvKernel,
  start: number,
  [, height, width, channels]: Shape,
  [, otherHeight, otherWidth]: Shape,
  transposed: boolean,
): Pointer {
  return encoder.words.add([
    start,
    height,
    width,
    channels,
    otherHeight,
    otherWidth,
    ...geometry.kernel,
    geometry.stride,
    geometry.padding,
    transposed ? 1 : 0,
    encoder.zeros(channels),
  ]);
}
