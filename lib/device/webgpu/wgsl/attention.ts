/**
 * Attention without storing the scores (Dao et al., "FlashAttention", 2022): the forward pass keeps
 * a running maximum and sum of each query's softmax; the gradient recomputes the scores from the
 * stored log-sum-exp, once by keys (dk, dv) and once by queries (dq).
 *
 * @module
 */

import type { AttentionGradKernel, AttentionKernel } from "../../../compile/plan.ts";
import { sizeOf } from "../../../tensor/tensor.ts";
import type { Dispatch, Target } from "../dispatch.ts";
import { generatePass, type RowLayout, rowLayout, rowsStore, rowsView } from "./attention_pass.ts";
import { literal } from "./functions.ts";
import { Memory } from "./memory.ts";
import { generateReduce } from "./reduce.ts";

/** Stands for minus infinity: its exponential is zero, and its differences are finite. */
const LOWEST = "-3.0e38";

/** Code for attention. */
export function generateAttention(kernel: AttentionKernel, target: Target): Dispatch[] {
  const { shape, keys, label } = kernel;
  if (sizeOf(shape) === 0) return [];
  const [batch, queries, heads, dim] = shape;
  const keyShape = [batch, keys, heads, dim];
  const layout = rowLayout(dim, "forward", 1, target);
  const memory = new Memory(target, label);
  const q = rowsView(memory, kernel.q, shape);
  const k = rowsView(memory, kernel.k, keyShape);
  const v = rowsView(memory, kernel.v, keyShape);
  const out = rowsStore(memory, kernel.out, shape);
  const lse = kernel.lse &&
    memory.view({ ...kernel.lse, dtype: "f32" }, batch * heads * queries, { write: true });
  memory.seal();

  const each = numbers(layout.block);
  const every = numbers(layout.vectors);
  const pass = generatePass({
    label,
    layout,
    batch,
    heads,
    owned: queries,
    streamed: keys,
    memory,
    declarations: [
      q.declare("loadQ"),
      k.declare("loadK"),
      v.declare("loadV"),
      out.declare("storeOut"),
    ].join(""),
    stream: ["loadK", "loadV"],
    begin: () =>
      [
        ...every.map((c) =>
          `let q${c} = ${load("loadQ", c, layout)} * ${literal(kernel.scale, "f32")};`
        ),
        ...every.map((c) => `var o${c} = vec4<f32>(0.0);`),
        `var top = ${LOWEST};`,
        "var total = 0.0;",
      ].join("\n"),
    dots: ["q"],
    update: (tile) =>
      [
        ...each.map((j) =>
          keys % layout.block === 0
            ? `let s${j} = x${j};`
            : `let s${j} = select(${LOWEST}, x${j}, start + ${j}u < ${keys}u);`
        ),
        `let higher = ${each.reduce((all, j) => `max(${all}, s${j})`, "top")};`,
        "let shrink = exp(top - higher);",
        "top = higher;",
        ...each.map((j) => `let p${j} = exp(s${j} - higher);`),
        `total = total * shrink + (${each.map((j) => `p${j}`).join(" + ")});`,
        ...every.map((c) =>
          `o${c} = o${c} * shrink + (${each.map((j) => `p${j} * ${tile("Y", c, j)}`).join(" + ")});`
        ),
      ].join("\n"),
    end: [
      ...every.map((c) => store("storeOut", c, layout, `o${c} / total`)),
      ...(lse
        ? [
          "if (lane == 0u) {",
          lse.store(`(batch * ${heads}u + head) * ${queries}u + row`, "top + log(total)"),
          "}",
        ]
        : []),
    ].join("\n"),
  }, target);
  return [pass];
}

/** Code for the gradient of attention: delta, then dk and dv, then dq. */
export function generateAttentionGrad(kernel: AttentionGradKernel, target: Target): Dispatch[] {
  if (sizeOf(kernel.shape) === 0) return [];
  return [
    ...deltaPass(kernel, target),
    keyPass(kernel, target),
    queryPass(kernel, target),
  ];
}

/** delta[b, h, t] = sum over d of dout * out. */
function deltaPass(kernel: AttentionGradKernel, target: Target): Dispatch[] {
  const [batch, queries, heads, dim] = kernel.shape;
  const swap = ([b, t, h, d]: readonly number[]) => [b, h, t, d];
  return generateReduce({
    kind: "reduce",
    body: {
      shape: [batch, heads, queries, dim],
      operands: [
        { ...kernel.dout, strides: swap(kernel.dout.strides) },
        { ...kernel.out, strides: swap(kernel.out.strides) },
      ],
      instrs: [
        { op: "load", operand: 0 },
        { op: "load", operand: 1 },
        { op: "map", fn: "mul", args: [0, 1] },
      ],
    },
    keptRank: 3,
    reductions: [{ fn: "sum", value: 2 }],
    epilogue: {
      body: {
        shape: [batch * heads * queries],
        operands: [],
        instrs: [{ op: "result", index: 0 }],
      },
      stores: [{ value: 0, target: { ...kernel.delta, strides: [1], dtype: "f32" } }],
    },
    label: `${kernel.label} (delta)`,
  }, target);
}

/** Owns keys, streams queries. */
function keyPass(kernel: AttentionGradKernel, target: Target): Dispatch {
  const { shape, keys, scale } = kernel;
  const [batch, queries, heads, dim] = shape;
  const keyShape = [batch, keys, heads, dim];
  const label = `${kernel.label} (dk, dv)`;
  const layout = rowLayout(dim, "backward", 2, target);
  const memory = new Memory(target, label);
  const q = rowsView(memory, kernel.q, shape);
  const dout = rowsView(memory, kernel.dout, shape);
  const k = rowsView(memory, kernel.k, keyShape);
  const v = rowsView(memory, kernel.v, keyShape);
  const perQuery = batch * heads * queries;
  const lse = memory.view({ ...kernel.lse, dtype: "f32" }, perQuery);
  const delta = memory.view({ ...kernel.delta, dtype: "f32" }, perQuery);
  const dk = rowsStore(memory, kernel.dk, keyShape);
  const dv = rowsStore(memory, kernel.dv, keyShape);
  memory.seal();
  const each = numbers(layout.block);
  const every = numbers(layout.vectors);
  return generatePass({
    label,
    layout,
    batch,
    heads,
    owned: keys,
    streamed: queries,
    memory,
    declarations: [
      q.declare("loadQ"),
      dout.declare("loadDout"),
      k.declare("loadK"),
      v.declare("loadV"),
      dk.declare("storeDk"),
      dv.declare("storeDv"),
    ].join(""),
    stream: ["loadQ", "loadDout"],
    streamRows: [lse, delta],
    begin: () =>
      every.flatMap((c) => [
        `let k${c} = ${load("loadK", c, layout)};`,
        `let v${c} = ${load("loadV", c, layout)};`,
        `var dk${c} = vec4<f32>(0.0);`,
        `var dv${c} = vec4<f32>(0.0);`,
      ]).join("\n"),
    dots: ["k", "v"],
    update: (tile) =>
      [
        ...probabilities(layout, queries, scale, (j) => `rowX[${j}]`, (j) => `rowY[${j}]`),
        ...every.flatMap((c) => [
          `dv${c} += ${each.map((j) => `p${j} * ${tile("Y", c, j)}`).join(" + ")};`,
          `dk${c} += ${each.map((j) => `d${j} * ${tile("X", c, j)}`).join(" + ")};`,
        ]),
      ].join("\n"),
    end: every.flatMap((c) => [
      store("storeDk", c, layout, `dk${c} * ${literal(scale, "f32")}`),
      store("storeDv", c, layout, `dv${c}`),
    ]).join("\n"),
  }, target);
}

/** Owns queries, streams keys. */
function queryPass(kernel: AttentionGradKernel, target: Target): Dispatch {
  const { shape, keys, scale } = kernel;
  const [batch, queries, heads, dim] = shape;
  const keyShape = [batch, keys, heads, dim];
  const label = `${kernel.label} (dq)`;
  const layout = rowLayout(dim, "backward", 2, target);
  const memory = new Memory(target, label);
  const q = rowsView(memory, kernel.q, shape);
  const dout = rowsView(memory, kernel.dout, shape);
  const k = rowsView(memory, kernel.k, keyShape);
  const v = rowsView(memory, kernel.v, keyShape);
  const perQuery = batch * heads * queries;
  const lse = memory.view({ ...kernel.lse, dtype: "f32" }, perQuery);
  const delta = memory.view({ ...kernel.delta, dtype: "f32" }, perQuery);
  const dq = rowsStore(memory, kernel.dq, shape);
  memory.seal();
  const each = numbers(layout.block);
  const every = numbers(layout.vectors);
  const at = `(batch * ${heads}u + head) * ${queries}u + row`;
  return generatePass({
    label,
    layout,
    batch,
    heads,
    owned: queries,
    streamed: keys,
    memory,
    declarations: [
      q.declare("loadQ"),
      dout.declare("loadDout"),
      k.declare("loadK"),
      v.declare("loadV"),
      dq.declare("storeDq"),
    ].join(""),
    stream: ["loadK", "loadV"],
    begin: () =>
      [
        `let lse = ${lse.load(at)};`,
        `let delta = ${delta.load(at)};`,
        ...every.flatMap((c) => [
          `let q${c} = ${load("loadQ", c, layout)};`,
          `let g${c} = ${load("loadDout", c, layout)};`,
          `var dq${c} = vec4<f32>(0.0);`,
        ]),
      ].join("\n"),
    dots: ["q", "g"],
    update: (tile) =>
      [
        ...probabilities(layout, keys, scale, () => "lse", () => "delta"),
        ...every.map((c) =>
          `dq${c} += ${each.map((j) => `d${j} * ${tile("X", c, j)}`).join(" + ")};`
        ),
      ].join("\n"),
    end: every.map((c) => store("storeDq", c, layout, `dq${c} * ${literal(scale, "f32")}`))
      .join("\n"),
  }, target);
}

/** p = softmax from the log-sum-exp and d = p (dp - delta), from the dot products x and y. */
function probabilities(
  layout: RowLayout,
  streamed: number,
  scale: number,
  lse: (j: number) => string,
  delta: (j: number) => string,
): string[] {
  return numbers(layout.block).flatMap((j) => {
    const p = `exp(x${j} * ${literal(scale, "f32")} - ${lse(j)})`;
    return [
      streamed % layout.block === 0
        ? `let p${j} = ${p};`
        : `let p${j} = select(0.0, ${p}, start + ${j}u < ${streamed}u);`,
      `let d${j} = p${j} * (y${j} - ${delta(j)});`,
    ];
  });
}

/** The owned row's vector number `c` of this lane. */
function load(loader: string, c: number, { lanes }: RowLayout): string {
  return `${loader}(batch, row, head, lane + ${c * lanes}u)`;
}

function store(storer: string, c: number, { lanes }: RowLayout, value: string): string {
  return `${storer}(batch, row, head, lane + ${c * lanes}u, ${value});`;
}

function numbers(count: number): number[] {
  return Array.from({ length: count }, (_, i) => i);
}
