/** Reductions and moments: rows, columns, splits, fused bodies and epilogues. */

import { equal } from "node:assert/strict";
import { contiguousStrides, type Shape, sizeOf } from "../../lib/base/arrays.ts";
import type { Instr } from "../../lib/compile/kernels/kernel.ts";
import type { ReduceKernel } from "../../lib/compile/kernels/reduce.ts";
import { hashedValues } from "../support/golden/hash.ts";
import { expression, PlanBuilder, storeResults, strided } from "../support/devices/plan_builder.ts";
import { deviceTest, deviceTests } from "../support/devices/devices.ts";
import { assertLikeInterpreter, runPlan } from "../support/devices/run_plan.ts";

const load = (operand: number): Instr => ({ op: "load", operand });

/** Sum and maximum of x [shape] over the axes in `order` from position `keptRank` on. */
function sumAndMax(shape: Shape, order: readonly number[], keptRank: number): PlanBuilder {
  const p = new PlanBuilder();
  const x = p.input("x", shape);
  const axes = order.map((axis) => shape[axis]);
  const kept = axes.slice(0, keptRank);
  const [sum, max] = [p.output("sum", kept), p.output("max", kept)];
  const strides = contiguousStrides(shape);
  return p.kernel({
    kind: "reduce",
    body: expression(axes, [strided(x, order.map((axis) => strides[axis]))]),
    keptRank,
    reductions: [{ fn: "sum", value: 0 }, { fn: "max", value: 0 }],
    epilogue: storeResults(kept, sum, max),
    label: "sum and max",
  });
}

const CASES: Record<string, [Shape, number[], number]> = {
  "short rows": [[37, 5], [0, 1], 1],
  "long rows": [[6, 1000], [0, 1], 1],
  "rows of vectors": [[9, 3, 64], [0, 1, 2], 1],
  "one very long row": [[40_003], [0], 0],
  "one very long row of vectors": [[5, 8192], [0, 1], 0],
  "narrow columns": [[500, 3], [1, 0], 1],
  "columns of vectors": [[300, 64], [1, 0], 1],
  "columns over two axes": [[20, 33, 36], [2, 0, 1], 1],
  "many columns": [[12, 700], [1, 0], 1],
  "a middle axis": [[7, 11, 13], [0, 2, 1], 2],
  "everything kept": [[5, 4], [0, 1], 2],
};

for (const [name, [shape, order, keptRank]] of Object.entries(CASES)) {
  deviceTests(`sum and maximum over ${name}`, async (device) => {
    const plan = sumAndMax(shape, order, keptRank).build();
    await assertLikeInterpreter(device, plan, {}, { tolerance: { rel: 2e-6, abs: 1e-4 } });
  });
}

deviceTests("a maximum of minus infinities is minus infinity", async (device) => {
  const plan = sumAndMax([3, 40], [0, 1], 1).build();
  const x = new Float32Array(120).fill(-1e38);
  x.fill(-Infinity, 40, 80);
  const found = await runPlan(device, plan, { x });
  equal(found.max[1], -Infinity);
  equal(found.max[2], Math.fround(-1e38));
});

deviceTests("a reduction computes its values and finishes its results", async (device) => {
  for (const [rows, columns] of [[130, 24], [130, 7]]) {
    const p = new PlanBuilder();
    const x = p.input("x", [rows, columns]);
    const y = p.input("y", [rows, columns]);
    const scale = p.input("scale", [columns]);
    const dot = p.output("dot", [columns]);
    const other = p.output("other", [columns]);
    const kernel: ReduceKernel = {
      kind: "reduce",
      body: expression([columns, rows], [strided(x, [1, columns]), strided(y, [1, columns])], [
        load(0),
        load(1),
        { op: "map", fn: "mul", args: [0, 1] },
      ]),
      keptRank: 1,
      reductions: [{ fn: "sum", value: 2 }, { fn: "sum", value: 0 }],
      epilogue: {
        body: expression([columns], [scale], [
          { op: "result", index: 0 },
          { op: "result", index: 1 },
          load(0),
          { op: "map", fn: "mul", args: [0, 2] },
          { op: "map", fn: "sub", args: [3, 1] },
        ]),
        stores: [{ value: 3, target: dot }, { value: 4, target: other }],
      },
      label: "dot",
    };
    p.kernel(kernel);
    await assertLikeInterpreter(device, p.build(), {}, { tolerance: { abs: 2e-5 } });
  }
});

deviceTest("an epilogue may split the kept axes otherwise", async (device) => {
  const p = new PlanBuilder();
  const x = p.input("x", [24, 50]);
  const y = p.output("y", [4, 6]);
  p.kernel({
    kind: "reduce",
    body: expression([24, 50], [x]),
    keptRank: 1,
    reductions: [{ fn: "sum", value: 0 }],
    epilogue: {
      body: expression([4, 6], [], [{ op: "result", index: 0 }]),
      stores: [{ value: 0, target: strided(y, [1, 4]) }],
    },
    label: "transposed sums",
  });
  await assertLikeInterpreter(device, p.build(), {}, { tolerance: { abs: 1e-5 } });
});

/** Moments of x [N, HW, C] for each sample and group of channels. */
function groupMoments(n: number, pixels: number, channels: number, groups: number): PlanBuilder {
  const p = new PlanBuilder();
  const x = p.input("x", [n, pixels, channels]);
  const bias = p.input("bias", [channels]);
  const per = channels / groups;
  const kept = [n, groups];
  const [mean, rstd] = [p.output("mean", kept), p.output("rstd", kept)];
  return p.kernel({
    kind: "moments",
    body: expression([n, groups, pixels, per], [
      strided(x, [pixels * channels, per, channels, 1]),
      strided(bias, [0, per, 0, 1]),
    ], [load(0), load(1), { op: "map", fn: "add", args: [0, 1] }]),
    keptRank: 2,
    value: 2,
    eps: 1e-5,
    mean,
    rstd,
    label: "moments",
  });
}

for (
  const [n, pixels, channels, groups] of [
    [3, 64, 32, 8],
    [2, 5, 6, 3],
    [1, 1500, 12, 2],
    [40, 1, 128, 1],
    [2, 9, 4, 4],
  ]
) {
  deviceTest(
    `moments of ${n} x ${groups} groups of ${pixels} x ${channels / groups} values`,
    async (device) => {
      const plan = groupMoments(n, pixels, channels, groups).build();
      // Far from zero, where E[x^2] - E[x]^2 would lose everything.
      const x = hashedValues("x", sizeOf([n, pixels, channels]), 1, 300);
      await assertLikeInterpreter(device, plan, { x }, { tolerance: { rel: 2e-5 } });
    },
  );
}
