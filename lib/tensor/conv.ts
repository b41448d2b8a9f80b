/**
 * 2-D convolution in NHWC, and its two gradients.
 *
 * The convolution is linear in the input and in the weight, and so are its gradients: each of the
 * three operations has the other two as its gradient rules.
 *
 * @module
 */

import { reshape } from "./broadcast.ts";
import { add } from "./elementwise.ts";
import { matmul } from "./matmul.ts";
import { requireRank, requireShape, requireType, shapeError, show } from "./shape.ts";
import { type ConvGeometry, make, type Shape, type Tensor } from "./tensor.ts";

/** Step and border of a convolution. */
export interface ConvOptions {
  /** Step between output positions. Default 1. */
  readonly stride?: number;
  /** Zeros on each side. Default (k-1)/2 for odd kernels ("same"), 0 for even ones. */
  readonly padding?: number;
}

/**
 * Cross-correlation, as torch.nn.functional.conv2d: x [N,H,W,C], w [kh,kw,C,O], bias [O] ->
 * [N,H',W',O] with H' = floor((H + 2 padding - kh) / stride) + 1.
 */
export function conv2d(x: Tensor, w: Tensor, bias?: Tensor, options: ConvOptions = {}): Tensor {
  requireRank("conv2d", "x [N, H, W, C]", x, 4);
  requireRank("conv2d", "w [kh, kw, C, O]", w, 4);
  requireType("conv2d", "x", x, "f32");
  const [kh, kw, channels, out] = w.shape;
  if (x.shape[3] !== channels) {
    throw shapeError(
      "conv2d",
      `x with the ${channels} channels of w ${show(w.shape)}`,
      show(x.shape),
    );
  }
  const { stride = 1, padding = Math.min(kh, kw) % 2 === 1 ? (Math.min(kh, kw) - 1) / 2 : 0 } =
    options;
  if (options.padding === undefined && kh !== kw) {
    throw shapeError(
      "conv2d",
      "an explicit padding for a kernel that is not square",
      `${kh}x${kw}`,
    );
  }
  if (bias) requireShape("conv2d", "bias", bias, [out]);
  if (kh === 1 && kw === 1 && stride === 1 && padding === 0) {
    // A 1x1 convolution is a matrix product over pixels, and so are its gradients.
    const rows = matmul(reshape(x, [x.size / channels, channels]), reshape(w, [channels, out]));
    return reshape(bias ? add(rows, bias) : rows, [...x.shape.slice(0, 3), out]);
  }
  const y = correlate(x, w, { kernel: [kh, kw], stride, padding });
  return bias ? add(y, bias) : y;
}

/** Gradient of a convolution with respect to its input of shape `inputShape`. */
export function conv2dGradInput(
  dy: Tensor,
  w: Tensor,
  inputShape: Shape,
  geometry: ConvGeometry,
): Tensor {
  requireShape("conv2dGradInput", "dy", dy, outputShape(inputShape, w.shape[3], geometry));
  return make({ kind: "conv2dGradInput", geometry }, [dy, w], inputShape, (g) => [
    correlate(g, w, geometry),
    conv2dGradWeight(g, dy, geometry),
  ]);
}

/** Gradient of a convolution with respect to its weight [kh,kw,C,O]. */
export function conv2dGradWeight(x: Tensor, dy: Tensor, geometry: ConvGeometry): Tensor {
  const out = dy.shape[3];
  requireShape("conv2dGradWeight", "dy", dy, outputShape(x.shape, out, geometry));
  const shape = [...geometry.kernel, x.shape[3], out];
  return make({ kind: "conv2dGradWeight", geometry }, [x, dy], shape, (g) => [
    conv2dGradInput(dy, g, x.shape, geometry),
    correlate(x, g, geometry),
  ]);
}

/** The node itself. */
function correlate(x: Tensor, w: Tensor, geometry: ConvGeometry): Tensor {
  const shape = outputShape(x.shape, w.shape[3], geometry);
  return make({ kind: "conv2d", geometry }, [x, w], shape, (g) => [
    conv2dGradInput(g, w, x.shape, geometry),
    conv2dGradWeight(x, g, geometry),
  ]);
}

function outputShape([n, h, w]: Shape, out: number, geometry: ConvGeometry): number[] {
  const { kernel, stride, padding } = geometry;
  const size = (length: number, k: number) => Math.floor((length + 2 * padding - k) / stride) + 1;
  const shape = [n, size(h, kernel[0]), size(w, kernel[1]), out];
  if (shape[1] < 1 || shape[2] < 1) {
    throw shapeError(
      "conv2d",
      `an image that holds the ${kernel[0]}x${kernel[1]} kernel`,
      `${h}x${w}`,
    );
  }
  return shape;
}
