/**
 * Attention without storing the scores (Dao et al., "FlashAttention", 2022): the forward pass keeps
 * a running maximum and sum of each query's softmax; the gradient recomputes the scores from the
 * stored log-sum-exp, once by keys (dk, dv) and once by queries (dq). That is for short
 * sequences; `attention_products.ts` does the others.
 *
 * @module
 */

import type { AttentionGradKernel, AttentionKernel } from "../../../compile/kernels/attention.ts";
import { sizeOf } from "../../../tensor/tensor.ts";
import type { Dispatch, Target } from "../dispatch.ts";
import {
  attentionByProducts,
  attentionGradByProducts,
  samplesAtOnce,
} from "./attention_products.ts";
import { type AttentionPass, generatePass, type RowLayout, rowLayout } from "./attention_pass.ts";
import { literal } from "./functions.ts";
import { generateReduce } from "./reduce.ts";
import { numbers } from "./text.ts";

/** Stands for minus infinity: its exponential is zero, and its differences are finite. */
const LOWEST = "-3.0e38";

/** Code for attention. */
export function generateAttention(kernel: AttentionKernel, target: Target): Dispatch[] {
  const { shape: [batch, queries, heads, dim], keys, label } = kernel;
  if (sizeOf(kernel.shape) === 0) return [];
  const samples = samplesAtOnce(kernel, target);
  if (samples > 0) return attentionByProducts(kernel, samples, target);
  const layout = rowLayout(dim, "forward", 1, target);
  const [each, every] = [numbers(layout.block), numbers(layout.vectors)];
  const scale = literal(kernel.scale, "f32");
  const pass = generatePass({
    label,
    layout,
    batch,
    heads,
    owned: queries,
    streamed: keys,
    reads: { Q: [kernel.q, queries], K: [kernel.k, keys], V: [kernel.v, keys] },
    writes: { Out: kernel.out },
    numberWrites: kernel.lse ? { lse: kernel.lse } : {},
    stream: ["K", "V"],
    code: ({ own, streamed, store, storeNumber }) => ({
      begin: [
        ...every.map((c) => `let q${c} = ${own("Q", c)} * ${scale};`),
        ...every.map((c) => `var o${c} = vec4<f32>(0.0);`),
        `var top = ${LOWEST};`,
        "var total = 0.0;",
      ],
      dots: ["q"],
      update: [
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
          `o${c} = o${c} * shrink + (${weighted(layout, "p", (j) => streamed("Y", c, j))});`
        ),
      ],
      end: [
        ...every.map((c) => store("Out", c, `o${c} / total`)),
        ...(kernel.lse ? [storeNumber("lse", "top + log(total)")] : []),
      ],
    }),
  }, target);
  return [pass];
}

/** Code for the gradient of attention: delta, then dk and dv, then dq. */
export function generateAttentionGrad(kernel: AttentionGradKernel, target: Target): Dispatch[] {
  if (sizeOf(kernel.shape) === 0) return [];
  const samples = samplesAtOnce(kernel, target);
  return [
    ...deltaPass(kernel, target),
    ...samples > 0
      ? attentionGradByProducts(kernel, samples, target)
      : [keyPass(kernel, target), queryPass(kernel, target)],
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
      stores: [{ value: 0, target: { ...kernel.delta, strides: [1] } }],
    },
    label: `${kernel.label} (delta)`,
  }, target);
}

/** What both halves of the gradient have in common. */
function gradientPass(
  kernel: AttentionGradKernel,
  target: Target,
): { layout: RowLayout; common: Common } {
  const { shape: [batch, queries, heads, dim], keys } = kernel;
  return {
    layout: rowLayout(dim, "backward", 2, target),
    common: {
      batch,
      heads,
      numbers: { lse: kernel.lse, delta: kernel.delta },
      reads: {
        Q: [kernel.q, queries],
        Dout: [kernel.dout, queries],
        K: [kernel.k, keys],
        V: [kernel.v, keys],
      },
    },
  };
}

type Common = Pick<AttentionPass, "batch" | "heads" | "reads" | "numbers">;

/** Owns keys, streams queries. */
function keyPass(kernel: AttentionGradKernel, target: Target): Dispatch {
  const { shape: [, queries], keys, scale } = kernel;
  const { layout, common } = gradientPass(kernel, target);
  const every = numbers(layout.vectors);
  return generatePass({
    ...common,
    label: `${kernel.label} (dk, dv)`,
    layout,
    owned: keys,
    streamed: queries,
    writes: { Dk: kernel.dk, Dv: kernel.dv },
    stream: ["Q", "Dout"],
    streamNumbers: ["lse", "delta"],
    code: ({ own, streamed, store }) => ({
      begin: every.flatMap((c) => [
        `let k${c} = ${own("K", c)};`,
        `let v${c} = ${own("V", c)};`,
        `var dk${c} = vec4<f32>(0.0);`,
        `var dv${c} = vec4<f32>(0.0);`,
      ]),
      dots: ["k", "v"],
      update: [
        ...probabilities(layout, queries, scale, (j) => `rowX[${j}]`, (j) => `rowY[${j}]`),
        ...every.flatMap((c) => [
          `dv${c} += ${weighted(layout, "p", (j) => streamed("Y", c, j))};`,
          `dk${c} += ${weighted(layout, "d", (j) => streamed("X", c, j))};`,
        ]),
      ],
      end: every.flatMap((c) => [
        store("Dk", c, `dk${c} * ${literal(scale, "f32")}`),
        store("Dv", c, `dv${c}`),
      ]),
    }),
  }, target);
}

/** Owns queries, streams keys. */
function queryPass(kernel: AttentionGradKernel, target: Target): Dispatch {
  const { shape: [, queries], keys, scale } = kernel;
  const { layout, common } = gradientPass(kernel, target);
  const every = numbers(layout.vectors);
  return generatePass({
    ...common,
    label: `${kernel.label} (dq)`,
    layout,
    owned: queries,
    streamed: keys,
    writes: { Dq: kernel.dq },
    stream: ["K", "V"],
    code: ({ own, streamed, number, store }) => ({
      begin: [
        `let lse = ${number("lse")};`,
        `let delta = ${number("delta")};`,
        ...every.flatMap((c) => [
          `let q${c} = ${own("Q", c)};`,
          `let g${c} = ${own("Dout", c)};`,
          `var dq${c} = vec4<f32>(0.0);`,
        ]),
      ],
      dots: ["q", "g"],
      update: [
        ...probabilities(layout, keys, scale, () => "lse", () => "delta"),
        ...every.map((c) => `dq${c} += ${weighted(layout, "d", (j) => streamed("X", c, j))};`),
      ],
      end: every.map((c) => store("Dq", c, `dq${c} * ${literal(scale, "f32")}`)),
    }),
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

/** The sum of the rows of a block, weighted by `by0`, `by1`, ... */
function weighted({ block }: RowLayout, by: string, row: (j: number) => string): string {
  return numbers(block).map((j) => `${by}${j} * ${row(j)}`).join(" + ");
}
