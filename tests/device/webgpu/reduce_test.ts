/** Reductions over more memory than the device binds at once. */

import type { Shape } from "../../../lib/tensor/tensor.ts";
import {
  expression,
  PlanBuilder,
  storeResults,
  strided,
} from "../../support/devices/plan_builder.ts";
import { assertLikeInterpreter } from "../../support/devices/run_plan.ts";
import { webGpuTest } from "./support.ts";

/** Sum and maximum of x over all rows (`columns` kept) or over everything. */
function overRows([rows, columns]: Shape, keep: boolean): PlanBuilder {
  const p = new PlanBuilder();
  const x = p.input("x", [rows, columns]);
  const kept = keep ? [columns] : [];
  const axes = keep ? [columns, rows] : [rows * columns];
  return p.kernel({
    kind: "reduce",
    body: expression(axes, [strided(x, keep ? [1, columns] : [1])]),
    keptRank: kept.length,
    reductions: [{ fn: "sum", value: 0 }, { fn: "max", value: 0 }],
    epilogue: storeResults(kept, p.output("sum", kept), p.output("max", kept)),
    label: "sum and max",
  });
}

for (const [rows, columns] of [[4001, 10], [2000, 36]]) {
  for (const keep of [false, true]) {
    const what = keep ? `the ${rows} rows` : `the ${rows * columns} elements`;
    webGpuTest(`${what} of a long array are reduced in pieces`, async (device) => {
      const plan = overRows([rows, columns], keep).build();
      await assertLikeInterpreter(device, plan, {}, { tolerance: { rel: 2e-6, abs: 1e-4 } });
    }, { target: { maxBindingBytes: 32768 } });
  }
}
