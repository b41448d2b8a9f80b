/** Matrix products: sizes around tiles, strides, batches, splits of k, epilogues. */

import assert from "node:assert/strict";
import type { Access, Instr } from "../../lib/compile/kernels/kernel.ts";
import { expression, PlanBuilder, storeResults, strided } from "../support/devices/plan_builder.ts";
import { deviceTests } from "../support/devices/devices.ts";
import { assertLikeInterpreter, fillInputs, runPlan } from "../support/devices/run_plan.ts";

interface Sizes {
  readonly batch?: number;
  readonly m: number;
  readonly n: number;
  readonly k: number;
  readonly transA?: boolean;
  readonly transB?: boolean;
}

function product({ batch = 1, m, n, k, transA = false, transB = false }: Sizes): PlanBuilder {
  const p = new PlanBuilder();
  const a = p.input("a", [batch, m, k]);
  const b = p.input("b", [batch, k, n]);
  const y = p.output("y", [batch, m, n]);
  return p.kernel({
    kind: "matmul",
    batch,
    m,
    n,
    k,
    a: strided(a, transA ? [m * k, 1, m] : [m * k, k, 1]),
    b: strided(b, transB ? [k * n, 1, k] : [k * n, n, 1]),
    epilogue: storeResults([batch * m, n], strided(y, [n, 1])),
    label: "matmul",
  });
}

const CASES: Record<string, Sizes> = {
  "square, one tile": { m: 16, n: 16, k: 16 },
  "odd everything": { m: 67, n: 35, k: 21 },
  "past tile boundaries": { m: 132, n: 68, k: 36 },
  "A transposed": { m: 40, n: 24, k: 52, transA: true },
  "B transposed": { m: 40, n: 24, k: 52, transB: true },
  "both transposed, odd": { m: 13, n: 27, k: 31, transA: true, transB: true },
  "batched": { batch: 5, m: 20, n: 36, k: 12 },
  "batched, odd": { batch: 3, m: 9, n: 10, k: 11, transB: true },
  "one row": { m: 1, n: 100, k: 64 },
  "one column": { m: 100, n: 1, k: 64, transA: true },
  "small and batched": { batch: 17, m: 4, n: 4, k: 48 },
  "deep": { m: 24, n: 20, k: 3000 },
  "deep, odd": { m: 9, n: 11, k: 2001 },
  // Large enough for the larger tiles of software adapters.
  "large": { m: 256, n: 220, k: 188 },
  "large, odd": { m: 233, n: 211, k: 211 },
  "large, both transposed, odd": { m: 211, n: 233, k: 209, transA: true, transB: true },
};

for (const [name, sizes] of Object.entries(CASES)) {
  deviceTests(`matrix product, ${name}`, async (device) => {
    const tolerance = { abs: 1e-6 * sizes.k };
    await assertLikeInterpreter(device, product(sizes).build(), {}, { tolerance });
  });
}

deviceTests("an epilogue with bias, residual and activation", async (device) => {
  const load = (operand: number): Instr => ({ op: "load", operand });
  for (const [m, n, k] of [[50, 32, 24], [21, 19, 400]]) {
    const p = new PlanBuilder();
    const [a, b] = [p.input("a", [1, m, k]), p.input("b", [1, k, n])];
    const [bias, residual] = [p.input("bias", [n]), p.input("residual", [m, n])];
    const [y, raw] = [p.output("y", [m, n]), p.output("raw", [n, m])];
    p.kernel({
      kind: "matmul",
      batch: 1,
      m,
      n,
      k,
      a,
      b,
      epilogue: {
        body: expression([m, n], [strided(bias, [0, 1]), residual], [
          { op: "result", index: 0 },
          load(0),
          { op: "map", fn: "add", args: [0, 1] },
          { op: "map", fn: "sigmoid", args: [2] },
          { op: "map", fn: "mul", args: [2, 3] },
          load(1),
          { op: "map", fn: "add", args: [4, 5] },
        ]),
        stores: [{ value: 6, target: y }, { value: 2, target: strided(raw, [1, m]) }],
      },
      label: "linear",
    });
    await assertLikeInterpreter(device, p.build(), {}, { tolerance: { abs: 1e-6 * k } });
  }
});

deviceTests("parts of one array as both operands, added to the result in place", async (device) => {
  const [m, n, k] = [36, 20, 28];
  const p = new PlanBuilder();
  const qkv = p.input("qkv", [40, 96]);
  const y = p.output("y", [m, n]);
  const part = (offset: number, strides: readonly number[]): Access =>
    strided(qkv, strides, offset);
  p.kernel({
    kind: "elementwise",
    body: expression([m, n], [strided(qkv, [96, 1])]),
    stores: [{ value: 0, target: y }],
    label: "start",
  }).kernel({
    kind: "matmul",
    batch: 1,
    m,
    n,
    k,
    a: part(32, [0, 96, 1]),
    b: part(61, [0, 1, 96]),
    epilogue: {
      body: expression([m, n], [y], [
        { op: "result", index: 0 },
        { op: "load", operand: 0 },
        { op: "map", fn: "add", args: [0, 1] },
      ]),
      stores: [{ value: 2, target: y }],
    },
    label: "accumulate",
  });
  await assertLikeInterpreter(device, p.build(), {}, { tolerance: { abs: 3e-5 } });
});

deviceTests("the same bits in every run", async (device) => {
  const plan = product(CASES["deep"]).build();
  const inputs = fillInputs(plan);
  const first = await runPlan(device, plan, inputs);
  const second = await runPlan(device, plan, inputs);
  assert.deepEqual(first.y, second.y);
});
