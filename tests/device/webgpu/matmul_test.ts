/** How matrix products are cut into dispatches. */

import assert from "node:assert/strict";
import { generateMatmul } from "../../../lib/device/webgpu/wgsl/matmul.ts";
import type { MatmulKernel } from "../../../lib/compile/kernels/matmul.ts";
import { PlanBuilder, storeResults } from "../../support/devices/plan_builder.ts";
import { webGpuTest } from "./support.ts";

webGpuTest("deep products of few tiles are cut along k", async (device) => {
  const [m, n, k] = [24, 20, 3000];
  const p = new PlanBuilder();
  const [a, b, y] = [p.input("a", [1, m, k]), p.input("b", [1, k, n]), p.output("y", [m, n])];
  const epilogue = storeResults([m, n], y);
  p.kernel({ kind: "matmul", batch: 1, m, n, k, a, b, epilogue, label: "matmul" });
  const [kernel] = p.build().kernels;
  const names = generateMatmul(kernel as MatmulKernel, device.target).map((d) => d.label);
  assert.deepEqual(names, ["matmul", "matmul (combine)"]);
  await Promise.resolve();
}, { target: { software: false, wantedWorkgroups: 1024 } });
