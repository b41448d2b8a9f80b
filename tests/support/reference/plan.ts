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
  Operand,
} from "../../../lib/compile/kernels/kernel.ts";
import {
  describe,
  type Kernel,
  type KernelKind,
  type KernelOfKind,
} from "../../../lib/compile/kernels/mod.ts";
import type { Plan } from "../../../lib/compile/plan.ts";
import type { Arena } from "../../../lib/tensor/state.ts";
import { contiguousStrides } from "../../../lib/base/arrays.ts";
import { type Shape, sizeOf } from "../../../lib/tensor/tensor.ts";
import { STREAM_FACTOR, threefry2x32 } from "../../../lib/random/threefry.ts";
import { FUNCTIONS, type Value } from "./graph.ts";
import {
  attention,
  attentionGrad,
  conv2d,
  conv2dGradInput,
  conv2dGradWeight,
  matmul,
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
  if (kernel.kind === "elementwise") {
    return forEachIndex(kernel.body.shape, (index) => {
      store(kernel.stores, evaluate(kernel.body, index, [], memory), index, memory);
    });
  }
  const operands = operandsOf(kernel);
  const inputs = operands.filter(({ mode }) => mode === "read")
    .map(({ block, shape }) => gather(block!, shape, memory));
  const row: Row<Kernel> = ROWS[kernel.kind];
  const results = row.results(kernel, inputs, memory);
  if ("epilogue" in kernel) return finish(kernel.epilogue, results, memory);
  operands.filter(({ mode }) => mode === "write").forEach(({ block }, i) => {
    if (block && results[i]) write(block, results[i], memory);
  });
}

/** The operands that kernels have beside those of their expressions; null where one is left out. */
function operandsOf(kernel: Kernel): (Operand & { block: Block | null })[] {
  const fields: Readonly<Record<string, unknown>> = { ...kernel };
  return Object.entries<Operand | readonly Operand[]>(describe(kernel).operands(kernel))
    .flatMap(([name, operand]) => {
      const blocks = [fields[name]].flat() as (Block | null)[];
      return [operand].flat().map((each, i) => ({ ...each, block: blocks[i] }));
    });
}

/** What a kind of kernel computes. (A method: so the row of one kind also is one of any kind.) */
interface Row<K> {
  /** Of what it reads: what it writes, in order, or the results of its epilogue. */
  results(kernel: K, inputs: readonly Value[], memory: Memory): readonly Float64Array[];
}

const ROWS: { [Kind in Exclude<KernelKind, "elementwise">]: Row<KernelOfKind<Kind>> } = {
  reduce: {
    results: ({ body, keptRank, reductions }, _, memory) =>
      reductions.map(({ fn, value }) =>
        Float64Array.from(
          rows(body, keptRank, value, memory),
          (row) => fn === "sum" ? row.reduce((sum, x) => sum + x, 0) : Math.max(...row),
        )
      ),
  },
  moments: {
    results({ body, keptRank, value, eps }, _, memory) {
      const all = rows(body, keptRank, value, memory);
      const mean = all.map((row) => row.reduce((sum, x) => sum + x, 0) / row.length);
      const variance = all.map((row, i) =>
        row.reduce((sum, x) => sum + (x - mean[i]) ** 2, 0) / row.length
      );
      return [
        Float64Array.from(mean),
        Float64Array.from(variance, (value) => 1 / Math.sqrt(value + eps)),
      ];
    },
  },
  matmul: {
    results: ({ batch, m, n }, [a, b]) => [matmul(a, b, [batch, m, n], false, false)],
  },
  conv2d: {
    results: ({ geometry, outputShape }, [x, w]) => [conv2d(x, w, outputShape, geometry)],
  },
  conv2dGradInput: {
    results: ({ geometry, inputShape }, [dy, w]) => [conv2dGradInput(dy, w, inputShape, geometry)],
  },
  conv2dGradWeight: {
    results({ geometry, inputShape, outputShape }, [x, dy]) {
      const weightShape = [...geometry.kernel, inputShape[3], outputShape[3]];
      return [conv2dGradWeight(x, dy, weightShape, geometry)];
    },
  },
  attention: { results: ({ scale }, [q, k, v]) => attention(q, k, v, scale) },
  attentionGrad: {
    // Scratch comes first, and is not used here.
    results: ({ scale }, [q, k, v, , , dout]) => [
      new Float64Array(),
      ...attentionGrad(q, k, v, dout, scale),
    ],
  },
  gather: {
    results: ({ vocabulary, count, width }, [index, table]) => [
      Float64Array.from({ length: count * width }, (_, i) => {
        const row = index.data[Math.floor(i / width)];
        return row >= 0 && row < vocabulary ? table.data[row * width + i % width] : 0;
      }),
    ],
  },
  scatterAdd: {
    results({ vocabulary, width }, [index, rows]) {
      const result = new Float64Array(vocabulary * width);
      rows.data.forEach((value, i) => {
        const row = index.data[Math.floor(i / width)];
        if (row >= 0 && row < vocabulary) result[row * width + i % width] += value;
      });
      return [result];
    },
  },
  resample: {
    results: ({ direction, filter, outputShape }, [x]) => [
      resample(direction, filter, x, outputShape),
    ],
  },
};

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

/** What a block holds, by strides where it has some. */
function gather(block: Block, shape: Shape, memory: Memory): Value {
  const { strides = contiguousStrides(shape) }: Partial<Access> = block;
  const data: number[] = [];
  forEachIndex(shape, (index) => {
    const at = strides.reduce((sum, s, k) => sum + s * index[k], block.offset);
    data.push(memory[block.buffer][at]);
  });
  return { shape, data: Float64Array.from(data) };
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
