/**
 * Layers of image classifiers as ONNX nodes. Images are `[N, C, H, W]`; weights have PyTorch's
 * layouts.
 *
 * @module
 */

import type { OnnxGraph, OnnxValue } from "./model.ts";

/** Weights of a layer, row-major. */
export interface OnnxWeights {
  readonly data: Float32Array;
  readonly shape: readonly number[];
}

/** x weight^T + bias for x `[N, in]`, weight `[out, in]`, bias `[out]`: `[N, out]`. */
export function linear(
  graph: OnnxGraph,
  x: OnnxValue,
  weight: OnnxWeights,
  bias?: Float32Array,
): OnnxValue {
  const inputs = [x, graph.constant(weight.data, weight.shape)];
  if (bias) inputs.push(graph.constant(bias));
  return graph.node("Gemm", inputs, { transB: 1 });
}

/** Steps and zero padding; a pair is (rows, columns). */
export interface WindowOptions {
  readonly stride?: number;
  readonly padding?: number | readonly [number, number];
}

/** Cross-correlation of x `[N, I, H, W]` with weight `[O, I, kh, kw]`, plus bias `[O]`. */
export function conv2d(
  graph: OnnxGraph,
  x: OnnxValue,
  weight: OnnxWeights,
  bias?: Float32Array,
  options: WindowOptions = {},
): OnnxValue {
  const inputs = [x, graph.constant(weight.data, weight.shape)];
  if (bias) inputs.push(graph.constant(bias));
  const [, , height, width] = weight.shape;
  return graph.node("Conv", inputs, window(height, width, options));
}

/** The largest value of each square window. Padding never wins. */
export function maxPool(
  graph: OnnxGraph,
  x: OnnxValue,
  size: number,
  options: WindowOptions = {},
): OnnxValue {
  return graph.node("MaxPool", [x], window(size, size, options));
}

/** The mean of each square window; padding is not counted. */
export function averagePool(
  graph: OnnxGraph,
  x: OnnxValue,
  size: number,
  options: WindowOptions = {},
): OnnxValue {
  return graph.node("AveragePool", [x], window(size, size, options));
}

/** The mean over all positions: `[N, C, H, W]` to `[N, C]`. */
export function globalAveragePool(graph: OnnxGraph, x: OnnxValue): OnnxValue {
  return flatten(graph, graph.node("GlobalAveragePool", [x]));
}

/** `[N, ...]` to `[N, product]`. */
export function flatten(graph: OnnxGraph, x: OnnxValue): OnnxValue {
  return graph.node("Flatten", [x], { axis: 1 });
}

/** max(x, 0) */
export function relu(graph: OnnxGraph, x: OnnxValue): OnnxValue {
  return graph.node("Relu", [x]);
}

/** x sigmoid(x) */
export function silu(graph: OnnxGraph, x: OnnxValue): OnnxValue {
  return graph.node("Mul", [x, graph.node("Sigmoid", [x])]);
}

/** Joins along an axis. */
export function concat(graph: OnnxGraph, xs: readonly OnnxValue[], axis: number): OnnxValue {
  return graph.node("Concat", xs, { axis });
}

/** scale x + shift with two numbers. */
export function affine(graph: OnnxGraph, x: OnnxValue, scale: number, shift: number): OnnxValue {
  const scaled = graph.node("Mul", [x, graph.constant(Float32Array.of(scale), [])]);
  return graph.node("Add", [scaled, graph.constant(Float32Array.of(shift), [])]);
}

function window(
  height: number,
  width: number,
  { stride = 1, padding = 0 }: WindowOptions,
): Record<string, number[]> {
  const [top, left] = typeof padding === "number" ? [padding, padding] : padding;
  return {
    kernel_shape: [height, width],
    strides: [stride, stride],
    pads: [top, left, top, left],
  };
}
