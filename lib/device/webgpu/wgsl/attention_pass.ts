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

import type { Access, Block } from "../../../compile/kernels/kernel.ts";
import type { Shape } from "../../../tensor/tensor.ts";
import {
  type Dispatch,
  foldWorkgroups,
  subgroupSizeFor,
  type Target,
  workgroupNumber,
} from "../dispatch.ts";
import { extent } from "./expression.ts";
import { Memory, type View } from "./memory.ts";
import { powerOfTwoFrom } from "./reduce.ts";
import { numbers } from "./text.ts";

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

/** A function of the shader; it can be written once the memory is sealed. */
interface RowsFunction {
  declaration(): string;
}

/** `fn NAME(batch, row, head, vector) -> vec4<f32>` over a strided tensor; zero past the row's end. */
function rowsView(memory: Memory, name: string, access: Access, shape: Shape): RowsFunction {
  const [, , , dim] = shape;
  const [sb, st, sh, sd] = access.strides;
  const vector = sd === 1 && dim % 4 === 0 && access.offset % 4 === 0 &&
    [sb, st, sh].every((s, i) => s % 4 === 0 || shape[i] === 1);
  const view = memory.view(access, extent(shape, access), { vector });
  const base = `batch * ${sb}u + row * ${st}u + head * ${sh}u`;
  return {
    declaration() {
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

/** `fn NAME(batch, row, head, vector, value: vec4<f32>)` over a contiguous result. */
function rowsStore(memory: Memory, name: string, block: Block, shape: Shape): RowsFunction {
  const [batch, length, heads, dim] = shape;
  const vector = dim % 4 === 0 && block.offset % 4 === 0;
  const size = batch * length * heads * dim;
  const view = memory.view(block, size, { vector, write: true });
  return {
    declaration() {
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

/** What a pass does. */
export interface AttentionPass {
  readonly label: string;
  readonly layout: RowLayout;
  readonly batch: number;
  readonly heads: number;
  /** Lengths of the owned and of the streamed sequence. */
  readonly owned: number;
  readonly streamed: number;
  /** Tensors [B,T,H,D] that are read, with their T, by name. */
  readonly reads: Readonly<Record<string, readonly [access: Access, length: number]>>;
  /** Contiguous results [B,T,H,D] over the owned sequence. */
  readonly writes: Readonly<Record<string, Block>>;
  /** Numbers [B,H,T] of the queries. */
  readonly numbers?: Readonly<Record<string, Block>>;
  /** Numbers [B,H,T] of the queries that are results. */
  readonly numberWrites?: Readonly<Record<string, Block>>;
  /** Which of the tensors are streamed: tileX and tileY hold their rows. */
  readonly stream: readonly [string, string];
  /** Which of the numbers are streamed with them: rowX and rowY hold those of a block. */
  readonly streamNumbers?: readonly [string, string];
  /** The code, in terms of what the pass has. */
  readonly code: (scope: PassScope) => PassCode;
}

/** WGSL expressions and statements for the code of a pass; `c` counts a lane's vectors of a row. */
export interface PassScope {
  /** The owned row of a tensor. */
  own(tensor: string, c: number): string;
  /** The streamed row number `j` of the block. */
  streamed(which: "X" | "Y", c: number, j: number): string;
  /** The number of the owned row. */
  number(name: string): string;
  /** Stores to the owned row of a result. */
  store(result: string, c: number, value: string): string;
  /** Stores the number of the owned row, in one of its lanes. */
  storeNumber(name: string, value: string): string;
}

/** The parts of a pass that differ; all strings are WGSL. */
export interface PassCode {
  /** Before the loop, with `batch`, `head`, `row` and `lane` in scope. */
  readonly begin: readonly string[];
  /** Registers whose dot products with tileX (and tileY) give x0, x1, ... (and y0, y1, ...). */
  readonly dots: readonly string[];
  /** With the dot products of a block in scope. */
  readonly update: readonly string[];
  /** Behind the loop, for the owner of `row` (which exists). */
  readonly end: readonly string[];
}

/** Code for a pass. */
export function generatePass(pass: AttentionPass, target: Target): Dispatch {
  const { layout, batch, heads, owned, streamed, label } = pass;
  const { lanes, vectors, rows, threads, block, dim } = layout;
  const width = lanes * vectors;
  const memory = new Memory(target, label);
  const tensors = Object.entries(pass.reads).map(([name, [access, length]]) =>
    rowsView(memory, `load${name}`, access, [batch, length, heads, dim])
  );
  const perQuery = (blocks: Readonly<Record<string, Block>> = {}, write: boolean) => {
    const views = Object.entries(blocks).map(([name, at]): [string, View] => {
      const length = batch * heads * (pass.streamNumbers ? streamed : owned);
      return [name, memory.view(at, length, { write })];
    });
    return new Map(views);
  };
  const rowNumbers = perQuery(pass.numbers, false);
  const results = Object.entries(pass.writes).map(([name, at]) =>
    rowsStore(memory, `store${name}`, at, [batch, owned, heads, dim])
  );
  const numberWrites = perQuery(pass.numberWrites, true);
  memory.seal();

  const tile = (which: "X" | "Y", c: number, j: number) =>
    `tile${which}[lane + ${j * width + c * lanes}u]`;
  const ownNumber = `(batch * ${heads}u + head) * ${owned}u + row`;
  const code = pass.code({
    own: (tensor, c) => `load${tensor}(batch, row, head, lane + ${c * lanes}u)`,
    streamed: tile,
    number: (name) => rowNumbers.get(name)!.load(ownNumber),
    store: (result, c, value) =>
      `store${result}(batch, row, head, lane + ${c * lanes}u, ${value});`,
    storeNumber: (name, value) =>
      `if (lane == 0u) {\n${numberWrites.get(name)!.store(ownNumber, value)}\n}`,
  });
  const { dots } = code;
  const blocks = Math.ceil(owned / rows);
  const count = blocks * heads * batch;
  const workgroups = foldWorkgroups(count, target);
  const each = numbers(block);
  const names = ["x", "y"].slice(0, dots.length);
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
  // Both ways add the parts in the order of the lanes.
  const subgroup = subgroupSizeFor(target);
  const inMemory = lanes > 1 && (subgroup === null || lanes > subgroup);
  const registers = names.flatMap((name) => each.map((j) => `${name}${j}`));
  const exchange = lanes === 1 ? [] : !inMemory
    ? registers.map((x) => {
      const terms = numbers(lanes).map((l) =>
        `subgroupShuffle(${x}, first % ${subgroup}u + ${l}u)`
      );
      return `${x} = ${terms.join(" + ")};`;
    })
    : [
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
  const [rowX, rowY] = (pass.streamNumbers ?? []).map((name) => rowNumbers.get(name)!);
  const stageNumbers = pass.streamNumbers
    ? `if (local < ${block}u) {
let other = min(start + local, ${streamed - 1}u);
let at = (batch * ${heads}u + head) * ${streamed}u + other;
rowX[local] = ${rowX.load("at")};
rowY[local] = ${rowY.load("at")};
}`
    : "";
  const wgsl = `${memory.declarations}
${[...tensors, ...results].map((t) => t.declaration()).join("")}
var<workgroup> tileX: array<vec4<f32>, ${block * width}>;
var<workgroup> tileY: array<vec4<f32>, ${block * width}>;
${inMemory ? `var<workgroup> parts: array<f32, ${threads * slots}>;\n` : ""}\
${
    pass.streamNumbers
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
${code.begin.join("\n")}
for (var start = 0u; start < ${streamed}u; start += ${block}u) {
for (var i = local; i < ${block * width}u; i += ${threads}u) {
let other = start + i / ${width}u;
if (other < ${streamed}u) {
tileX[i] = load${pass.stream[0]}(batch, other, head, i % ${width}u);
tileY[i] = load${pass.stream[1]}(batch, other, head, i % ${width}u);
} else {
tileX[i] = vec4<f32>(0.0);
tileY[i] = vec4<f32>(0.0);
}
}
${stageNumbers}
workgroupBarrier();
${partials.join("\n")}
${exchange.join("\n")}
${code.update.join("\n")}
workgroupBarrier();
}
if (own < ${owned}u) {
${code.end.join("\n")}
}
}
`;
  return { label, wgsl, bindings: memory.bindings, params: memory.params, workgroups };
}
