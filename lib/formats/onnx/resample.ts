/**
 * Resampling of images of any size to one size, as ONNX nodes that compute what the libraries
 * compute to which feature extractors owe their numbers. ONNX's own Resize differs from them by up
 * to 0.003 grey levels, because it rounds positions and weights differently.
 *
 * @module
 */

import type { OnnxGraph, OnnxValue } from "./model.ts";

const FLOAT32 = { to: 1 } as const;
const INT64 = { to: 7 } as const;
const FLOAT64 = { to: 11 } as const;

/**
 * Bilinear interpolation between the nearest two pixels of each axis, columns first, in float32.
 *
 * @param x `[N, C, H, W]`, float32
 * @param size height and width of the result
 * @param centres "corner": output pixel i lies at i * in / out, as in TensorFlow 1's
 * `resize_bilinear`; "half-pixel": at (i + 0.5) * in / out - 0.5, as in PyTorch
 */
export function bilinear(
  graph: OnnxGraph,
  x: OnnxValue,
  size: number,
  centres: "corner" | "half-pixel",
): OnnxValue {
  const number = (value: number) => graph.constant(Float32Array.of(value), []);
  const one = number(1);
  for (const axis of [3, 2]) {
    const length = axisLength(graph, x, axis, FLOAT32.to);
    const scale = graph.node("Div", [length, number(size)]);
    const half = centres === "half-pixel" ? 0.5 : 0;
    const numbers = graph.constant(Float32Array.from({ length: size }, (_, i) => i + half));
    const product = graph.node("Mul", [numbers, scale]);
    const shifted = graph.node("Sub", [product, number(half)]);
    const place = graph.node("Max", [shifted, number(0)]);
    const low = graph.node("Floor", [place]);
    const last = graph.node("Sub", [length, one]);
    const high = graph.node("Min", [graph.node("Add", [low, one]), last]);
    const [a, b] = [low, high].map((index) =>
      graph.node("Gather", [x, graph.node("Cast", [index], INT64)], { axis })
    );
    const shape = axis === 3 ? [size] : [size, 1];
    const share = graph.node("Reshape", [
      graph.node("Sub", [place, low]),
      graph.constant(BigInt64Array.from(shape, BigInt)),
    ]);
    if (centres === "corner") {
      // a + (b - a) d, and PyTorch a (1 - d) + b d: the last bits follow.
      const step = graph.node("Mul", [graph.node("Sub", [b, a]), share]);
      x = graph.node("Add", [a, step]);
    } else {
      const rest = graph.node("Sub", [one, share]);
      x = graph.node("Add", [graph.node("Mul", [a, rest]), graph.node("Mul", [b, share])]);
    }
  }
  return x;
}

/** The cubic's parameter in Pillow, Matlab and antialiased PyTorch; OpenCV has -0.75. */
const CUBIC = -0.5;

/**
 * Pillow's BICUBIC for images of mode F: the cubic (a = -0.5) stretched by in / out where the image
 * shrinks, weights in float64 that sum to one, columns first, float32 between the passes.
 *
 * @param x `[N, C, H, W]`, float32
 * @param size height and width of the result
 */
export function pillowBicubic(graph: OnnxGraph, x: OnnxValue, size: number): OnnxValue {
  const columns = bicubicWeights(graph, axisLength(graph, x, 3, INT64.to), size);
  const rows = bicubicWeights(graph, axisLength(graph, x, 2, INT64.to), size);
  x = graph.node("MatMul", [x, graph.node("Transpose", [columns], { perm: [1, 0] })]);
  return graph.node("MatMul", [rows, x]);
}

/** What each of `length` pixels adds to each of `size` new ones, `[size, length]`, float32. */
function bicubicWeights(graph: OnnxGraph, length: OnnxValue, size: number): OnnxValue {
  const number = (value: number) => graph.constant(Float64Array.of(value), []);
  const op = (operator: string, ...inputs: OnnxValue[]) => graph.node(operator, inputs);
  const int = (value: number) => graph.constant(BigInt64Array.of(BigInt(value)), []);
  const pixels = graph.node("Cast", [op("Range", int(0), length, int(1))], FLOAT64);
  const scale = op("Div", graph.node("Cast", [length], FLOAT64), number(size));
  const centres = op(
    "Mul",
    graph.constant(Float64Array.from({ length: size }, (_, i) => i + 0.5), [size, 1]),
    scale,
  );
  const stretch = op("Max", scale, number(1));
  const distance = op(
    "Abs",
    op("Div", op("Sub", op("Add", pixels, number(0.5)), centres), stretch),
  );
  /** Horner's scheme, highest power first. */
  const polynomial = (...[first, ...rest]: number[]): OnnxValue =>
    rest.reduce<OnnxValue>(
      (sum, coefficient) => op("Add", op("Mul", sum, distance), number(coefficient)),
      number(first),
    );
  const near = polynomial(CUBIC + 2, -(CUBIC + 3), 0, 1);
  const far = polynomial(CUBIC, -5 * CUBIC, 8 * CUBIC, -4 * CUBIC);
  const outer = op("Where", op("Less", distance, number(2)), far, number(0));
  const weights = op("Where", op("Less", distance, number(1)), near, outer);
  const sums = graph.node("ReduceSum", [weights, graph.constant(BigInt64Array.of(1n))]);
  return graph.node("Cast", [op("Div", weights, sums)], FLOAT32);
}

/** The length of an axis as a scalar. */
function axisLength(graph: OnnxGraph, x: OnnxValue, axis: number, type: number): OnnxValue {
  const shape = graph.node("Shape", [x], { start: axis, end: axis + 1 });
  const scalar = graph.node("Squeeze", [shape]);
  return type === INT64.to ? scalar : graph.node("Cast", [scalar], { to: type });
}
