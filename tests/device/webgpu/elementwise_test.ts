/** Element-wise kernels beyond the limits of a dispatch or a binding, and how they share code. */

import assert from "node:assert/strict";
import type { Instr } from "../../../lib/compile/kernels/kernel.ts";
import type { MapFn } from "../../../lib/tensor/tensor.ts";
import { expression, PlanBuilder, strided } from "../../support/devices/plan_builder.ts";
import { assertLikeInterpreter } from "../../support/devices/run_plan.ts";
import { webGpuTest } from "./support.ts";

const load = (operand: number): Instr => ({ op: "load", operand });
const map = (fn: MapFn, ...args: number[]): Instr => ({ op: "map", fn, args });

webGpuTest("more workgroups than one dimension of a dispatch holds", async (device) => {
  const size = 5000;
  const p = new PlanBuilder();
  const [x, y] = [p.input("x", [size]), p.output("y", [size])];
  p.kernel({
    kind: "elementwise",
    body: expression([size], [x], [load(0), map("neg", 0)]),
    stores: [{ value: 1, target: y }],
    label: "neg",
  });
  await assertLikeInterpreter(device, p.build());
}, { target: { maxWorkgroups: 7 } });

webGpuTest("an array longer than a binding is done in pieces", async (device) => {
  const size = 10_000;
  const p = new PlanBuilder();
  const [x, bias, y] = [p.input("x", [size]), p.input("bias", [1]), p.output("y", [size])];
  p.kernel({
    kind: "elementwise",
    body: expression([size], [x, strided(bias, [0])], [load(0), load(1), map("mul", 0, 1)]),
    stores: [{ value: 2, target: y }],
    label: "mul",
  });
  await assertLikeInterpreter(device, p.build());
}, { target: { maxBindingBytes: 4096 } });

webGpuTest(
  "kernels that differ only in buffers, offsets and streams share code",
  async (device) => {
    const p = new PlanBuilder();
    const key = p.input("key", [3], "i32");
    const x = p.input("x", [256]);
    for (let i = 0; i < 4; i++) {
      const y = p.output(`y${i}`, [64]);
      p.kernel({
        kind: "elementwise",
        body: expression([64], [strided(key, [0]), strided(x, [1], 64 * i)], [
          { op: "random", distribution: "uniform", stream: i, key: 0, within: [1], sample: [0] },
          load(1),
          map("add", 0, 1),
        ]),
        stores: [{ value: 2, target: y }],
        label: `kernel ${i}`,
      });
    }
    await assertLikeInterpreter(device, p.build(), { key: Int32Array.of(1, 2, 3) });
    assert.equal(device.pipelines.size, 1);
  },
);
