/**
 * The oracle of the tests: evaluates a graph in float64, one operation after the other, in the
 * plainest way. Devices and fused plans are compared with it.
 */

import type { Arena } from "../../../lib/tensor/state.ts";
import {
  type MapFn,
  type Node,
  type Shape,
  sizeOf,
  type Tensor,
} from "../../../lib/tensor/tensor.ts";
import { hostWords, normal, uniform } from "./random.ts";
import {
  attention,
  attentionGrad,
  conv2d,
  conv2dGradInput,
  conv2dGradWeight,
  matmul,
  resample,
} from "./kernels.ts";

/** An evaluated tensor. i32 values are held as (exact) float64 too. */
export interface Value {
  readonly shape: Shape;
  readonly data: Float64Array;
}

/** The values of a graph's leaves. */
export interface GraphData {
  /** By the name of the input. */
  readonly inputs?: Readonly<Record<string, ArrayLike<number>>>;
  /** The whole content of each arena. */
  readonly state?: ReadonlyMap<Arena, ArrayLike<number>>;
}

/** Values of the given tensors, row-major, in float64. */
export function evaluateGraph(outputs: readonly Tensor[], data: GraphData = {}): Float64Array[] {
  const values = new Map<Tensor, Float64Array>();
  for (const node of nodesBehind(outputs)) {
    const inputs = node.inputs.map((x) => ({ shape: x.shape, data: values.get(x)! }));
    const results = evaluateNode(node, inputs, data);
    node.outputs.forEach((output, i) => {
      if (results[i].length !== output.size) {
        throw new Error(`${node.op.kind} gave ${results[i].length} values for [${output.shape}]`);
      }
      values.set(output, results[i]);
    });
  }
  return outputs.map((x) => values.get(x)!);
}

/** Every node that the tensors need, inputs before users. */
export function nodesBehind(outputs: readonly Tensor[]): Node[] {
  const seen = new Set<Node>();
  const open = outputs.map((x) => x.node);
  for (let node = open.pop(); node; node = open.pop()) {
    if (seen.has(node)) continue;
    seen.add(node);
    open.push(...node.inputs.map((x) => x.node));
  }
  return [...seen].sort((a, b) => a.id - b.id);
}

function evaluateNode(node: Node, inputs: readonly Value[], data: GraphData): Float64Array[] {
  const { op } = node;
  const [x, y] = inputs;
  const { shape } = node.outputs[0];
  switch (op.kind) {
    case "input": {
      const value = data.inputs?.[op.name];
      if (!value) throw new Error(`no value was given for the input ${op.name}`);
      return [Float64Array.from(value)];
    }
    case "state": {
      const arena = data.state?.get(op.arena);
      if (!arena) throw new Error(`no values were given for the arena ${op.arena.name}`);
      return [Float64Array.from({ length: sizeOf(shape) }, (_, i) => arena[op.offset + i])];
    }
    case "constant":
      return [Float64Array.of(op.value)];
    case "map":
      return [mapped(op.fn, inputs, shape)];
    case "random": {
      const number = op.distribution === "uniform" ? uniform : normal;
      return [Float64Array.from(hostWords(x.data, shape, op.stream), (words) => number(...words))];
    }
    case "identity":
    case "reshape":
      return [x.data];
    case "permute": {
      const strides = stridesOf(x.shape);
      return [gathered(x.data, offsets(shape, op.axes.map((axis) => strides[axis])))];
    }
    case "slice":
      return [gathered(x.data, boxOffsets(shape, x.shape, op.starts))];
    case "expand":
      return [gathered(x.data, broadcastOffsets(shape, x.shape))];
    case "pad":
      return [scattered(new Float64Array(sizeOf(shape)), boxOffsets(x.shape, shape, op.starts), x)];
    case "split": {
      let start = 0;
      return node.outputs.map((part) => {
        const starts = part.shape.map((_, i) => i === op.axis ? start : 0);
        start += part.shape[op.axis];
        return gathered(x.data, boxOffsets(part.shape, x.shape, starts));
      });
    }
    case "concat": {
      const result = new Float64Array(sizeOf(shape));
      let start = 0;
      for (const part of inputs) {
        const starts = shape.map((_, i) => i === op.axis ? start : 0);
        start += part.shape[op.axis];
        scattered(result, boxOffsets(part.shape, shape, starts), part);
      }
      return [result];
    }
    case "reduce":
      return [op.fn === "sum" ? summed(x, shape) : largest(x, shape)];
    case "moments":
      return moments(x, shape, op.eps);
    case "matmul":
      return [matmul(x, y, shape, op.transA, op.transB)];
    case "conv2d":
      return [conv2d(x, y, shape, op.geometry)];
    case "conv2dGradInput":
      return [conv2dGradInput(x, y, shape, op.geometry)];
    case "conv2dGradWeight":
      return [conv2dGradWeight(x, y, shape, op.geometry)];
    case "attention":
      return attention(x, y, inputs[2], op.scale);
    case "attentionGrad":
      return attentionGrad(x, y, inputs[2], inputs[5], op.scale);
    case "gather": {
      const [rows, width] = x.shape;
      return [
        Float64Array.from({ length: sizeOf(shape) }, (_, i) => {
          const row = y.data[Math.floor(i / width)];
          return row >= 0 && row < rows ? x.data[row * width + i % width] : 0;
        }),
      ];
    }
    case "scatterAdd": {
      const [rows, width] = shape;
      const result = new Float64Array(sizeOf(shape));
      y.data.forEach((value, i) => {
        const row = x.data[Math.floor(i / width)];
        if (row >= 0 && row < rows) result[row * width + i % width] += value;
      });
      return [result];
    }
    case "resample":
      return [resample(op.direction, op.filter, x, shape)];
  }
}

export const FUNCTIONS: Record<MapFn, (...args: number[]) => number> = {
  add: (a, b) => a + b,
  sub: (a, b) => a - b,
  mul: (a, b) => a * b,
  div: (a, b) => a / b,
  min: (a, b) => Math.min(a, b),
  max: (a, b) => Math.max(a, b),
  lt: (a, b) => a < b ? 1 : 0,
  le: (a, b) => a <= b ? 1 : 0,
  eq: (a, b) => a === b ? 1 : 0,
  where: (c, a, b) => c !== 0 ? a : b,
  neg: (a) => -a,
  abs: Math.abs,
  exp: Math.exp,
  expm1: Math.expm1,
  log: Math.log,
  sqrt: Math.sqrt,
  rsqrt: (a) => 1 / Math.sqrt(a),
  sin: Math.sin,
  cos: Math.cos,
  tanh: Math.tanh,
  sigmoid: (a) => 1 / (1 + Math.exp(-a)),
  floor: Math.floor,
  toF32: (a) => a,
  toI32: Math.trunc,
};

function mapped(fn: MapFn, inputs: readonly Value[], shape: Shape): Float64Array {
  const sources = inputs.map((x) => gathered(x.data, broadcastOffsets(shape, x.shape)));
  const apply = FUNCTIONS[fn];
  return Float64Array.from({ length: sizeOf(shape) }, (_, i) => apply(...sources.map((s) => s[i])));
}

/** Sum over the axes that have size 1 in `shape`, which has x's rank. */
function summed(x: Value, shape: Shape): Float64Array {
  const result = new Float64Array(sizeOf(shape));
  broadcastOffsets(x.shape, shape).forEach((at, i) => result[at] += x.data[i]);
  return result;
}

function largest(x: Value, shape: Shape): Float64Array {
  const result = new Float64Array(sizeOf(shape)).fill(-Infinity);
  broadcastOffsets(x.shape, shape).forEach((at, i) => {
    result[at] = Math.max(result[at], x.data[i]);
  });
  return result;
}

function moments(x: Value, shape: Shape, eps: number): Float64Array[] {
  const count = sizeOf(x.shape) / sizeOf(shape);
  const mean = summed(x, shape).map((sum) => sum / count);
  const wide = gathered(mean, broadcastOffsets(x.shape, shape));
  const squares = { shape: x.shape, data: x.data.map((value, i) => (value - wide[i]) ** 2) };
  return [mean, summed(squares, shape).map((sum) => 1 / Math.sqrt(sum / count + eps))];
}

function stridesOf(shape: Shape): number[] {
  return shape.map((_, i) => sizeOf(shape.slice(i + 1)));
}

/** start + sum(index * strides) for every index of `shape`, in row-major order. */
function offsets(shape: Shape, strides: readonly number[], start = 0): Int32Array {
  const result = new Int32Array(sizeOf(shape));
  const index = shape.map(() => 0);
  let at = start;
  for (let i = 0; i < result.length; i++) {
    result[i] = at;
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      at += strides[axis];
      if (++index[axis] < shape[axis]) break;
      at -= strides[axis] * shape[axis];
      index[axis] = 0;
    }
  }
  return result;
}

/** Where a box of `shape` that starts at `starts` lies in an array of the shape `whole`. */
function boxOffsets(shape: Shape, whole: Shape, starts: readonly number[]): Int32Array {
  const strides = stridesOf(whole);
  return offsets(shape, strides, starts.reduce((sum, s, i) => sum + s * strides[i], 0));
}

/** Where each element of `shape` comes from in an array of `small` that broadcasts to it. */
function broadcastOffsets(shape: Shape, small: Shape): Int32Array {
  const aligned = [...new Array<number>(shape.length - small.length).fill(1), ...small];
  return offsets(shape, stridesOf(aligned).map((stride, i) => aligned[i] === 1 ? 0 : stride));
}

function gathered(data: Float64Array, from: Int32Array): Float64Array {
  return Float64Array.from(from, (at) => data[at]);
}

function scattered(result: Float64Array, to: Int32Array, x: Value): Float64Array {
  to.forEach((at, i) => result[at] = x.data[i]);
  return result;
}
