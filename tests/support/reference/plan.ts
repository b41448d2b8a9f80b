/**
 * Runs a compiled plan in float64 without a device: what the compiler made, checked apart from the
 * code that devices generate from it. Reading scratch that nothing has written gives NaN. What is
 * stored as f16 is rounded.
 */

import { blocksOf } from "../../../lib/compile/blocks.ts";
import type {
  Access,
  Block,
  Epilogue,
  Expression,
  Kernel,
  Plan,
} from "../../../lib/compile/plan.ts";
import type { Arena } from "../../../lib/tensor/state.ts";
import { type Shape, sizeOf } from "../../../lib/tensor/tensor.ts";
import { STREAM_FACTOR, threefry2x32 } from "../../../lib/random/threefry.ts";
import { FUNCTIONS, type Value } from "./graph.ts";
import {
  attention,
  attentionGrad,
  conv2d,
  conv2dGradInput,
  conv2dGradWeight,
  resample,
} from "./kernels.ts";
import { normal, uniform } from "./random.ts";

type Memory = readonly Float64Array[];

/** Runs the plan once; `state` is changed in place. Returns the outputs by name. */
export function interpretPlan(
  plan: Plan,
  inputs: Readonly<Record<string, ArrayLike<number>>>,
  state: ReadonlyMap<Arena, Float64Array> = new Map(),
): Record<string, Float64Array> {
  const accesses = plan.kernels.map(blocksOf).flatMap(({ reads, writes }) => [...reads, ...writes]);
  const halves = new Set(accesses.filter((a) => a.dtype === "f16").map(({ buffer }) => buffer));
  const memory = plan.buffers.map((buffer, i) =>
    buffer.arena
      ? state.get(buffer.arena)!
      : new Float64Array(buffer.length * (halves.has(i) ? 2 : 1)).fill(NaN)
  );
  for (const [name, { buffer }] of plan.inputs) memory[buffer].set(inputs[name] ?? []);
  for (const kernel of plan.kernels) runKernel(kernel, memory);
  return Object.fromEntries(
    [...plan.outputs].map(([name, { buffer, shape }]) => [
      name,
      memory[buffer].slice(0, sizeOf(shape)),
    ]),
  );
}

function runKernel(kernel: Kernel, memory: Memory): void {
  switch (kernel.kind) {
    case "elementwise":
      forEachIndex(kernel.body.shape, (index) => {
        const values = evaluate(kernel.body, index, [], memory);
        store(kernel.stores, values, index, memory);
      });
      return;
    case "reduce": {
      const results = kernel.reductions.map(({ fn, value }) =>
        rows(kernel.body, kernel.keptRank, value, memory).map((row) =>
          fn === "sum" ? row.reduce((sum, x) => sum + x, 0) : Math.max(...row)
        )
      );
      return finish(kernel.epilogue, results, memory);
    }
    case "moments":
      rows(kernel.body, kernel.keptRank, kernel.value, memory).forEach((row, i) => {
        const mean = row.reduce((sum, x) => sum + x, 0) / row.length;
        const variance = row.reduce((sum, x) => sum + (x - mean) ** 2, 0) / row.length;
        memory[kernel.mean.buffer][kernel.mean.offset + i] = mean;
        memory[kernel.rstd.buffer][kernel.rstd.offset + i] = 1 / Math.sqrt(variance + kernel.eps);
      });
      return;
    case "matmul": {
      const { batch, m, n, k } = kernel;
      const a = gather(kernel.a, [batch, m, k], memory).data;
      const b = gather(kernel.b, [batch, k, n], memory).data;
      const result: number[] = [];
      forEachIndex([batch, m, n], ([group, row, column]) => {
        let sum = 0;
        for (let j = 0; j < k; j++) {
          sum += a[(group * m + row) * k + j] * b[(group * k + j) * n + column];
        }
        result.push(sum);
      });
      return finish(kernel.epilogue, [result], memory);
    }
    case "conv2d":
    case "conv2dGradInput":
    case "conv2dGradWeight": {
      const { geometry, inputShape, outputShape, operands: [first, second] } = kernel;
      const weightShape = [...geometry.kernel, inputShape[3], outputShape[3]];
      const at = (block: Block, shape: Shape) => contiguous(block, shape, memory);
      const result = kernel.kind === "conv2d"
        ? conv2d(at(first, inputShape), at(second, weightShape), outputShape, geometry)
        : kernel.kind === "conv2dGradInput"
        ? conv2dGradInput(at(first, outputShape), at(second, weightShape), inputShape, geometry)
        : conv2dGradWeight(at(first, inputShape), at(second, outputShape), weightShape, geometry);
      return finish(kernel.epilogue, [result], memory);
    }
    case "attention": {
      const [q, k, v] = attentionOperands(kernel, memory);
      const [out, lse] = attention(q, k, v, kernel.scale);
      write(kernel.out, out, memory);
      if (kernel.lse) write(kernel.lse, lse, memory);
      return;
    }
    case "attentionGrad": {
      const [q, k, v] = attentionOperands(kernel, memory);
      const dout = gather(kernel.dout, kernel.shape, memory);
      const targets = [kernel.dq, kernel.dk, kernel.dv];
      attentionGrad(q, k, v, dout, kernel.scale).forEach((data, i) =>
        write(targets[i], data, memory)
      );
      return;
    }
    case "gather":
    case "scatterAdd": {
      const { vocabulary, count, width } = kernel;
      const index = contiguous(kernel.index, [count], memory).data;
      const forward = kernel.kind === "gather";
      const source = contiguous(kernel.source, [forward ? vocabulary : count, width], memory).data;
      const result = new Float64Array((forward ? count : vocabulary) * width);
      index.forEach((row, i) => {
        if (row < 0 || row >= vocabulary) return;
        for (let w = 0; w < width; w++) {
          if (forward) result[i * width + w] = source[row * width + w];
          else result[row * width + w] += source[i * width + w];
        }
      });
      return write(kernel.target, result, memory);
    }
    case "resample": {
      const x = contiguous(kernel.source, kernel.inputShape, memory);
      const y = resample(kernel.direction, kernel.filter, x, kernel.outputShape);
      return write(kernel.target, y, memory);
    }
  }
}

/** Values of the instructions at an index. */
function evaluate(
  { shape, operands, instrs }: Expression,
  index: readonly number[],
  results: readonly number[],
  memory: Memory,
): number[] {
  if (operands.some((operand) => operand.strides.length !== shape.length)) {
    throw new Error("an operand has strides of another rank than the index space");
  }
  const dot = (strides: readonly number[]) => strides.reduce((sum, s, k) => sum + s * index[k], 0);
  const values: number[] = [];
  for (const instr of instrs) {
    switch (instr.op) {
      case "load": {
        const { buffer, offset, strides } = operands[instr.operand];
        values.push(memory[buffer][offset + dot(strides)]);
        break;
      }
      case "const":
        values.push(instr.value);
        break;
      case "result":
        values.push(results[instr.index]);
        break;
      case "random": {
        const { buffer, offset } = operands[instr.key];
        const [k0, k1, first] = memory[buffer].subarray(offset, offset + 3);
        const stream = k1 ^ Math.imul(instr.stream, STREAM_FACTOR);
        const words = threefry2x32(k0, stream, dot(instr.within), first + dot(instr.sample));
        values.push(instr.distribution === "normal" ? normal(...words) : uniform(words[0]));
        break;
      }
      case "map":
        values.push(FUNCTIONS[instr.fn](...instr.args.map((arg) => values[arg])));
        break;
    }
  }
  return values;
}

/** The body's value for each point of the kept axes: one array per point. */
function rows(body: Expression, keptRank: number, value: number, memory: Memory): number[][] {
  const result: number[][] = [];
  forEachIndex(body.shape.slice(0, keptRank), (kept) => {
    const row: number[] = [];
    forEachIndex(body.shape.slice(keptRank), (reduced) => {
      row.push(evaluate(body, [...kept, ...reduced], [], memory)[value]);
    });
    result.push(row);
  });
  return result;
}

function finish(epilogue: Epilogue, results: readonly ArrayLike<number>[], memory: Memory): void {
  let i = 0;
  forEachIndex(epilogue.body.shape, (index) => {
    const values = evaluate(epilogue.body, index, results.map((result) => result[i]), memory);
    store(epilogue.stores, values, index, memory);
    i++;
  });
  if (i !== results[0].length) {
    throw new Error(`an epilogue has ${i} points for ${results[0].length} results`);
  }
}

function store(
  stores: Epilogue["stores"],
  values: readonly number[],
  index: readonly number[],
  memory: Memory,
): void {
  for (const { value, target } of stores) {
    const at = target.strides.reduce((sum, s, k) => sum + s * index[k], target.offset);
    if (at >= memory[target.buffer].length) throw new Error("a store is out of range");
    memory[target.buffer][at] = rounded(values[value], target);
  }
}

function attentionOperands(
  kernel: Extract<Kernel, { kind: "attention" | "attentionGrad" }>,
  memory: Memory,
): Value[] {
  const [batch, , heads, width] = kernel.shape;
  const keyShape = [batch, kernel.keys, heads, width];
  return [
    gather(kernel.q, kernel.shape, memory),
    gather(kernel.k, keyShape, memory),
    gather(kernel.v, keyShape, memory),
  ];
}

function gather(access: Access, shape: Shape, memory: Memory): Value {
  const data: number[] = [];
  forEachIndex(shape, (index) => {
    const at = access.strides.reduce((sum, s, k) => sum + s * index[k], access.offset);
    data.push(memory[access.buffer][at]);
  });
  return { shape, data: Float64Array.from(data) };
}

function contiguous({ buffer, offset }: Block, shape: Shape, memory: Memory): Value {
  return { shape, data: memory[buffer].slice(offset, offset + sizeOf(shape)) };
}

function write({ buffer, offset, dtype }: Block, data: Float64Array, memory: Memory): void {
  memory[buffer].set(data.map((value) => rounded(value, { dtype })), offset);
}

function rounded(value: number, { dtype }: Pick<Block, "dtype">): number {
  return dtype === "f16" ? Math.f16round(value) : value;
}

function forEachIndex(shape: Shape, visit: (index: readonly number[]) => void): void {
  const index = shape.map(() => 0);
  for (let n = sizeOf(shape); n > 0; n--) {
    visit(index);
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      if (++index[axis] < shape[axis]) break;
      index[axis] = 0;
    }
  }
}
