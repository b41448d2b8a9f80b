/**
 * The loop that attention and both halves of its gradient have in common: every workgroup owns some
 * rows of one sequence (queries, or keys), streams the rows of the other sequence through workgroup
 * memory in blocks, and forms the dot products of each owned row with each streamed row.
 *
 * A row of `dim` numbers is held by `lanes` neighbouring threads, each with every lanes-th vector
 * of four in named registers; partial dot products are added up through workgroup memory. There are
 * no atomics: each result has one owner, and every order is fixed.
 *
 * @module
 */

import type { Access, Block } from "../../../compile/plan.ts";
import type { Shape } from "../../../tensor/tensor.ts";
import { type Dispatch, foldWorkgroups, type Target, workgroupNumber } from "../dispatch.ts";
import { extent } from "./expression.ts";
import type { Memory, View } from "./memory.ts";
import { powerOfTwoFrom } from "./reduce.ts";

/** Vectors of four per thread and row; two to four rows' worth of registers live at a time. */
const MOST_VECTORS = { forward: 8, backward: 4 };

/** How rows lie on threads. */
export interface RowLayout {
  readonly dim: number;
  /** Threads per row. */
  readonly lanes: number;
  /** Vectors of four that each of them holds. */
  readonly vectors: number;
  /** Rows that a workgroup owns, and its threads. */
  readonly rows: number;
  readonly threads: number;
  /** Streamed rows per block. */
  readonly block: number;
}

/** The layout for a head dimension; `dots` is the number of dot products per pair of rows. */
export function rowLayout(
  dim: number,
  direction: "forward" | "backward",
  dots: number,
  target: Target,
): RowLayout {
  const vectorsOfRow = Math.ceil(dim / 4);
  const lanes = powerOfTwoFrom(Math.ceil(vectorsOfRow / MOST_VECTORS[direction]));
  const vectors = Math.ceil(vectorsOfRow / lanes);
  const threads = Math.max(lanes, Math.min(256, target.maxThreads, 64 * Math.max(1, lanes / 2)));
  const bytes = (block: number, threads: number) =>
    block * (2 * lanes * vectors * 16 + (lanes > 1 ? dots * threads * 4 : 0) + 8);
  const available = Math.min(target.maxWorkgroupBytes, 32768);
  let block = target.software ? 4 : 16;
  while (block > 1 && bytes(block, threads) > available) block /= 2;
  // The block decides the order of sums, so that other numbers of threads make do with it.
  const other = Math.max(lanes, target.variant?.threads ?? threads);
  const chosen = bytes(block, other) <= available ? other : threads;
  return { dim, lanes, vectors, rows: chosen / lanes, threads: chosen, block };
}

/** A tensor [B,T,H,D] as rows of vectors. */
export interface RowsView {
  /** WGSL that declares `fn NAME(batch, row, head, vector) -> vec4<f32>`, zero past the end. */
  declare(name: string): string;
}

/** Registers a strided tensor to be read by rows. */
export function rowsView(memory: Memory, access: Access, shape: Shape): RowsView {
  const [, , , dim] = shape;
  const [sb, st, sh, sd] = access.strides;
  const vector = sd === 1 && dim % 4 === 0 && access.offset % 4 === 0 &&
    [sb, st, sh].every((s, i) => s % 4 === 0 || shape[i] === 1);
  const view = memory.view(access, extent(shape, access), { vector });
  const base = `batch * ${sb}u + row * ${st}u + head * ${sh}u`;
  return {
    declare(name) {
      const head = `fn ${name}(batch: u32, row: u32, head: u32, vector: u32) -> vec4<f32> {\n`;
      const guard = `if (vector >= ${Math.ceil(dim / 4)}u) { return vec4<f32>(0.0); }\n`;
      if (vector) return `${head}${guard}return ${view.load4(`${base} + vector * 4u`)};\n}\n`;
      const lines = ["x", "y", "z", "w"].map((lane, i) => {
        const load = `value.${lane} = ${view.load(`base + (vector * 4u + ${i}u) * ${sd}u`)};`;
        return dim % 4 === 0 ? load : `if (vector * 4u + ${i}u < ${dim}u) { ${load} }`;
      });
      return `${head}${guard}let base = ${base};
var value = vec4<f32>(0.0);
${lines.join("\n")}
return value;
}
`;
    },
  };
}

/** Registers a contiguous [B,T,H,D] result that is written by rows. */
export function rowsStore(
  memory: Memory,
  block: Block,
  shape: Shape,
): { declare(name: string): string } {
  const [batch, length, heads, dim] = shape;
  const vector = dim % 4 === 0 && block.offset % 4 === 0;
  const size = batch * length * heads * dim;
  const view = memory.view({ ...block, dtype: "f32" }, size, { vector, write: true });
  return {
    declare(name) {
      const at = `((batch * ${length}u + row) * ${heads}u + head) * ${dim}u + vector * 4u`;
      const stores = vector ? view.store4("at", "value") : ["x", "y", "z", "w"].map((lane, i) => {
        const store = view.store(`at + ${i}u`, `value.${lane}`);
        return `if (vector * 4u + ${i}u < ${dim}u) { ${store} }`;
      }).join("\n");
      return `fn ${name}(batch: u32, row: u32, head: u32, vector: u32, value: vec4<f32>) {
if (vector >= ${Math.ceil(dim / 4)}u) { return; }
let at = ${at};
${stores}
}
`;
    },
  };
}

/** What a pass does; the strings are WGSL. */
export interface AttentionPass {
  readonly label: string;
  readonly layout: RowLayout;
  readonly batch: number;
  readonly heads: number;
  /** Lengths of the owned and of the streamed sequence. */
  readonly owned: number;
  readonly streamed: number;
  /** Sealed memory and the declarations of the functions that the pass uses. */
  readonly memory: Memory;
  readonly declarations: string;
  /** Loader functions of the streamed tensors: tileX and tileY hold their rows. */
  readonly stream: readonly [string, string];
  /** Per-row numbers of the streamed sequence, [B,H,T], kept in `rowX` and `rowY`. */
  readonly streamRows?: readonly [View, View];
  /** Before the loop, with `batch`, `head`, `row`, `lane` and (loop over vectors) in scope. */
  readonly begin: (vectors: number) => string;
  /** Registers whose dot products with tileX (and tileY) give x0, x1, ... (and y0, y1, ...). */
  readonly dots: readonly string[];
  /** With the dot products of a block in scope; `tile(n, vector, j)` reads a streamed vector. */
  readonly update: (tile: (which: "X" | "Y", vector: number, j: number) => string) => string;
  /** Behind the loop, for the owner of `row` (which exists). */
  readonly end: string;
}

/** Code for a pass. */
export function generatePass(pass: AttentionPass, target: Target): Dispatch {
  const { layout, batch, heads, owned, streamed, memory, dots, label } = pass;
  const { lanes, vectors, rows, threads, block } = layout;
  const width = lanes * vectors;
  const blocks = Math.ceil(owned / rows);
  const count = blocks * heads * batch;
  const workgroups = foldWorkgroups(count, target);
  const each = Array.from({ length: block }, (_, j) => j);
  const names = ["x", "y"].slice(0, dots.length);
  const tile = (which: "X" | "Y", vector: number, j: number) =>
    `tile${which}[lane + ${j * width + vector * lanes}u]`;

  const partials = names.flatMap((name, n) =>
    each.map((j) => {
      const terms = Array.from(
        { length: vectors },
        (_, v) => `dot(${dots[n]}${v}, ${tile(n === 0 ? "X" : "Y", v, j)})`,
      );
      return `${lanes > 1 ? "var" : "let"} ${name}${j} = ${terms.join(" + ")};`;
    })
  );
  const slots = dots.length * block;
  const exchange = lanes === 1 ? [] : [
    ...names.flatMap((name, n) =>
      each.map((j) => `parts[local * ${slots}u + ${n * block + j}u] = ${name}${j};`)
    ),
    "workgroupBarrier();",
    ...names.flatMap((name, n) =>
      each.map((j) => {
        const terms = Array.from(
          { length: lanes },
          (_, l) => `parts[first * ${slots}u + ${l * slots + n * block + j}u]`,
        );
        return `${name}${j} = ${terms.join(" + ")};`;
      })
    ),
  ];
  const rowNumbers = pass.streamRows
    ? `if (local < ${block}u) {
let other = min(start + local, ${streamed - 1}u);
let at = (batch * ${heads}u + head) * ${streamed}u + other;
rowX[local] = ${pass.streamRows[0].load("at")};
rowY[local] = ${pass.streamRows[1].load("at")};
}`
    : "";
  const wgsl = `${memory.declarations}
${pass.declarations}
var<workgroup> tileX: array<vec4<f32>, ${block * width}>;
var<workgroup> tileY: array<vec4<f32>, ${block * width}>;
${lanes > 1 ? `var<workgroup> parts: array<f32, ${threads * slots}>;\n` : ""}\
${
    pass.streamRows
      ? `var<workgroup> rowX: array<f32, ${block}>;\nvar<workgroup> rowY: array<f32, ${block}>;\n`
      : ""
  }
@compute @workgroup_size(${threads})
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
let number = ${workgroupNumber(workgroups)};
${workgroups[0] * workgroups[1] > count ? `if (number >= ${count}u) { return; }\n` : ""}\
let head = number / ${blocks}u % ${heads}u;
let batch = number / ${blocks * heads}u;
let lane = local % ${lanes}u;
let first = local - lane;
let own = number % ${blocks}u * ${rows}u + local / ${lanes}u;
let row = min(own, ${owned - 1}u);
${pass.begin(vectors)}
for (var start = 0u; start < ${streamed}u; start += ${block}u) {
for (var i = local; i < ${block * width}u; i += ${threads}u) {
let other = start + i / ${width}u;
if (other < ${streamed}u) {
tileX[i] = ${pass.stream[0]}(batch, other, head, i % ${width}u);
tileY[i] = ${pass.stream[1]}(batch, other, head, i % ${width}u);
} else {
tileX[i] = vec4<f32>(0.0);
tileY[i] = vec4<f32>(0.0);
}
}
${rowNumbers}
workgroupBarrier();
${partials.join("\n")}
${exchange.join("\n")}
${pass.update(tile)}
workgroupBarrier();
}
if (own < ${owned}u) {
${pass.end}
}
}
`;
  return { label, wgsl, bindings: memory.bindings, params: memory.params, workgroups };
}
