/** Attention, its gradient, and rows by index. */

import assert from "node:assert/strict";
import { Arena } from "../../lib/tensor/state.ts";
import { hashedValues } from "../support/golden/hash.ts";
import { PlanBuilder, strided } from "../support/devices/plan_builder.ts";
import { deviceTest, deviceTests } from "../support/devices/devices.ts";
import { webGpuTest } from "./webgpu/support.ts";
import { assertLikeInterpreter, fillInputs, runPlan } from "../support/devices/run_plan.ts";

interface Sizes {
  readonly batch: number;
  readonly queries: number;
  readonly keys?: number;
  readonly heads: number;
  readonly dim: number;
  /** Factor of the queries: large ones make the softmax sharp. */
  readonly sharp?: number;
}

/** Attention and its gradient; q, k and v are parts of one array where they are equally long. */
function attention({ batch, queries, keys = queries, heads, dim }: Sizes): PlanBuilder {
  const p = new PlanBuilder();
  const shape = [batch, queries, heads, dim];
  const keyShape = [batch, keys, heads, dim];
  const scale = 1 / Math.sqrt(dim);
  const width = heads * dim;
  const part = (length: number, n: number) =>
    [length * 3 * width, 3 * width, dim, 1].concat(n * width);
  const packed = p.input("qkv", [batch, queries, 3 * width]);
  const [q, k, v] = keys === queries
    ? [0, 1, 2].map((n) => {
      const [sb, st, sh, sd, offset] = part(queries, n);
      return strided(packed, [sb, st, sh, sd], offset);
    })
    : [
      strided(packed, part(queries, 0).slice(0, 4)),
      p.input("k", keyShape),
      p.input("v", keyShape),
    ];
  const dout = p.input("dout", shape);
  const [out, lse] = [p.output("out", shape), p.output("lse", [batch, heads, queries])];
  const delta = p.slot(batch * heads * queries);
  p.kernel({ kind: "attention", shape, keys, scale, q, k, v, out, lse, label: "attention" });
  const [dq, dk, dv] = [
    p.output("dq", shape),
    p.output("dk", keyShape),
    p.output("dv", keyShape),
  ];
  return p.kernel({
    kind: "attentionGrad",
    ...{ shape, keys, scale, q, k, v, out, lse, dout, delta, dq, dk, dv },
    label: "attentionGrad",
  });
}

const CASES: Record<string, Sizes> = {
  "one head": { batch: 2, queries: 16, heads: 1, dim: 16 },
  "heads": { batch: 2, queries: 20, heads: 3, dim: 8 },
  "odd everything": { batch: 1, queries: 13, heads: 2, dim: 7 },
  "more queries than a workgroup": { batch: 1, queries: 150, heads: 1, dim: 12 },
  "wide heads": { batch: 1, queries: 9, heads: 1, dim: 72 },
  "very wide heads": { batch: 1, queries: 18, heads: 1, dim: 256 },
  "other keys than queries": { batch: 2, queries: 5, keys: 33, heads: 2, dim: 16 },
  "sequences long enough for tiles": { batch: 2, queries: 72, heads: 2, dim: 20 },
  "long sequences and odd everything": { batch: 3, queries: 67, keys: 131, heads: 3, dim: 9 },
  "long sequences and sharp": { batch: 1, queries: 128, keys: 64, heads: 1, dim: 16, sharp: 200 },
  "sharp": { batch: 1, queries: 24, heads: 1, dim: 16, sharp: 200 },
};

for (const [name, sizes] of Object.entries(CASES)) {
  deviceTests(`attention with ${name}`, async (device) => {
    const plan = attention(sizes).build();
    const { batch, queries, heads, dim, sharp = 1 } = sizes;
    const qkv = hashedValues("qkv", batch * queries * heads * dim * 3, 1, 0);
    qkv.forEach((x, i) => {
      if (i % (3 * heads * dim) < heads * dim) qkv[i] = x * sharp;
    });
    // lse is as large as the scores; d is scaled by them too.
    const tolerance = { abs: 2e-5, rel: 1e-5 };
    await assertLikeInterpreter(device, plan, { qkv }, { tolerance });
  });
}

deviceTest("the gradient of attention has the same bits in every run", async (device) => {
  const plan = attention(CASES["more queries than a workgroup"]).build();
  const inputs = fillInputs(plan);
  assert.deepEqual(await runPlan(device, plan, inputs), await runPlan(device, plan, inputs));
});

// The scores of two of the five samples can be bound at once.
for (const software of [true, false]) {
  const target = { software, maxBindingBytes: 2 * 2 * 72 * 72 * 4 };
  const kind = software ? "software" : "hardware";
  webGpuTest(`attention in parts, ${kind} kernels`, async (device) => {
    const plan = attention({ batch: 5, queries: 72, heads: 2, dim: 8 }).build();
    await assertLikeInterpreter(device, plan, {}, { tolerance: { abs: 2e-5, rel: 1e-5 } });
  }, { target });
}

deviceTest("attention without a log-sum-exp", async (device) => {
  const shape = [1, 10, 1, 8];
  const p = new PlanBuilder();
  const [q, k, v] = ["q", "k", "v"].map((name) => p.input(name, shape));
  const out = p.output("out", shape);
  const scale = 0.3;
  p.kernel({ kind: "attention", shape, keys: 10, scale, q, k, v, out, lse: null, label: "a" });
  await assertLikeInterpreter(device, p.build());
});

for (const width of [5, 8]) {
  deviceTest(`rows of ${width} by index, and their sums`, async (device) => {
    const [vocabulary, count] = [11, 70];
    const arena = new Arena("parameters");
    arena.add("other", [3]);
    const { offset } = arena.add("table", [vocabulary, width]);
    const p = new PlanBuilder();
    const index = p.input("index", [count], "i32");
    const rows = p.input("rows", [count, width]);
    const sizes = { vocabulary, count, width, index };
    p.kernel({
      kind: "gather",
      ...sizes,
      source: strided(p.arena(arena), [width, 1], offset),
      target: p.output("gathered", [count, width]),
      label: "gather",
    }).kernel({
      kind: "scatterAdd",
      ...sizes,
      source: rows,
      target: p.output("summed", [vocabulary, width]),
      label: "scatterAdd",
    });
    // Some outside the table, some rows never, some often.
    const numbers = Int32Array.from({ length: count }, (_, i) => (i * i) % 13 - 1);
    const state = new Map([[arena, hashedValues("table", arena.length, 1, 0)]]);
    await assertLikeInterpreter(device, p.build(), { index: numbers }, { state });
  });
}
