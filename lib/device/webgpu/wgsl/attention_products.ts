/**
 * Attention as matrix products, with the scores of some samples at a time in scratch memory. The tiles
 * of products use the arithmetic of a device many times as well as a loop over the rows of a sequence
 * does (`attention.ts`), which is left for short sequences and for scores that cannot be bound.
 *
 * | product | rows | columns | sum over | becomes |
 * | --- | --- | --- | --- | --- |
 * | scores: q kᵀ | queries | keys | channels | softmax, in place; log-sum-exp |
 * | out: p v | queries | channels | keys | |
 * | dv: pᵀ dout | keys | channels | queries | |
 * | ds: dout vᵀ | queries | keys | channels | p (ds - delta) scale, in the place of p |
 * | dq: ds k, dk: dsᵀ q | queries, keys | channels | keys, queries | |
 *
 * No product is cut along its sum, so that a sample's bits do not depend on how many there are.
 *
 * @module
 */

import type { AttentionGradKernel, AttentionKernel } from "../../../compile/kernels/attention.ts";
import type { Access, Block, Epilogue, Expression } from "../../../compile/kernels/kernel.ts";
import {
  type Dispatch,
  ELEMENT_BYTES,
  foldWorkgroups,
  SCRATCH,
  subgroupSizeFor,
  type Target,
  workgroupNumber,
} from "../dispatch.ts";
import { extent, times } from "./expression.ts";
import { type GemmOperand, generateGemm } from "./gemm.ts";
import { matrixOperand, stridedOperand } from "./matmul.ts";
import { Memory } from "./memory.ts";
import { powerOfTwoUpTo } from "./reduce.ts";
import { numbers } from "./text.ts";
import { combineThreads, needsMemory, shareFirst, type Tree } from "./tree.ts";

/**
 * Sequences shorter than this leave tiles of products empty; and graphics processors do small work in
 * less time than it takes to start several kernels.
 */
const SHORTEST = { software: 16, hardware: 64 };
/** The scores of so many bytes are in memory at a time. */
const MOST_BYTES = 128 << 20;
/** Threads that share a row of scores. */
const ROW_THREADS = 64;

type AnyAttention = AttentionKernel | AttentionGradKernel;

/** Samples whose scores are in memory at a time; 0 where attention is not done as products. */
export function samplesAtOnce({ shape, keys }: AnyAttention, target: Target): number {
  const [batch, queries, heads] = shape;
  const shortest = SHORTEST[target.software ? "software" : "hardware"];
  if (Math.min(queries, keys) < shortest) return 0;
  const bytes = heads * queries * keys * ELEMENT_BYTES;
  return Math.min(batch, Math.floor(Math.min(MOST_BYTES, target.maxBindingBytes) / bytes));
}

/** Code for attention; `samples` at a time. */
export function attentionByProducts(
  kernel: AttentionKernel,
  samples: number,
  target: Target,
): Dispatch[] {
  return inParts(kernel, samples, target, (part) => {
    const { queries, keys, channels, count } = part;
    const { q, k, v, out, lse, scale, label } = kernel;
    return [
      ...part.product({
        label: `${label} (scores)`,
        a: part.tensor(q, queries, "line"),
        b: part.tensor(k, keys, "line"),
        sizes: { rows: queries, columns: keys, depth: channels },
        epilogue: {
          body: {
            shape: [count, queries, keys],
            operands: [],
            instrs: [
              { op: "result", index: 0 },
              { op: "const", value: scale, dtype: "f32" },
              { op: "map", fn: "mul", args: [0, 1] },
            ],
          },
          stores: [{ value: 2, target: part.scores }],
        },
      }),
      softmaxOfRows(`${label} (softmax)`, part, lse, target),
      ...part.product({
        label: `${label} (values)`,
        a: part.probabilities("rows"),
        b: part.tensor(v, keys, "k"),
        sizes: { rows: queries, columns: channels, depth: keys },
        epilogue: part.result(out, queries),
      }),
    ];
  });
}

/** Code for the gradients once `delta` is there; `samples` at a time. */
export function attentionGradByProducts(
  kernel: AttentionGradKernel,
  samples: number,
  target: Target,
): Dispatch[] {
  return inParts(kernel, samples, target, (part) => {
    const { queries, keys, channels } = part;
    const { q, k, v, dout, lse, delta, dq, dk, dv, scale, label } = kernel;
    return [
      ...part.product({
        label: `${label} (p)`,
        a: part.tensor(q, queries, "line"),
        b: part.tensor(k, keys, "line"),
        sizes: { rows: queries, columns: keys, depth: channels },
        epilogue: {
          body: {
            shape: [part.count, queries, keys],
            operands: [part.numbers(lse)],
            instrs: [
              { op: "result", index: 0 },
              { op: "const", value: scale, dtype: "f32" },
              { op: "map", fn: "mul", args: [0, 1] },
              { op: "load", operand: 0 },
              { op: "map", fn: "sub", args: [2, 3] },
              { op: "map", fn: "exp", args: [4] },
            ],
          },
          stores: [{ value: 5, target: part.scores }],
        },
      }),
      ...part.product({
        label: `${label} (dv)`,
        a: part.probabilities("columns"),
        b: part.tensor(dout, queries, "k"),
        sizes: { rows: keys, columns: channels, depth: queries },
        epilogue: part.result(dv, keys),
      }),
      ...part.product({
        label: `${label} (ds)`,
        a: part.tensor(dout, queries, "line"),
        b: part.tensor(v, keys, "line"),
        sizes: { rows: queries, columns: keys, depth: channels },
        epilogue: {
          body: {
            shape: [part.count, queries, keys],
            operands: [part.numbers(delta), part.scores],
            instrs: [
              { op: "result", index: 0 },
              { op: "load", operand: 0 },
              { op: "map", fn: "sub", args: [0, 1] },
              { op: "load", operand: 1 },
              { op: "map", fn: "mul", args: [2, 3] },
              { op: "const", value: scale, dtype: "f32" },
              { op: "map", fn: "mul", args: [4, 5] },
            ],
          },
          stores: [{ value: 6, target: part.scores }],
        },
      }),
      ...part.product({
        label: `${label} (dq)`,
        a: part.probabilities("rows"),
        b: part.tensor(k, keys, "k"),
        sizes: { rows: queries, columns: channels, depth: keys },
        epilogue: part.result(dq, queries),
      }),
      ...part.product({
        label: `${label} (dk)`,
        a: part.probabilities("columns"),
        b: part.tensor(q, queries, "k"),
        sizes: { rows: keys, columns: channels, depth: queries },
        epilogue: part.result(dk, keys),
      }),
    ];
  });
}

/** Registers an operand of a product with the memory of its shader. */
type Operand = (memory: Memory) => GemmOperand;

/** A product for every head of every sample of a part. */
interface PartProduct {
  readonly label: string;
  readonly a: Operand;
  readonly b: Operand;
  readonly sizes: { readonly rows: number; readonly columns: number; readonly depth: number };
  readonly epilogue: Epilogue;
}

/** Some of the samples. */
class Part {
  readonly queries: number;
  readonly heads: number;
  readonly channels: number;
  readonly keys: number;
  /** Pairs of a sample and a head: the products of a kind. */
  readonly count: number;

  constructor(
    { shape, keys }: AnyAttention,
    readonly first: number,
    readonly samples: number,
    readonly target: Target,
  ) {
    [, this.queries, this.heads, this.channels] = shape;
    this.keys = keys;
    this.count = samples * this.heads;
  }

  /** The scores [count, queries, keys] in scratch memory. */
  get scores(): Access {
    const { queries, keys } = this;
    return { buffer: SCRATCH, offset: 0, strides: [queries * keys, keys, 1], dtype: "f32" };
  }

  product({ label, a, b, sizes, epilogue }: PartProduct): Dispatch[] {
    return generateGemm(
      { batch: this.count, ...sizes, epilogue, label },
      { ...this.target, batchInvariant: true },
      (memory) => [a(memory), b(memory)],
    );
  }

  /** A tensor [B,T,H,D] with positions as the lines or as k of a product, and channels as the other. */
  tensor(access: Access, length: number, positions: "line" | "k"): Operand {
    const { samples, heads, channels } = this;
    const [sample, position, head, channel] = access.strides;
    const from = { ...access, offset: access.offset + this.first * sample };
    const across = { size: length, stride: position };
    const along = { size: channels, stride: channel };
    const batch = heads === 1 ? [{ index: "batch", size: samples, stride: sample }] : [
      { index: `(batch / ${heads}u)`, size: samples, stride: sample },
      { index: `(batch % ${heads}u)`, size: heads, stride: head },
    ];
    return (memory) =>
      stridedOperand(memory, from, extent([samples, length, heads, channels], from), {
        batch,
        ...(positions === "line" ? { line: across, k: along } : { line: along, k: across }),
      });
  }

  /** The scores, with the queries (`rows`) or the keys (`columns`) as the lines of a product. */
  probabilities(lines: "rows" | "columns"): Operand {
    const { count, queries, keys, scores } = this;
    const [line, k] = lines === "rows" ? [1, 2] as const : [2, 1] as const;
    return (memory) => matrixOperand(memory, scores, [count, queries, keys], line, k);
  }

  /** Numbers [B,H,T] of the queries, for every score. */
  numbers(block: Block): Access {
    const offset = block.offset + this.first * this.heads * this.queries;
    return { ...block, offset, strides: [this.queries, 1, 0] };
  }

  /** Stores a product to a contiguous result [B,T,H,D]. */
  result(block: Block, length: number): Epilogue {
    const { samples, heads, channels, first } = this;
    const sample = length * heads * channels;
    const body: Expression = {
      shape: [samples, heads, length, channels],
      operands: [],
      instrs: [{ op: "result", index: 0 }],
    };
    const target: Access = {
      ...block,
      offset: block.offset + first * sample,
      strides: [sample, channels, heads * channels, 1],
    };
    return { body, stores: [{ value: 0, target }] };
  }
}

function inParts(
  kernel: AnyAttention,
  samples: number,
  target: Target,
  generate: (part: Part) => Dispatch[],
): Dispatch[] {
  const [batch] = kernel.shape;
  const parts = numbers(Math.ceil(batch / samples)).map((n) => {
    const first = n * samples;
    return new Part(kernel, first, Math.min(samples, batch - first), target);
  });
  return parts.flatMap(generate);
}

/** Softmax of every row of scores, in place, and the log-sum-exp where it is wanted. */
function softmaxOfRows(
  label: string,
  part: Part,
  lse: Block | null,
  target: Target,
): Dispatch {
  const { count, queries, keys, scores } = part;
  const rows = count * queries;
  const width = keys % 4 === 0 ? 4 : 1;
  const steps = keys / width;
  const along = powerOfTwoUpTo(Math.min(ROW_THREADS, steps));
  const rowsAtOnce = ROW_THREADS / along;
  const each = numbers(Math.ceil(steps / along));
  const memory = new Memory(target, label);
  const view = memory.view(scores, rows * keys, { vector: width === 4, write: true });
  const sums = lse && memory.view(
    { ...lse, offset: lse.offset + part.first * part.heads * queries },
    rows,
    { write: true },
  );
  memory.seal();
  const tree: Tree = { along, stride: 1, subgroup: subgroupSizeFor(target) };
  const workgroups = foldWorkgroups(Math.ceil(rows / rowsAtOnce), target);
  const type = width === 4 ? "vec4<f32>" : "f32";
  const all = (fn: (a: string, b: string) => string, x: string) =>
    width === 1 ? x : ["x", "y", "z", "w"].map((lane) => `${x}.${lane}`).reduce(fn);
  // Scores beyond the end of a row repeat its last ones and count nothing.
  const inside = (i: number) =>
    (i + 1) * along <= steps ? "true" : `row + ${i * along}u < ${steps}u`;
  const step = (i: number) => `(at + min(row + ${i * along}u, ${steps - 1}u))`;
  const place = (i: number) => times(step(i), width);
  const wgsl = `${memory.declarations}
${needsMemory(tree) ? `var<workgroup> parts: array<f32, ${ROW_THREADS}>;\n` : ""}
@compute @workgroup_size(${ROW_THREADS})
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
let number = ${workgroupNumber(workgroups)} * ${rowsAtOnce}u + local / ${along}u;
let query = min(number, ${rows - 1}u);
let row = local % ${along}u;
let at = query * ${steps}u;
${
    each.map((i) => `var x${i} = ${width === 4 ? view.load4(place(i)) : view.load(place(i))};`)
      .join("\n")
  }
var top = ${all((a, b) => `max(${a}, ${b})`, "x0")};
${
    each.slice(1).map((i) => `top = max(top, ${all((a, b) => `max(${a}, ${b})`, `x${i}`)});`).join(
      "\n",
    )
  }
${combineThreads(["max"], ["top"], ["parts"], tree).join("\n")}
${shareFirst("top", "parts", tree).join("\n")}
${needsMemory(tree) ? "workgroupBarrier();" : ""}
${each.map((i) => `x${i} = select(${type}(0.0), exp(x${i} - top), ${inside(i)});`).join("\n")}
var total = ${
    each.map((i) => all((a, b) => `${a} + ${b}`, `x${i}`)).map((s) => `(${s})`).join(" + ")
  };
${combineThreads(["sum"], ["total"], ["parts"], tree).join("\n")}
${shareFirst("total", "parts", tree).join("\n")}
if (number < ${rows}u) {
${
    each.map((i) => {
      const value = `x${i} / total`;
      const store = width === 4
        ? `let p = ${value}; ${view.store4(place(i), "p")}`
        : view.store(place(i), value);
      return `if (${inside(i)}) { ${store} }`;
    }).join("\n")
  }
${sums ? `if (row == 0u) { ${sums.store("number", "top + log(total)")} }` : ""}
}
}
`;
  return { label, wgsl, bindings: memory.bindings, params: memory.params, workgroups };
}
